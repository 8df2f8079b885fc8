"""How far barriers of two methods, or of two claims, differ: on the same networks, path by path.

Barriers of different methods are measured between the same networks, so that what networks differ in cancels in their
difference, and the interval of the difference can be far narrower than those of the two means suggest. Where one side
is a pair aligned to a third network and the other is not, the value of a pair is the mean over its third networks, and
these are left out as the two others are.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np

from onebasin import statistics

CELL = ("model", "split", "metric")
"""Columns of table `width` that name what is compared at several widths."""

Barriers = Mapping[tuple[int, int, int | None], float]
"""The barrier of each path, by its networks a, b and the reference, None where there is none."""


@dataclass(frozen=True)
class Side:
    """One of the two that are compared.

    Attributes:
        claim: "none", "weak" or "strong".
        method: its name.
        compared: what its algorithm compares.
        common: whether it is a frame common to all networks.
    """

    claim: str
    method: str
    compared: str
    common: bool


@dataclass(frozen=True)
class Difference:
    """The mean difference of paths, and what it is without each network.

    Attributes:
        mean: the second side less the first.
        without: the mean without each network, [networks]; nan where no path is left.
    """

    mean: float
    without: np.ndarray


Comparison = tuple[str, Side, Side]
"""Its kind, the first side and the second."""
Test = tuple[Comparison, int | None, Sequence[Difference]]
"""What is compared, the width, None for the mean over widths, and the difference of each width."""


def comparisons(sides: Iterable[Side]) -> Iterator[Comparison]:
    """Yield what is compared: its kind, the first side and the second.

    Of kind "method" are, within the weak and within the strong claim, any two methods, and each method and none; of
    kind "claim" are weak and strong by the same method, and a common frame and the weak claim by what compares the
    same.

    Args:
        sides: all that there are, in the order that says which of two methods is the first.
    """
    of = {claim: [side for side in sides if side.claim == claim] for claim in ("none", "weak", "strong")}
    for claim in ("weak", "strong"):
        yield from (("method", *two) for two in combinations([*of["none"], *of[claim]], 2))
    for strong in of["strong"]:
        for weak in of["weak"]:
            if weak.compared == strong.compared if strong.common else weak.method == strong.method:
                yield "claim", weak, strong


def difference(first: Barriers, second: Barriers) -> Difference | None:
    """Return the mean of the second side's barriers less the first's, over the paths that both have.

    Args:
        first: with a reference, or without; a path without one stands beside each of the other side that has one.
        second: the same of the second side.

    Returns:
        The difference; None where there is no path at which both are finite.
    """
    long = first if any(reference is not None for *_, reference in first) else second
    values, networks = [], []
    for key in long:
        one, two = (side.get(key, side.get((*key[:2], None), np.nan)) for side in (first, second))
        if np.isfinite(two - one):
            values.append(two - one)
            networks.append([name for name in key if name is not None])
    if not values:
        return None
    found = np.array(values)
    return Difference(float(found.mean()), statistics.means_without(found, np.array(networks)))


def estimate(differences: Iterable[Difference]) -> statistics.Estimate:
    """Return the mean of differences whose networks are independent, as those of different widths are."""
    found = list(differences)
    mean = float(np.mean([one.mean for one in found]))
    return statistics.jackknife(mean, [mean + (one.without - one.mean) / len(found) for one in found])


def rows(width: Iterable[Mapping[str, Any]]) -> Iterator[dict[str, Any]]:
    """Turn rows of table `width` into rows of table `differences`.

    Where a model has several widths, the mean over its widths follows with the width None. Holm's correction is for all
    comparisons of a model, split and metric: those of single widths are one family, the means over widths another.
    """
    cells: dict[tuple[Any, ...], dict[int, dict[Side, dict[tuple[int, int, int | None], float]]]] = {}
    for row in width:
        common = row["claim"] == "strong" and row["reference"] is None
        side = Side(row["claim"], row["method"], row["compared"], common)
        cell = cells.setdefault(tuple(row[name] for name in CELL), {})
        barriers = cell.setdefault(row["width"], {}).setdefault(side, {})
        barriers[row["a"], row["b"], row["reference"]] = row["barrier"]
    for key, widths in cells.items():
        found: dict[Comparison, dict[int, Difference]] = {}
        for place, sides in widths.items():
            for kind, first, second in comparisons(sides):
                one = difference(sides[first], sides[second])
                if one is not None:
                    found.setdefault((kind, first, second), {})[place] = one
        yield from _family(
            key, [(what, place, [of[place]]) for place in widths for what, of in found.items() if place in of]
        )
        yield from _family(key, [(what, None, [*of.values()]) for what, of in found.items() if len(of) > 1])


def _family(cell: tuple[Any, ...], tests: Sequence[Test]) -> Iterator[dict[str, Any]]:
    """Yield the rows of a family of tests."""
    estimates = [estimate(differences) for *_, differences in tests]
    adjusted = statistics.holm(np.array([float(found.p()) for found in estimates]))
    for ((kind, first, second), width, differences), found, p in zip(tests, estimates, adjusted, strict=True):
        low, high = found.bounds()
        numbers = {"low": low, "high": high, "p": found.p(), "p_holm": p}
        yield {
            **dict(zip(CELL, cell, strict=True)),
            "width": width,
            "kind": kind,
            "first_claim": first.claim,
            "first": first.method,
            "second_claim": second.claim,
            "second": second.method,
            "difference": float(found.value),
            **{name: None if np.isnan(number) else float(number) for name, number in numbers.items()},
            "networks": sum(len(one.without) for one in differences),
            "holm": "yes" if p < 1 - statistics.LEVEL else "no",
        }
