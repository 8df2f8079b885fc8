"""Paths and cycles over networks that were matched in pairs: is matching transitive?

The permutations of the steps of a path, composed, take its last network into the frame of the first. Pairwise matching
does not force the composition to be the permutation that matches the two ends, nor that of a closed cycle to be the
identity; permutations into one common frame do (Crisostomi et al. 2024, arXiv 2405.17897).

The way between two networks is as high as that between both after one common permutation. So the barrier that the
composition a-r-b leaves is the strong barrier of a and b through the reference r.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from itertools import combinations, permutations

import torch

from onebasin.permutation import Permutation

Networks = tuple[int, ...]


def paths(seeds: Sequence[int], length: int, limit: int, generator: torch.Generator) -> list[Networks]:
    """Return paths without repetition, each in one direction: the other one has the inverse permutation.

    Args:
        seeds: the networks.
        length: steps of a path, at least 1; it visits one network more.
        limit: the largest number of paths; if there are more, as many are drawn at random.
        generator: draws them.

    Returns:
        The networks of each path, the first smaller than the last, sorted; none where there are too few networks.
    """
    total = math.perm(len(seeds), length + 1) // 2
    return _draw(seeds, length + 1, total, limit, generator, lambda way: min(way, way[::-1]))


def closed(seeds: Sequence[int], length: int, limit: int, generator: torch.Generator) -> list[Networks]:
    """Return cycles, each from one start and in one direction: the others have as many fixed points.

    Args:
        seeds: the networks.
        length: steps of a cycle, at least 3; it visits as many networks.
        limit: the largest number of cycles; if there are more, as many are drawn at random.
        generator: draws them.

    Returns:
        The networks of each cycle from the smallest one back to it, sorted; none where there are too few networks.
    """

    def canonical(way: Networks) -> Networks:
        start = way.index(min(way))
        turned = way[start:] + way[:start] + (way[start],)
        return min(turned, turned[::-1])

    total = math.perm(len(seeds), length) // (2 * length)
    return _draw(seeds, length, total, limit, generator, canonical)


def _draw(
    seeds: Sequence[int],
    visited: int,
    total: int,
    limit: int,
    generator: torch.Generator,
    canonical: Callable[[Networks], Networks],
) -> list[Networks]:
    if total <= limit:
        return sorted({canonical(way) for way in permutations(seeds, visited)})
    drawn: set[Networks] = set()
    while len(drawn) < limit:
        order = torch.randperm(len(seeds), generator=generator)[:visited]
        drawn.add(canonical(tuple(seeds[index] for index in order.tolist())))
    return sorted(drawn)


def within(frame: Mapping[int, Permutation]) -> dict[tuple[int, int], Permutation]:
    """Return the permutations of all pairs that a common frame of n networks contains; these are transitive.

    Args:
        frame: for each network, by its seed, the permutation that takes it into the common frame.

    Returns:
        For each pair (a, b), in the order of the seeds given, the permutation that takes b into the frame of a.
    """
    return {(a, b): frame[a].inverse() @ frame[b] for a, b in combinations(frame, 2)}


def fixed_points(permutation: Permutation) -> float:
    """Return the fraction of all units, of all groups together, that stay in place."""
    sizes = permutation.sizes
    return sum(share * sizes[name] for name, share in permutation.fixed_points().items()) / sum(sizes.values())


def chance(permutation: Permutation) -> float:
    """Return the fraction of units that stay in place on average under uniformly random orders: one in each group."""
    return len(permutation) / sum(permutation.sizes.values())
