"""Which paths the claims measure, and in which frames."""

import pytest
import torch
from networks import build, state

from onebasin import claims, symmetry
from onebasin.landscape import paths


@pytest.fixture
def case():
    model = build("mlp", width=5)
    sym = symmetry.discover(model, torch.randn(2, 1, 8, 8))
    base = state(model)
    # Every network is a permuted copy of one, so that all frames can be told apart exactly.
    moves = {seed: sym.random(torch.Generator().manual_seed(seed)) for seed in range(4)}
    states = {seed: sym.apply(move, base) for seed, move in moves.items()}
    pairs = {(a, b): moves[a] @ moves[b].inverse() for a in range(4) for b in range(a + 1, 4)}
    return sym, states, pairs


def equal(one, other) -> bool:
    return all(torch.equal(one[key], other[key]) for key in one)


def test_the_second_end_comes_into_the_frame_of_the_first(case):
    sym, states, pairs = case
    for path in paths.weak(paths.pairs(range(4))) + paths.strong(paths.triples(range(4))):
        a, b = claims.endpoints(path, states, pairs, sym)
        assert equal(a, states[path.a]) and equal(b, states[path.a])
    none = paths.none([(0, 1)])[0]
    a, b = claims.endpoints(none, states, {}, sym)
    assert equal(a, states[0]) and equal(b, states[1]) and not equal(a, b)


def test_a_path_through_a_third_network_is_the_one_between_both_in_its_frame(case):
    sym, states, _ = case
    other = {seed: sym.random(torch.Generator().manual_seed(10 + seed)) for seed in range(3)}
    found = {(2, 0): other[0], (1, 2): other[1]}
    path = paths.strong([(2, 0, 1)])[0]
    a, b = claims.endpoints(path, states, found, sym)
    both = [claims.into_frame(sym, found, 2, seed, states[seed]) for seed in (0, 1)]
    assert equal(a, states[0])
    assert all(equal(sym.apply(other[0], end), moved) for end, moved in zip((a, b), both, strict=True))


def test_a_common_frame_has_each_pair_once_and_takes_every_network_into_it(case):
    sym, states, pairs = case
    found = paths.common(paths.pairs(range(4)))
    assert [(path.a, path.b) for path in found] == list(pairs)
    assert {(path.claim, path.reference) for path in found} == {("strong", None)}
    frame = {seed: sym.identity() if seed == 0 else pairs[0, seed] for seed in states}
    assert all(equal(moved, states[0]) for moved in claims.into_common_frame(sym, frame, states).values())


def test_triangles(case):
    sym, states, pairs = case
    weak, strong = claims.triangles(range(4), matched=True)
    assert weak.corners == strong.corners == (0, 1, 2)
    assert (weak.claim, weak.reference, strong.claim, strong.reference) == ("weak", None, "strong", 3)
    assert all(equal(corner, states[0]) for corner in claims.corners(weak, states, pairs, sym))
    assert all(equal(corner, states[3]) for corner in claims.corners(strong, states, pairs, sym))
    (none,) = claims.triangles(range(4), matched=False)
    assert [equal(c, states[i]) for i, c in enumerate(claims.corners(none, states, {}, sym))] == [True] * 3
    assert [t.claim for t in claims.triangles(range(3), matched=True)] == ["weak"]
    with pytest.raises(ValueError, match="three"):
        claims.triangles(range(2), matched=True)


def test_a_pair_that_was_not_matched_is_an_error(case):
    sym, states, pairs = case
    with pytest.raises(KeyError):
        claims.into_frame(sym, {}, 0, 1, states[1])
