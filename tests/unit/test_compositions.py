"""Paths and cycles over matched networks: which there are, and what their steps compose to."""

import itertools

import pytest
import torch
from networks import build, state

from onebasin import seeding, symmetry
from onebasin.landscape import claims, compositions


def drawn(draw, seeds, length, limit, name="test"):
    return draw(seeds, length, limit, seeding.generator(name))


def test_every_path_and_cycle_once():
    assert [len(drawn(compositions.paths, range(4), length, 100)) for length in (1, 2, 3, 4)] == [6, 12, 12, 0]
    assert [len(drawn(compositions.closed, range(5), length, 100)) for length in (3, 4, 5, 6)] == [10, 15, 12, 0]
    for path in drawn(compositions.paths, [3, 1, 7, 5], 3, 100):
        assert path[0] < path[-1] and sorted(path) == [1, 3, 5, 7]
    for cycle in drawn(compositions.closed, [3, 1, 7, 5], 3, 100):
        assert cycle[0] == cycle[-1] == min(cycle) and cycle[1] < cycle[-2] and len(set(cycle)) == 3


@pytest.mark.parametrize(("draw", "length"), [(compositions.paths, 5), (compositions.closed, 4)])
def test_as_many_as_the_limit_are_drawn_by_the_generator_alone(draw, length):
    some = drawn(draw, range(10), length, 7)
    everything = drawn(draw, range(10), length, 10**6)
    assert len(set(some)) == 7 and some == sorted(some) and set(some) <= set(everything)
    assert some == drawn(draw, range(10), length, 7) != drawn(draw, range(10), length, 7, "other")


def test_a_composition_takes_the_last_network_into_the_frame_of_the_first():
    model = build("mlp", width=5)
    sym = symmetry.discover(model, torch.randn(2, 1, 8, 8))
    base = state(model)
    moves = {seed: sym.random(torch.Generator().manual_seed(seed)) for seed in range(4)}
    states = {seed: sym.apply(move, base) for seed, move in moves.items()}
    consistent = {(a, b): moves[a] @ moves[b].inverse() for a, b in itertools.combinations(range(4), 2)}
    for path in drawn(compositions.paths, range(4), 3, 100):
        end = sym.apply(claims.along(consistent, path), states[path[-1]])
        assert all(torch.equal(end[key], states[path[0]][key]) for key in end)
    for cycle in drawn(compositions.closed, range(4), 4, 100):
        composed = claims.along(consistent, cycle)
        assert composed == sym.identity() and compositions.fixed_points(composed) == 1


def test_the_permutations_within_a_common_frame_take_every_network_into_the_frame_of_every_other():
    model = build("mlp", width=5)
    sym = symmetry.discover(model, torch.randn(2, 1, 8, 8))
    frame = {seed: sym.random(torch.Generator().manual_seed(seed)) for seed in (0, 3, 5)}
    states = {seed: sym.apply(move.inverse(), state(model)) for seed, move in frame.items()}
    pairs = compositions.within(frame)
    assert list(pairs) == [(0, 3), (0, 5), (3, 5)]
    for (a, b), permutation in pairs.items():
        moved = sym.apply(permutation, states[b])
        assert all(torch.equal(moved[key], states[a][key]) for key in moved)
    assert claims.along(pairs, (0, 5, 3, 0)) == sym.identity()


def test_a_cycle_has_as_many_fixed_points_from_every_start_and_in_both_directions():
    sym = symmetry.discover(build("mlp", width=6), torch.randn(2, 1, 8, 8))
    pairs = {(a, b): sym.random(seeding.generator(a, b)) for a, b in itertools.combinations(range(4), 2)}
    shares = {
        way: compositions.fixed_points(claims.along(pairs, (*way, way[0]))) for way in itertools.permutations(range(4))
    }
    for cycle in drawn(compositions.closed, range(4), 4, 100):
        way = cycle[:-1]
        same = {turned for k in range(4) for turned in (way[k:] + way[:k], (way[k:] + way[:k])[::-1])}
        assert len(same) == 8 and len({shares[turned] for turned in same}) == 1


def test_chance_is_the_mean_over_random_orders():
    sym = symmetry.discover(build("mlp", width=6), torch.randn(2, 1, 8, 8))
    found = [sym.random(torch.Generator().manual_seed(seed)) for seed in range(400)]
    mean = sum(map(compositions.fixed_points, found)) / len(found)
    assert compositions.chance(found[0]) == pytest.approx(1 / 6)
    assert mean == pytest.approx(1 / 6, abs=0.02)


def test_a_step_that_was_not_matched_is_an_error():
    sym = symmetry.discover(build("mlp", width=5), torch.randn(2, 1, 8, 8))
    with pytest.raises(KeyError):
        claims.along({(0, 1): sym.identity()}, (0, 1, 2))
