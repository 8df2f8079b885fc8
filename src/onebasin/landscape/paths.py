"""The paths that a study measures between networks: which pairs, and in the frame of which third network.

Pairs grow with the square of the number of networks and strong paths with its cube, so both can be drawn. A draw uses
all networks alike, and depends on the networks and on the seed of the draw alone.
"""

from __future__ import annotations

import math
import random
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations

from onebasin import seeding

Pair = tuple[int, int]
Triple = tuple[int, int, int]


@dataclass(frozen=True)
class Path:
    """A straight line between two networks, named by their seeds.

    Attributes:
        claim: "none", "weak" or "strong".
        reference: the network into whose frame both ends are taken; None unless the claim is strong, and for a strong
            path in a frame common to all networks.
        a: the network at alpha = 0.
        b: the network at alpha = 1.
    """

    claim: str
    reference: int | None
    a: int
    b: int


def pairs(networks: Sequence[int], which: str | int = "all", seed: int = 0) -> list[Pair]:
    """Return the pairs of networks that are looked at.

    Args:
        networks: their seeds, in the order that gives each pair its direction.
        which: "all"; "disjoint", the first two, the next two …; or how many to draw.
        seed: of the draw.

    Returns:
        Each pair once, in the order of ``itertools.combinations``.
    """
    every = combinations(networks, 2)
    if which == "disjoint":
        return list(zip(networks[::2], networks[1::2], strict=False))
    if which == "all" or int(which) >= math.comb(len(networks), 2):
        return list(every)
    draw, ends, drawn = _Draw("weak", networks, seed), Counter[int](), set[Pair]()
    while len(drawn) < int(which):
        found = next(pair for pair in _two(draw.by_use(ends), networks) if pair not in drawn)
        drawn.add(found)
        ends.update(found)
    return [pair for pair in every if pair in drawn]


def triples(networks: Sequence[int], which: str | int = "all", seed: int = 0) -> list[Triple]:
    """Return the strong paths that are looked at: a reference, and two other networks.

    Args:
        networks: as for ``pairs``.
        which: "all", or how many to draw.
        seed: of the draw.

    Returns:
        Each reference with each pair of others once, in the order of references, then pairs.
    """
    count = len(networks)
    if which == "all" or int(which) >= count * math.comb(count - 1, 2):
        return [
            (reference, a, b) for reference in networks for a, b in combinations(networks, 2) if reference not in (a, b)
        ]
    draw, references, ends, drawn = _Draw("strong", networks, seed), Counter[int](), Counter[int](), set[Triple]()
    while len(drawn) < int(which):
        found = next(
            triple
            for reference in draw.by_use(references)
            for pair in _two([network for network in draw.by_use(ends) if network != reference], networks)
            if (triple := (reference, *pair)) not in drawn
        )
        drawn.add(found)
        references[found[0]] += 1
        ends.update(found[1:])
    place = {network: index for index, network in enumerate(networks)}
    return sorted(drawn, key=lambda triple: [place[network] for network in triple])


def legs(strong: Iterable[Triple]) -> set[frozenset[int]]:
    """Return the unordered pairs that must be matched for strong paths: of each reference with both ends."""
    return {frozenset((reference, end)) for reference, *ends in strong for end in ends}


def none(drawn: Iterable[Pair]) -> list[Path]:
    """Return the paths without a permutation between pairs."""
    return [Path("none", None, a, b) for a, b in drawn]


def weak(drawn: Iterable[Pair]) -> list[Path]:
    """Return the paths between pairs, of which the second network is taken into the frame of the first."""
    return [Path("weak", None, a, b) for a, b in drawn]


def strong(drawn: Iterable[Triple]) -> list[Path]:
    """Return the paths in the frame of a third network."""
    return [Path("strong", reference, a, b) for reference, a, b in drawn]


def common(drawn: Iterable[Pair]) -> list[Path]:
    """Return the paths between pairs in a frame common to all networks, strong ones without reference."""
    return [Path("strong", None, a, b) for a, b in drawn]


class _Draw:
    """Networks in the order of how little they were used; chance decides among those that were used alike."""

    def __init__(self, claim: str, networks: Sequence[int], seed: int) -> None:
        self.networks = networks
        self.random = random.Random(seeding.derive("paths", claim, seed))  # noqa: S311

    def by_use(self, uses: Counter[int]) -> list[int]:
        return sorted(self.networks, key=lambda network: (uses[network], self.random.random()))


def _two(order: Sequence[int], networks: Sequence[int]) -> Iterator[Pair]:
    """Yield pairs of networks, those first that come early in an order, each in the direction of the networks."""
    place = {network: index for index, network in enumerate(networks)}
    for first, second in combinations(order, 2):
        yield (first, second) if place[first] < place[second] else (second, first)
