"""Methods for n networks recover what was planted, never lose to a reference, and keep every function."""

from itertools import combinations

import numpy as np
import pytest
import torch
from networks import Attention, Residual, build, state

from onebasin import barrier, match, symmetry
from onebasin.match import frank_wolfe
from onebasin.match.comparison import Weights, compare

SHAPE = (3, 8, 8)
FAMILIES = {
    "mlp": lambda: build("mlp", shape=SHAPE, width=12),
    "cnn-batch": lambda: build("cnn", shape=SHAPE, width=6, norm="batch"),
    "residual": Residual,
    "attention": Attention,
}
METHODS = {"reference": {}, "merge_many": {}, "universe": {"climbs": 1}}
both = pytest.mark.parametrize("similarity", ["weights", "activations"])
each = pytest.mark.parametrize("method", METHODS)


def find(method: str, *network: object, **options: object) -> match.Frame:
    return match.FRAMES[method](*network, images(), **METHODS[method], **options)


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
    found = match.reference(sym, model, states, images(), similarity=similarity, to=2)
    assert found.permutations[2] == sym.identity()
    assert set(found.objectives) == set(combinations(states, 2))
    for other in (0, 1):
        if similarity == "weights":
            pair = match.weights(sym, states[other], states[2])
        else:
            pair = match.activations(sym, model, states[other], states[2], images())
        assert found.objectives[other, 2] == pytest.approx(pair.objective, rel=1e-5)
        assert found.permutations[other] == pair.permutation.inverse()


@both
def test_no_method_is_worse_than_any_reference(different, similarity):
    model, sym, states = different
    references = [find("reference", sym, model, states, similarity=similarity, to=seed) for seed in states]
    best, merged, universe = (mean(find(method, sym, model, states, similarity=similarity)) for method in METHODS)
    assert max(map(mean, references)) == best <= merged <= universe


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
        match.reference(sym, model, **given)


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
    comparison = compare(similarity, sym, model, states, images(), 0)
    identity = dict.fromkeys(states, sym.identity())
    for relaxation in comparison.relaxations(comparison.soften(identity), identity):
        before = relaxation.line({})(0)
        assert frank_wolfe.maximise(relaxation) > 0
        assert relaxation.line({})(0) > before
        for matrices in relaxation.matrices.values():
            assert matrices.min() > -1e-6
            assert torch.allclose(matrices.sum(1), torch.ones(()), atol=1e-4)
            assert torch.allclose(matrices.sum(2), torch.ones(()), atol=1e-4)


def test_straight_through_lowers_the_loss_and_keeps_functions():
    model = FAMILIES["mlp"]()
    sym = symmetry.discover(model, images(2))
    states = {seed: state(build("mlp", shape=SHAPE, width=12, seed=seed), seed) for seed in (4, 2, 9)}
    batch = images(200)
    labels = torch.randint(10, (200,), generator=torch.Generator().manual_seed(0))
    start, found, again = (
        match.ste(sym, model, states, batch, labels, steps=steps, lr=lr, batch_size=64, points=2, n_images=150)
        for steps, lr in ((1, 1e-9), (10, 0.5), (10, 0.5))
    )
    assert found.permutations != start.permutations and found.permutations == again.permutations
    assert mean(found) > mean(start)
    aligned = {seed: sym.apply(permutation, states[seed]) for seed, permutation in found.permutations.items()}
    (loss,), _ = barrier.losses(model, [aligned[4], aligned[9]], torch.tensor([[0.5, 0.5]]), batch[:150], labels[:150])
    assert found.objectives[4, 9] == pytest.approx(-loss)
    for seed, permutation in found.permutations.items():
        symmetry.check(model, sym, permutation, states[seed], batch)
