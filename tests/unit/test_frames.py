"""Methods for n networks recover what was planted, never lose to a reference, and keep every function."""

from itertools import combinations

import pytest
import torch
from networks import Attention, Residual, build, state

from onebasin import match, symmetry

SHAPE = (3, 8, 8)
FAMILIES = {
    "mlp": lambda: build("mlp", shape=SHAPE, width=12),
    "cnn-batch": lambda: build("cnn", shape=SHAPE, width=6, norm="batch"),
    "residual": Residual,
    "attention": Attention,
}
FAST = ["reference", "merge_many", "universe"]
both = pytest.mark.parametrize("similarity", ["weights", "activations"])
each = pytest.mark.parametrize("method", FAST)


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
    found = match.FRAMES[method](sym, model, states, images(), similarity=similarity)
    assert pair_permutations(found) == {(a, b): answers[a] @ answers[b].inverse() for a, b in combinations(states, 2)}


@pytest.fixture(scope="module", params=["mlp", "cnn-batch", "attention"])
def different(request):
    """Four networks that have nothing in common."""
    model = FAMILIES[request.param]()
    return model, symmetry.discover(model, images(2)), {seed: state(model, seed) for seed in range(4)}


def mean(found: match.Frame) -> float:
    return sum(found.objectives.values()) / len(found.objectives)


@both
@each
def test_permuted_networks_compute_the_same_function(different, method, similarity):
    model, sym, states = different
    found = match.FRAMES[method](sym, model, states, images(), similarity=similarity)
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
    references = [match.reference(sym, model, states, images(), similarity=similarity, to=seed) for seed in states]
    best = match.reference(sym, model, states, images(), similarity=similarity)
    assert mean(best) == max(map(mean, references))
    merged = match.merge_many(sym, model, states, images(), similarity=similarity)
    universe = match.universe(sym, model, states, images(), similarity=similarity)
    assert mean(universe) >= mean(merged) >= mean(best)


@both
@each
def test_same_seed_same_frame_whatever_global_state(different, method, similarity):
    model, sym, states = different
    found = []
    for global_seed in (1, 2):
        torch.manual_seed(global_seed)
        found.append(match.FRAMES[method](sym, model, states, images(), similarity=similarity, seed=3))
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
