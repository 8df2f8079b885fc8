"""Intervals and tests over networks, not over paths.

A network enters every path that begins or ends at it, so that paths are not independent, and networks are what varies.
Networks are therefore left out one by one, and not paths (the jackknife of Quenouille and Tukey; Efron and Tibshirani
1993, chapter 11): how the estimate changes without each of them says how far it may be off, and Student's t
distribution how sure that is with few networks (Miller 1974).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import stdtr, stdtrit

LEVEL = 0.95
FLOOR = 0.03
"""Share of the mean that is added before a logarithm is taken, so that a mean of 0 has one."""


@dataclass(frozen=True)
class Estimate:
    """An estimate and its uncertainty, by the jackknife over networks.

    Attributes:
        value: the estimate from all networks, any shape.
        bias: how far it lies above the truth on average, as far as the jackknife tells, [*shape].
        error: its standard error, [*shape]; nan where leaving out a network leaves nothing.
        freedom: the degrees of freedom of the error, [*shape].
    """

    value: np.ndarray
    bias: np.ndarray
    error: np.ndarray
    freedom: np.ndarray

    def bounds(self, *, corrected: bool = False) -> tuple[np.ndarray, np.ndarray]:
        """Return the 95 % interval of Student's t, [*shape] each, about the value, or about the value less its bias."""
        centre = self.value - self.bias if corrected else self.value
        reach = stdtrit(self.freedom, (1 + LEVEL) / 2) * self.error
        return centre - reach, centre + reach

    def p(self) -> np.ndarray:
        """Return the two-sided p value of the hypothesis that the truth is 0, [*shape]."""
        with np.errstate(divide="ignore", invalid="ignore"):
            ratio = np.where(self.value == 0, 0 * self.error, np.abs(self.value) / self.error)
        return np.asarray(2 * stdtr(self.freedom, -ratio))


def jackknife(estimate: np.ndarray | float, without: Sequence[np.ndarray]) -> Estimate:
    """Return the uncertainty of an estimate from what it is without each network.

    Args:
        estimate: from all networks, any shape.
        without: for each group of networks, drawn independently of the other groups, the estimates without each of its
            networks, [networks of the group, *shape of the estimate].

    Returns:
        The estimate; with n networks in one group its degrees of freedom are n - 1, with several groups those of Welch
        and Satterthwaite (Satterthwaite 1946).
    """
    value = np.asarray(estimate, dtype=float)
    groups = [np.asarray(group, dtype=float) for group in without]
    free = [max(len(group) - 1, 1) for group in groups]
    bias = np.sum([(len(group) - 1) * (group.mean(axis=0) - value) for group in groups], axis=0)
    variances = [(len(group) - 1) * group.var(axis=0) for group in groups]
    total = np.sum(variances, axis=0)
    spread = np.sum([variance**2 / count for variance, count in zip(variances, free, strict=True)], axis=0)
    freedom = np.divide(total**2, spread, out=np.full_like(total, np.inf), where=spread > 0)
    return Estimate(value, bias, np.sqrt(total), np.minimum(freedom, 1e6))


def means_without(values: np.ndarray, networks: np.ndarray) -> np.ndarray:
    """Return the mean of the paths that are left without each network.

    Args:
        values: [paths].
        networks: [paths, k], the k distinct networks of each path.

    Returns:
        [networks], in the order of their names; nan where no path is left.
    """
    left = [values[(networks != name).all(axis=1)] for name in np.unique(networks)]
    return np.array([part.mean() if len(part) else np.nan for part in left])


def interval(values: np.ndarray, networks: np.ndarray, *, barriers: bool = False) -> tuple[float, float]:
    """Return the 95 % interval of the mean of values that share networks, by the jackknife over networks.

    Barriers are skewed, and so are means of few of them; the logarithms of their means hardly are. Their interval is
    therefore that of log(mean + `FLOOR` of the mean), corrected for its bias, and turned back. benchmarks/intervals.py
    simulates how often either interval holds the true mean.

    Args:
        values: [paths].
        networks: [paths, k], the k distinct networks of each path.
        barriers: whether they are barriers; where one of them is below 0 after all, they are taken as they are.

    Returns:
        The bounds; (nan, nan) where leaving out one network leaves no path, which says nothing of the spread.
    """
    mean, without = float(np.mean(values)), means_without(values, networks)
    if not barriers or (values < 0).any():
        low, high = jackknife(mean, [without]).bounds()
        return float(low), float(high)
    floor = FLOOR * mean or 1.0
    low, high = jackknife(np.log(mean + floor), [np.log(without + floor)]).bounds(corrected=True)
    return float(np.maximum(np.exp(low) - floor, 0)), float(np.exp(high) - floor)


def holm(p: np.ndarray) -> np.ndarray:
    """Return p values adjusted for as many tests, so that the chance of any false one below 0.05 is at most 0.05.

    The i-th smallest of m is multiplied by m - i + 1, and none is less than one before it, or more than 1 (Holm 1979).

    Args:
        p: of all tests of a family, [tests]; nan for what could not be tested, which counts as no test.

    Returns:
        The adjusted p values, [tests].
    """
    adjusted = np.full(len(p), np.nan)
    order = np.argsort(p, kind="stable")[: np.isfinite(p).sum()]
    adjusted[order] = np.minimum(np.maximum.accumulate(p[order] * np.arange(len(order), 0, -1)), 1)
    return adjusted
