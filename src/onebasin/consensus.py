"""How many networks share one frame: which of them are mixed, at which points, and the barriers of the mixtures.

The simplex barrier of n networks is the largest excess of a metric over the interpolation of its values at the networks
themselves, over all their mixtures (Sharma et al. 2024, arXiv 2404.06498, for three).
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import combinations
from typing import Any

import torch
from torch import Tensor

from onebasin import seeding

Point = tuple[Sequence[float], Mapping[str, Any]]
METRICS = ("loss", "error", "loss_calibrated")


def subsets(seeds: Sequence[int], *, nested: bool) -> list[tuple[int, ...]]:
    """Return the sets of networks that share a frame, from two to all.

    Args:
        seeds: the networks.
        nested: the first two, the first three … all of them; otherwise all subsets of two and more.
    """
    sizes = range(2, len(seeds) + 1)
    if nested:
        return [tuple(seeds[:size]) for size in sizes]
    return [subset for size in sizes for subset in combinations(seeds, size)]


def mixtures(networks: int, count: int, seed: int) -> Tensor:
    """Return the weights [networks + 1 + count, networks] of points of a simplex: its corners, its mean, random points.

    Args:
        networks: number of networks.
        count: number of random points, distributed evenly over the simplex.
        seed: of these points.
    """
    generator = seeding.generator("consensus", networks, seed)
    # Exponential variables over their sum are distributed evenly.
    drawn = -torch.log1p(-torch.rand(count, networks, generator=generator, dtype=torch.float64))
    inside = drawn / drawn.sum(1, keepdim=True)
    corners = torch.eye(networks, dtype=torch.float64)
    return torch.cat([corners, torch.full((1, networks), 1 / networks, dtype=torch.float64), inside])


def height(measured: Iterable[Point], split: str, metric: str) -> float:
    """Return the simplex barrier of measured mixtures on one split, in one metric; arguments as for ``barriers``."""
    return _highest([point for point in measured if point[1]["split"] == split], metric)[0]


def barriers(over: str, measured: Iterable[Point]) -> Iterator[dict[str, Any]]:
    """Yield, for each split and metric, the mixture that rises most above the interpolation of the networks.

    Args:
        over: "line" or "simplex"; with "simplex" the mean is also given by itself.
        measured: for each mixture its weights and its values, with the corners (weights of 0 and 1) among them.

    Yields:
        The columns over, split, metric, value, baseline and barrier of table `consensus`. A mixture with a value that
        is not a number counts as the highest.
    """
    points: dict[str, list[Point]] = {}
    for point in measured:
        points.setdefault(point[1]["split"], []).append(point)
    for split, found in points.items():
        for metric in METRICS:
            if found[0][1][metric] is None:
                continue
            chosen = {over: _highest(found, metric)}
            if over == "simplex":
                corners = [point for point in found if 1.0 in point[0]]
                mean = [point for point in found if len(set(point[0])) == 1]
                chosen["mean"] = _highest(corners + mean, metric, among=mean)
            for name, (rise, value, baseline) in chosen.items():
                about = {"over": name, "split": split, "metric": metric}
                yield {**about, "value": value, "baseline": baseline, "barrier": rise}


def _highest(points: Sequence[Point], metric: str, among: Sequence[Point] | None = None) -> tuple[float, float, float]:
    """Return the largest rise above the interpolation of the corners among the points, and its value and baseline."""
    ends = {weights.index(1.0): values[metric] for weights, values in points if 1.0 in weights}
    rises = []
    for weights, values in points if among is None else among:
        baseline = sum(weight * ends[index] for index, weight in enumerate(weights))
        rises.append((values[metric] - baseline, values[metric], baseline))
    return max(rises, key=lambda rise: (math.isnan(rise[0]), rise[0]))
