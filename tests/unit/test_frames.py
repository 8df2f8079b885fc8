"""Methods for n networks recover what was planted, never lose to a reference, and keep every function."""

from itertools import combinations, pairwise

import numpy as np
import pytest
import torch
from networks import Attention, Grouped, Residual, build, state
from zoo import ZOO

from onebasin import barrier, match, symmetry
from onebasin.match import frank_wolfe
from onebasin.match.comparison import Weights, compare
from onebasin.match.doubly_stochastic import balance
from onebasin.symmetry.axes import Atom

SHAPE = (3, 8, 8)
FAMILIES = {
    "mlp": lambda: build("mlp", shape=SHAPE, width=12),
    "cnn-batch": lambda: build("cnn", shape=SHAPE, width=6, norm="batch"),
    "residual": Residual,
    "attention": Attention,
}
METHODS = {"reference": {}, "hierarchical": {}, "merge_many": {}, "universe": {"climbs": 1}}
both = pytest.mark.parametrize("similarity", ["weights", "activations"])
each = pytest.mark.parametrize("method", METHODS)


def find(method: str, sym: object, model: object, states: object, **options: object) -> match.Frame:
    return match.FRAMES[method](sym, states, model=model, images=images(), **METHODS[method], **options)


def images(count: int = 64) -> torch.Tensor:
    return torch.randn(count, *SHAPE, generator=torch.Generator().manual_seed(7))


def pair_permutations(found: match.Frame) -> dict:
    return {
        (a, b): found.permutations[a].inverse() @ found.permutations[b] for a, b in combinations(found.permutations, 2)
    }


@pytest.fixture(scope="module", params=FAMILIES)
def planted(request):
    """Four permuted and slightly noisy copies of a network, and the permutations that were planted."""
    torch.manual_seed(0)
    model = FAMILIES[request.param]()
    sym = symmetry.discover(model, images(2))
    network = {  # no dead units
        key: value.abs() + 0.5 if key.endswith("bias") else value for key, value in state(model, seed=3).items()
    }
    generator = torch.Generator().manual_seed(5)
    answers = {seed: sym.random(generator) for seed in (7, 3, 11, 5)}
    states = {
        seed: {
            key: value + 1e-3 * torch.randn(value.shape, generator=generator) if value.is_floating_point() else value
            for key, value in sym.apply(answer, network).items()
        }
        for seed, answer in answers.items()
    }
    return model, sym, states, answers


@both
@each
def test_a_planted_common_permutation_is_recovered(planted, method, similarity):
    model, sym, states, answers = planted
    found = find(method, sym, model, states, similarity=similarity)
    assert pair_permutations(found) == {(a, b): answers[a] @ answers[b].inverse() for a, b in combinations(states, 2)}


@pytest.fixture(scope="module", params=["mlp", "attention"])
def different(request):
    """Three networks that have nothing in common."""
    model = FAMILIES[request.param]()
    return model, symmetry.discover(model, images(2)), {seed: state(model, seed) for seed in range(3)}


def mean(found: match.Frame) -> float:
    return sum(found.objectives.values()) / len(found.objectives)


@both
@each
def test_permuted_networks_compute_the_same_function(different, method, similarity):
    model, sym, states = different
    found = find(method, sym, model, states, similarity=similarity)
    assert list(found.permutations) == list(states)
    for seed, permutation in found.permutations.items():
        symmetry.check(model, sym, permutation, states[seed], images())


@both
def test_objectives_are_those_of_the_matching_of_two(different, similarity):
    model, sym, states = different
    found = match.reference(sym, states, model=model, images=images(), similarity=similarity, to=2)
    assert found.permutations[2] == sym.identity()
    assert set(found.objectives) == set(combinations(states, 2))
    for other in (0, 1):
        if similarity == "weights":
            pair = match.weights(sym, states[other], states[2])
        else:
            pair = match.activations(sym, states[other], states[2], model=model, images=images())
        assert found.objectives[other, 2] == pytest.approx(pair.objective, rel=1e-5)
        assert found.permutations[other] == pair.permutation.inverse()


@both
def test_no_method_is_worse_than_any_reference(different, similarity):
    model, sym, states = different
    references = [find("reference", sym, model, states, similarity=similarity, to=seed) for seed in states]
    best, merged, universe = (
        mean(find(method, sym, model, states, similarity=similarity)) for method in METHODS if method != "hierarchical"
    )
    assert max(map(mean, references)) == best <= merged <= universe


@both
def test_pairs_are_merged_before_their_means(different, similarity):
    model, sym, _ = different
    states = {seed: state(model, seed) for seed in (5, 2, 9, 4, 7)}
    found = find("hierarchical", sym, model, states, similarity=similarity)
    between = pair_permutations(found)
    assert found.permutations[5] == sym.identity() and found.iterations == 3
    for first, second in ((5, 2), (9, 4)):
        alone = {seed: states[seed] for seed in (first, second)}
        pair = find("hierarchical", sym, model, alone, similarity=similarity)
        assert pair_permutations(pair)[first, second] == between[first, second]
        other = find("reference", sym, model, alone, similarity=similarity, to=first)
        assert pair.permutations == other.permutations
    if similarity == "weights":
        moved = {seed: sym.apply(found.permutations[seed], state) for seed, state in states.items()}
        four = [{key: (moved[a][key] + moved[b][key]) / 2 for key in moved[a]} for a, b in ((5, 2), (9, 4))]
        assert match.weights(sym, *four).permutation == sym.identity(), "the means are aligned"
        eight = {key: (four[0][key] + four[1][key]) / 2 for key in four[0]}
        assert match.weights(sym, eight, states[7]).permutation == found.permutations[7]


@both
@each
def test_same_seed_same_frame_whatever_global_state(different, method, similarity):
    model, sym, states = different
    found = []
    for global_seed in (1, 2):
        torch.manual_seed(global_seed)
        found.append(find(method, sym, model, states, similarity=similarity, seed=3))
    assert found[0].permutations == found[1].permutations and found[0].objectives == found[1].objectives


@pytest.mark.parametrize(
    "options",
    [{"similarity": "units"}, {"to": 9}, {"similarity": "activations", "images": None}, {"states": {}}],
)
def test_bad_arguments(options):
    model = FAMILIES["mlp"]()
    sym = symmetry.discover(model, images(2))
    given = {"states": {seed: state(model, seed) for seed in range(2)}, "images": images(), **options}
    with pytest.raises(ValueError):
        match.reference(sym, model=model, **given)


@pytest.fixture(scope="module")
def relaxed():
    """Networks whose groups meet in one tensor twice, their permutations, and the relaxation at these."""
    model = Residual()
    sym = symmetry.discover(model, images(2))
    comparison = Weights(sym, {seed: state(model, seed) for seed in range(3)}, 0)
    generator = torch.Generator().manual_seed(1)
    here, there = ({seed: sym.random(generator) for seed in range(3)} for _ in range(2))
    (relaxation,) = comparison.relaxations(comparison.matrices(here), here)
    return comparison, here, there, relaxation


def test_the_line_is_exact(relaxed):
    comparison, here, there, relaxation = relaxed
    orders = {name: np.stack([there[seed][name] for seed in range(3)]) for name in relaxation.matrices}
    line = relaxation.line(orders)
    assert line.degree() == 4
    assert line(0) == pytest.approx(comparison.total(here), rel=1e-5)
    assert line(1) == pytest.approx(comparison.total(there), rel=1e-5)
    slope = sum(
        float(relaxation.gradient(name).gather(2, torch.tensor(order)[..., None]).sum())
        - float((relaxation.gradient(name) * relaxation.matrices[name]).sum())
        for name, order in orders.items()
    )
    assert line.deriv()(0) == pytest.approx(slope, rel=1e-4)
    relaxation.move(orders, 0.3)
    afresh, *_ = comparison.relaxations(relaxation.matrices, here)
    assert relaxation.line({})(0) == pytest.approx(line(0.3), rel=1e-5)
    assert afresh.line({})(0) == pytest.approx(line(0.3), rel=1e-5)


@both
def test_frank_wolfe_climbs(different, similarity):
    model, sym, states = different
    comparison = compare(similarity, sym, states, model, images(), 0)
    identity = dict.fromkeys(states, sym.identity())
    for relaxation in comparison.relaxations(comparison.soften(identity), identity):
        before = relaxation.line({})(0)
        assert frank_wolfe.maximise(relaxation) > 0
        assert relaxation.line({})(0) > before
        for matrices in relaxation.matrices.values():
            assert matrices.min() > -1e-6
            assert torch.allclose(matrices.sum(1), torch.ones(()), atol=1e-4)
            assert torch.allclose(matrices.sum(2), torch.ones(()), atol=1e-4)


def learned(sym, model, states, batch, labels, **options):
    return match.sinkhorn(
        sym, states, model=model, images=batch, labels=labels, steps=20, batch_size=64, n_images=150, **options
    )


def test_sinkhorn_lowers_the_loss_and_keeps_functions():
    model = FAMILIES["mlp"]()
    sym = symmetry.discover(model, images(2))
    states = {seed: state(build("mlp", shape=SHAPE, width=12, seed=seed), seed) for seed in (4, 2, 9)}
    batch = images(200)
    labels = torch.randint(10, (200,), generator=torch.Generator().manual_seed(0))
    start = match.merge_many(sym, states, model=model, images=batch[:150], similarity="activations")
    found, again = (learned(sym, model, states, batch, labels, lr=0.2) for _ in range(2))
    assert found.permutations != start.permutations and found.permutations == again.permutations
    aligned = {seed: sym.apply(permutation, states[seed]) for seed, permutation in found.permutations.items()}
    before = {seed: sym.apply(permutation, states[seed]) for seed, permutation in start.permutations.items()}
    points = torch.distributions.Dirichlet(torch.ones(3, dtype=torch.float64)).sample((40,))
    losses = [
        barrier.losses(model, list(side.values()), points, batch[:150], labels[:150])[0].mean()
        for side in (aligned, before)
    ]
    assert losses[0] < losses[1]
    (loss,), _ = barrier.losses(model, [aligned[4], aligned[9]], torch.tensor([[0.5, 0.5]]), batch[:150], labels[:150])
    assert found.objectives[4, 9] == pytest.approx(-loss, rel=1e-5)
    for seed, permutation in found.permutations.items():
        symmetry.check(model, sym, permutation, states[seed], batch)


def test_each_exchange_of_units_lowers_the_loss_half_way_between_networks():
    model = FAMILIES["mlp"]()
    sym = symmetry.discover(model, images(2))
    states = {seed: state(build("mlp", shape=SHAPE, width=12, seed=seed), seed) for seed in (4, 2, 9)}
    batch = images(200)
    labels = torch.randint(10, (200,), generator=torch.Generator().manual_seed(0))
    most = (0, 1, 2, 4, 100)
    frames = [learned(sym, model, states, batch, labels, lr=0.2, exchanges=count) for count in most]
    losses = [-sum(frame.objectives.values()) for frame in frames]
    assert all(after < before for before, after in pairwise(losses)), losses


@pytest.mark.parametrize("make", [Attention, Grouped, Residual])
def test_sinkhorn_moves_blocks_and_what_lies_in_them(make):
    model = make()
    sym = symmetry.discover(model, images(2))
    generator = torch.Generator().manual_seed(1)
    states = {seed: symmetry.random_state(model, generator) for seed in range(2)}
    labels = torch.randint(5, (64,), generator=generator)
    found = learned(sym, model, states, images(64), labels, lr=0.5, noise=0.5)
    symmetry.check(model, sym, found.permutations[1], states[1], images(8), tolerance=None)


def test_a_pair_is_learned_as_two_networks_are():
    model = FAMILIES["mlp"]()
    sym = symmetry.discover(model, images(2))
    a, b = (state(build("mlp", shape=SHAPE, width=12, seed=seed), seed) for seed in (4, 2))
    labels = torch.randint(10, (200,), generator=torch.Generator().manual_seed(0))
    given, options = (
        {"model": model, "images": images(200), "labels": labels},
        {"steps": 10, "lr": 0.2, "n_images": 150},
    )
    frame = match.sinkhorn(sym, {0: a, 1: b}, **given, **options)
    pair = match.sinkhorn_pair(sym, a, b, **given, **options)
    assert frame.permutations[0].inverse() @ frame.permutations[1] == pair.permutation
    moments = match.sinkhorn_pair(sym, [a, a], [b, b], **given, **options)
    symmetry.check(model, sym, moments.permutation, b, images(8))


@pytest.mark.filterwarnings("ignore::FutureWarning")  # of old weight norm
@pytest.mark.parametrize("name", ZOO)
def test_soft_matrices_do_what_permutations_do(name):
    """Where they are permutations; and half-way between two orders of one group, they do the mean of both."""
    make, example, _ = ZOO[name]
    torch.manual_seed(0)
    model = make().eval()
    sym = symmetry.discover(model, example, verify=False)
    generator = torch.Generator().manual_seed(2)
    network = symmetry.random_state(model, generator)
    permutation = sym.random(generator)
    moved, hard = symmetry.apply_soft(sym, matrices(sym, permutation), network), sym.apply(permutation, network)
    numbers = [key for key in network if network[key].is_floating_point() or network[key].is_complex()]
    assert all(torch.equal(moved[key], hard[key]) for key in numbers)
    for group, own in sym.groups.items():
        places = [key for key, _ in own.axes]
        if sym.nested[group] or len(set(places)) < len(places):
            continue  # elsewhere the tensors are linear in its matrices
        inner = {other: sym.inner(sym.identity(), other) for other in sym.groups}
        turned = sym.assemble(
            {**inner, group: sym.inner(permutation, group) if not own.within else inner[group][:, ::-1]}
        )
        half = matrices(sym, turned)
        half[group] = (half[group] + torch.eye(own.block_size)) / 2
        moved, hard = symmetry.apply_soft(sym, half, network), sym.apply(turned, network)
        for key in numbers:
            assert torch.allclose(moved[key], (hard[key] + network[key]) / 2, atol=1e-5)


def matrices(sym, permutation):
    found = {}
    for name, group in sym.groups.items():
        order = torch.tensor(sym.inner(permutation, name))
        found[name] = torch.nn.functional.one_hot(order, group.block_size).float()
    return found


def test_balanced_matrices_and_their_gradient():
    logits = (3 * torch.randn(2, 5, 5, generator=torch.Generator().manual_seed(0))).double().requires_grad_()
    found = balance(logits, 400)
    assert torch.allclose(found.sum(1), torch.ones(2, 5).double()) and torch.allclose(found.sum(2), found.sum(1))
    assert torch.autograd.gradcheck(lambda values: balance(values, 400), (logits,), atol=1e-6)


def test_soft_matrices_move_axes_in_one_order(monkeypatch):
    """Else the last bits of what is learned depend on where units lie in memory."""
    model = FAMILIES["mlp"]()
    network, moved = state(model, 0), []
    for shift in range(8):
        monkeypatch.setattr(Atom, "__hash__", lambda one, shift=shift: one.order + shift)
        sym = symmetry.discover(model, images(2), verify=False)
        generator = torch.Generator().manual_seed(3)
        soft = {name: torch.rand(1, size, size, generator=generator) for name, size in sym.sizes.items()}
        moved.append(symmetry.apply_soft(sym, soft, network))
    assert all(torch.equal(other[key], tensor) for other in moved for key, tensor in moved[0].items())
