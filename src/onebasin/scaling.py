"""How barriers fall with width: the law factor · width^(-β), its interval, and where it falls under a threshold.

The law is fitted by least squares to the logarithms of the mean barriers of each width. A mean m has the weight
1 / (1 + (resolution / m)²): all widths count alike while barriers lie well above what can be resolved, and a mean that
is noise or 0 counts little or not at all.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from onebasin import statistics

SERIES = ("model", "method", "algorithm", "compared", "claim", "split", "metric")
"""Columns of table `width` that name one series of barriers against width."""
THRESHOLD = 0.02
"""Barrier under which two networks count as linearly connected (Sharma et al. 2024, for the error)."""


@dataclass(frozen=True)
class Law:
    """barrier = factor · width^(-beta).

    Attributes:
        factor: barrier at width 1, in the unit of the metric.
        beta: the exponent; positive where barriers fall.
        beta_low: lower bound of the 95 % interval of beta; nan where a width has too few networks.
        beta_high: upper bound.
        deviation: root mean square of the logarithm of mean barrier over law, with the weights of the fit.
        deviation_low: lower bound of the 95 % interval of what it would be with endless networks of each width; 0 where
            the law may hold.
        deviation_high: upper bound.
        crossing: the width at which the law falls under the threshold; None where it does not within `reach`.
        crossing_low: lower bound of the 95 % interval of that width; None where it does not within `reach`.
        crossing_high: upper bound.
    """

    factor: float
    beta: float
    beta_low: float
    beta_high: float
    deviation: float
    deviation_low: float
    deviation_high: float
    crossing: float | None
    crossing_low: float | None
    crossing_high: float | None


def fit(
    barriers: Mapping[int, tuple[np.ndarray, np.ndarray]],
    *,
    resolution: float,
    reach: float,
    threshold: float = THRESHOLD,
) -> Law | None:
    """Fit the law to the barriers of some widths.

    Intervals are those of the jackknife over networks. The networks of different widths are independent, although they
    share their seeds, for each width trains its own: they are left out width by width. The interval of the crossing is
    where that of the law's logarithm holds the threshold (Fieller 1954), from width 1 on.

    Args:
        barriers: for each width the barriers [paths], and the k distinct networks of each path [paths, k].
        resolution: size of barriers that are noise, in the unit of the metric.
        reach: the law is not extrapolated beyond this many times the largest width.
        threshold: the barrier that counts as none.

    Returns:
        The law; None where fewer than two widths have a mean barrier above 0, which is no law.
    """
    widths = np.array(sorted(barriers))
    means = np.array([np.mean(barriers[width][0]) for width in widths])
    if (means > 0).sum() < 2 or not np.isfinite(means).all():
        return None
    estimate, without = _law(widths, means, resolution), []
    for index, width in enumerate(widths.tolist()):
        changed = []
        for mean in statistics.means_without(*barriers[width]):
            others = means.copy()
            others[index] = mean
            changed.append(_law(widths, others, resolution) if np.isfinite(mean) else np.full(3, np.nan))
        without.append(np.array(changed))
    found = statistics.jackknife(estimate, without)
    beta_low, beta_high = (float(bound[1]) for bound in found.bounds())
    # The square is corrected for its bias: noise of the means adds to it, and only to it.
    off_low, off_high = (float(np.sqrt(np.maximum(bound[2], 0))) for bound in found.bounds(corrected=True))
    logs = np.linspace(0, np.log2(reach * widths[-1]), 1001) * np.log(2)
    heights = statistics.jackknife(_heights(estimate, logs), [_heights(law, logs) for law in without])
    at, low, high = (_crossing(logs, curve - np.log(threshold)) for curve in (heights.value, *heights.bounds()))
    if estimate[1] <= 0:  # what rises falls under nothing
        at = high = None
    factor, root = float(np.exp(estimate[0])), float(np.sqrt(estimate[2]))
    return Law(factor, float(estimate[1]), beta_low, beta_high, root, off_low, off_high, at, low, high)


def rows(width: Iterable[Mapping[str, Any]], *, resolution: float, reach: float) -> Iterator[dict[str, Any]]:
    """Turn rows of table `width` into rows of table `scaling`, one for each series with a law.

    Barriers that are not finite are left out. A series without a law has no row (see ``fit``).
    """
    found: dict[tuple[Any, ...], dict[int, tuple[list[float], list[tuple[int, ...]]]]] = {}
    for row in width:
        if not np.isfinite(row["barrier"]):
            continue
        series = found.setdefault(tuple(row[name] for name in SERIES), {})
        values, networks = series.setdefault(row["width"], ([], []))
        values.append(row["barrier"])
        networks.append((row["a"], row["b"]) if row["reference"] is None else (row["a"], row["b"], row["reference"]))
    for key, series in found.items():
        arrays = {width: (np.array(values), np.array(names)) for width, (values, names) in series.items()}
        law = fit(arrays, resolution=resolution, reach=reach)
        if law is not None:
            yield {
                **dict(zip(SERIES, key, strict=True)),
                "widths": len(arrays),
                "narrowest": min(arrays),
                "widest": max(arrays),
                **{name: None if _absent(value) else value for name, value in vars(law).items()},
            }


def _absent(value: float | None) -> bool:
    return value is None or bool(np.isnan(value))


def _weights(means: np.ndarray, resolution: float) -> np.ndarray:
    return means**2 / (means**2 + resolution**2)


def _law(widths: np.ndarray, means: np.ndarray, resolution: float) -> np.ndarray:
    """Return log c, beta, and the weighted mean square of the logarithm of mean barrier over law."""
    weights = _weights(means, resolution)
    heights = np.log(np.where(means > 0, means, 1.0))  # a mean of 0 has no weight
    design = np.stack([np.ones(len(widths)), -np.log(widths)], axis=1)
    roots = np.sqrt(weights)
    line: np.ndarray = np.linalg.lstsq(design * roots[:, None], heights * roots, rcond=None)[0]
    return np.array([*line, (weights * (heights - design @ line) ** 2).sum() / weights.sum()])


def _heights(laws: np.ndarray, logs: np.ndarray) -> np.ndarray:
    """Return the logarithms of laws [..., 3] at the logarithms of widths [K]: [..., K]."""
    return laws[..., :1] - laws[..., 1:2] * logs


def _crossing(logs: np.ndarray, curve: np.ndarray) -> float | None:
    """Return the width at which a curve over the logarithms of widths falls under 0.

    It is the first of them where the curve is under 0 everywhere, and None where it does not fall under 0.
    """
    falls = np.flatnonzero((curve[:-1] >= 0) & (curve[1:] < 0))
    if not len(falls):
        return float(np.exp(logs[0])) if (curve < 0).all() else None
    last = falls[0]
    share = curve[last] / (curve[last] - curve[last + 1])
    return float(np.exp(logs[last] + share * (logs[last + 1] - logs[last])))
