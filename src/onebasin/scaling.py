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
        deviation: root mean square of the logarithm of mean barrier over law, with the weights of the fit.
        beta_low: lower bound of the 95 % interval of beta; nan where a width has too few networks.
        beta_high: upper bound.
        crossing: the width at which the law falls under the threshold; None where it does not within `reach`.
        crossing_low: lower bound of the 95 % interval of that width; None where it does not within `reach`.
        crossing_high: upper bound.
    """

    factor: float
    beta: float
    deviation: float
    beta_low: float
    beta_high: float
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

    Intervals are bootstrap intervals over networks. The networks of different widths are independent, although they
    share their seeds, for each width trains its own: they are resampled width by width.

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
    estimate = _line(widths, means, resolution)
    left_out = []
    for index, width in enumerate(widths.tolist()):
        values, networks = barriers[width]
        kept = [values[(networks != name).all(axis=1)] for name in np.unique(networks)]
        if not all(map(len, kept)):
            return _law(widths, means, estimate, np.full((1, 2), np.nan), resolution, reach, threshold)
        changed = []
        for part in kept:
            others = means.copy()
            others[index] = part.mean()
            changed.append(_line(widths, others, resolution))
        left_out.append(np.array(changed))
    draws = statistics.resample(estimate, left_out)
    return _law(widths, means, estimate, draws, resolution, reach, threshold)


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


def _line(widths: np.ndarray, means: np.ndarray, resolution: float) -> np.ndarray:
    """Return log c and beta."""
    weights = np.sqrt(_weights(means, resolution))
    heights = np.log(np.where(means > 0, means, 1.0))  # a mean of 0 has no weight
    design = np.stack([np.ones(len(widths)), -np.log(widths)], axis=1)
    found: np.ndarray = np.linalg.lstsq(design * weights[:, None], heights * weights, rcond=None)[0]
    return found


def _law(
    widths: np.ndarray,
    means: np.ndarray,
    estimate: np.ndarray,
    draws: np.ndarray,
    resolution: float,
    reach: float,
    threshold: float,
) -> Law:
    weights = _weights(means, resolution)
    height = np.log(np.where(means > 0, means, 1.0))
    squares = (height - estimate[0] + estimate[1] * np.log(widths)) ** 2
    limit = reach * float(widths[-1])
    crossings = [*_crossing(estimate[None], threshold), *statistics.bounds(_crossing(draws, threshold))]
    return Law(
        float(np.exp(estimate[0])),
        float(estimate[1]),
        float(np.sqrt((weights * squares).sum() / weights.sum())),
        *statistics.bounds(draws[:, 1]),
        *(float(width) if width <= limit else None for width in crossings),
    )


def _crossing(lines: np.ndarray, threshold: float) -> np.ndarray:
    """Return the widths at which lines [K, 2] fall under the threshold; infinite for one that does not fall."""
    height, beta = lines[:, 0] - np.log(threshold), lines[:, 1]
    with np.errstate(over="ignore"):
        return np.exp(np.divide(height, beta, out=np.full_like(beta, np.inf), where=(beta > 0) | np.isnan(beta)))
