"""Which paths between networks are looked at, and how they are drawn."""

from collections import Counter
from itertools import combinations

import pytest

from onebasin.landscape import paths


def test_all_paths():
    assert paths.pairs([5, 2, 7]) == [(5, 2), (5, 7), (2, 7)]
    assert paths.pairs(range(5), "disjoint") == [(0, 1), (2, 3)]
    assert paths.triples([5, 2, 7]) == [(5, 2, 7), (2, 5, 7), (7, 5, 2)]
    found = paths.triples(range(4))
    assert len(found) == len(set(found)) == 12
    assert paths.triples([5, 6]) == []
    assert paths.pairs(range(4), 6) == paths.pairs(range(4), 99) == paths.pairs(range(4))
    assert paths.triples(range(4), 12) == paths.triples(range(4))


@pytest.mark.parametrize("networks, count", [(100, 200), (100, 30), (10, 44), (7, 13), (6, 1)])
def test_drawn_pairs_use_all_networks_alike(networks, count):
    seeds = [3 * network for network in range(networks)]
    found = paths.pairs(seeds, count)
    assert len(found) == len(set(found)) == count
    assert found == [pair for pair in combinations(seeds, 2) if pair in set(found)]
    uses = Counter(seed for pair in found for seed in pair)
    assert max(uses.values()) - min(uses[seed] for seed in seeds) <= 2


@pytest.mark.parametrize("networks, count", [(100, 300), (10, 359), (5, 7)])
def test_drawn_triples_use_all_networks_alike(networks, count):
    found = paths.triples(range(networks), count)
    assert len(found) == len(set(found)) == count
    assert all(a < b and reference not in (a, b) for reference, a, b in found)
    assert found == sorted(found)
    for places in ([0], [1, 2]):
        uses = Counter(triple[place] for triple in found for place in places)
        assert max(uses.values()) - min(uses[seed] for seed in range(networks)) <= 2


def test_a_draw_is_the_same_everywhere_and_another_with_another_seed():
    assert paths.pairs(range(8), 5) == [(0, 4), (1, 3), (2, 7), (4, 5), (5, 6)]
    assert paths.triples(range(6), 4) == [(0, 3, 5), (1, 2, 4), (3, 0, 5), (5, 0, 1)]
    assert paths.pairs(range(8), 5, seed=1) != paths.pairs(range(8), 5)


def test_the_legs_of_strong_paths():
    assert paths.legs([(0, 1, 2), (3, 1, 2)]) == {frozenset(pair) for pair in [(0, 1), (0, 2), (3, 1), (3, 2)]}


def test_paths_of_the_claims():
    assert paths.none([(0, 1)]) == [paths.Path("none", None, 0, 1)]
    assert paths.weak([(0, 1)]) == [paths.Path("weak", None, 0, 1)]
    assert paths.common([(0, 1)]) == [paths.Path("strong", None, 0, 1)]
    assert paths.strong([(4, 0, 1)]) == [paths.Path("strong", 4, 0, 1)]
