"""A bootstrap over networks, calibrated so that its intervals hold with few of them.

A network enters every path that begins or ends at it, so that paths are not independent, and networks are what is
resampled. A plain bootstrap over networks keeps only the paths whose networks were all drawn, and is far too narrow
with few. Here each network has one pseudo-value instead: n times the estimate from all n networks, less n - 1 times the
estimate without it (the jackknife of Quenouille and Tukey; Efron and Tibshirani 1993, chapter 11). For a mean over
pairs or triples it says how much of the mean is due to this network. The pseudo-values are resampled.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

import numpy as np

LEVEL = 0.95
RESAMPLES = 2000
_NORMAL = 1.959964  # quantile of the normal distribution at (1 + LEVEL) / 2


def resample(estimate: np.ndarray | float, without: Sequence[np.ndarray]) -> np.ndarray:
    """Draw an estimate from resampled networks, always the same draws.

    The resampled mean pseudo-values are stretched about the estimate: by sqrt(n / (n - 1)), since a resample of n
    networks varies less than n new ones, and by the quantile of Student's t over that of the normal distribution, since
    the spread itself is estimated; the degrees of freedom are n - 1 for one group of networks, and after Welch and
    Satterthwaite for several.

    Args:
        estimate: from all networks, any shape.
        without: for each group of networks, drawn independently of the other groups, the estimates without each of its
            networks, [networks of the group, *shape of the estimate]; a group of one says nothing of the spread.

    Returns:
        [RESAMPLES, *shape of the estimate]; nan where no group has two networks, or an estimate is not finite.
    """
    groups = [np.asarray(group, dtype=float) for group in without if len(group) > 1]
    if not groups:
        return np.full((RESAMPLES, *np.shape(estimate)), np.nan)
    counts = tuple(map(len, groups))
    variances, total = [], np.zeros((RESAMPLES, *np.shape(estimate)))
    for count, group, drawn in zip(counts, groups, _shares(counts), strict=True):
        pseudo = (1 - count) * (group - group.mean(axis=0))
        total += np.sqrt(count / (count - 1)) * np.tensordot(drawn, pseudo, 1)
        variances.append(pseudo.var(axis=0, ddof=1) / count)
    spread = np.sum([v**2 / (count - 1) for v, count in zip(variances, counts, strict=True)], axis=0)
    freedom = np.divide(np.sum(variances, axis=0) ** 2, spread, out=np.full_like(spread, np.inf), where=spread > 0)
    stretch = np.vectorize(student, otypes=[float])(np.minimum(freedom, 1e6).round(3)) / _NORMAL
    return estimate + total * stretch


def bounds(draws: np.ndarray) -> tuple[float, float]:
    """Return the percentile interval (95 %) of draws, which may be infinite; (nan, nan) if any is not a number."""
    if np.isnan(draws).any():
        return (np.nan, np.nan)
    low, high = np.quantile(draws, [(1 - LEVEL) / 2, (1 + LEVEL) / 2], method="closest_observation")
    return float(low), float(high)


@cache
def student(freedom: float) -> float:
    """Return the quantile at 0.975 of Student's t with these degrees of freedom, at least 1."""
    # With t = sqrt(freedom) tan(angle) the density is cos(angle)^(freedom - 1); it is integrated up to its share.
    angle = np.linspace(0, np.pi / 2, 20001)
    density = np.cos(angle) ** (freedom - 1)
    share = np.concatenate([[0], np.cumsum(density[1:] + density[:-1])])
    return float(np.sqrt(freedom) * np.tan(np.interp(LEVEL * share[-1], share, angle)))


@cache
def _shares(counts: tuple[int, ...]) -> list[np.ndarray]:
    """How often each network of each group is drawn, as shares [resamples, networks]."""
    generator = np.random.default_rng(0)
    return [generator.multinomial(count, np.full(count, 1 / count), size=RESAMPLES) / count for count in counts]
