"""Barriers, as arithmetic: how far a metric rises above the interpolation of its values at the networks themselves.

The barrier of two networks is the largest excess of a metric along the straight line between them over the linear
interpolation of its values at the ends (Frankle et al. 2020, arXiv 1912.05671; Sharma et al. 2024, arXiv 2404.06498).
Between n networks the line becomes the simplex. Only the standard library is imported here.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

METRICS = ("loss", "error", "loss_calibrated")
CONNECTED = 0.02
"""Error barrier under which two networks count as linearly connected (Sharma et al. 2024)."""

Row = dict[str, Any]
Point = tuple[Sequence[float], Mapping[str, Any]]


class Highest(NamedTuple):
    """Where a metric rises most.

    Attributes:
        rise: value less baseline.
        value: the metric there.
        baseline: the interpolation of its values at the networks.
        point: its number.
    """

    rise: float
    value: float
    baseline: float
    point: int


def highest(weights: Iterable[Sequence[float]], values: Iterable[float], ends: Sequence[float]) -> Highest:
    """Find the point that rises most above the interpolation of the networks' own values.

    Args:
        weights: for each point the shares of the n networks.
        values: the metric at each point.
        ends: [n] the metric of the networks themselves.

    Returns:
        The first of the highest points; a point whose value is not a number counts as the highest.

    Raises:
        ValueError: if there is no point.
    """
    best = None
    for index, (shares, value) in enumerate(zip(weights, values, strict=True)):
        baseline = sum(share * end for share, end in zip(shares, ends, strict=True))
        found = Highest(value - baseline, value, baseline, index)
        if math.isnan(found.rise):
            return found
        if best is None or found.rise > best.rise:
            best = found
    if best is None:
        raise ValueError("a barrier needs at least one point")
    return best


def height(alphas: Iterable[float], values: Sequence[float]) -> float:
    """Return the barrier of a curve: the largest excess over the line between its ends.

    Args:
        alphas: points in [0, 1], ascending, the first 0 and the last 1.
        values: loss or error at each point.

    Returns:
        The barrier in the unit of the values, never negative: at the ends the excess is 0.
    """
    measured = [float(value) for value in values]
    return highest([(1 - alpha, alpha) for alpha in map(float, alphas)], measured, (measured[0], measured[-1])).rise


def simplex_height(weights: Iterable[Sequence[float]], values: Iterable[float], corners: Sequence[float]) -> float:
    """Return the simplex barrier: the largest excess over the interpolation of the corners' values.

    Args:
        weights: [K, n] barycentric coordinates.
        values: [K] loss or error.
        corners: [n] loss or error of the n networks.

    Returns:
        The barrier in the unit of the values.
    """
    ends = [float(corner) for corner in corners]
    return highest(([float(share) for share in row] for row in weights), map(float, values), ends).rise


def barriers(curves: Iterable[Mapping[str, Any]]) -> Iterator[Row]:
    """Turn rows of curves into one row for each curve and metric.

    Args:
        curves: rows with the columns alpha, loss, error and, where it was measured, loss_calibrated; their other
            columns name the curve. Points may come in any order.

    Yields:
        The columns that name the curve, metric, barrier, alpha (the first where the rise is largest), end_a and end_b.
        A curve with a value that is not a number has the barrier nan. A metric without values has no row.

    Raises:
        ValueError: for a curve without its ends, or with an alpha given twice.
    """
    points: dict[tuple[tuple[str, Any], ...], list[tuple[Any, ...]]] = {}
    for row in curves:
        name = tuple((column, value) for column, value in row.items() if column != "alpha" and column not in METRICS)
        points.setdefault(name, []).append((row["alpha"], *(row.get(metric) for metric in METRICS)))
    for name, curve in points.items():
        curve.sort(key=lambda point: point[0])
        alphas = [point[0] for point in curve]
        if alphas[0] != 0 or alphas[-1] != 1 or len(set(alphas)) != len(alphas):
            raise ValueError(f"the curve of {dict(name)} must have each alpha once, 0 and 1 among them")
        weights = [(1 - alpha, alpha) for alpha in alphas]
        for index, metric in enumerate(METRICS, start=1):
            values = [point[index] for point in curve]
            if None in values:
                continue
            top = highest(weights, values, (values[0], values[-1]))
            ends = {"end_a": values[0], "end_b": values[-1]}
            yield {**dict(name), "metric": metric, "barrier": top.rise, "alpha": alphas[top.point], **ends}


def split_of(measured: Iterable[Point], split: str) -> list[Point]:
    """Return the points that were measured on one split."""
    return [point for point in measured if point[1]["split"] == split]


def ends_of(measured: Iterable[Point], metric: str) -> list[float]:
    """Return the metric of the networks themselves, in their order: the points with a weight of 1."""
    found = {list(weights).index(1.0): values[metric] for weights, values in measured if 1.0 in weights}
    return [found[index] for index in sorted(found)]


def summit(measured: Sequence[Point], metric: str, among: Sequence[Point] | None = None) -> Highest:
    """Find the measured mixture that rises most above the interpolation of the networks.

    Args:
        measured: mixtures of n networks, on one split, with the networks themselves among them.
        metric: one of the values.
        among: the mixtures that are looked at; all unless they are given.
    """
    looked_at = measured if among is None else among
    weights, values = [point[0] for point in looked_at], [point[1][metric] for point in looked_at]
    return highest(weights, values, ends_of(measured, metric))
