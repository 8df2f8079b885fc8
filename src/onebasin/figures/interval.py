"""Intervals for means over pairs and triples of networks."""

from __future__ import annotations

import numpy as np

from onebasin import resampling


def bootstrap(values: np.ndarray, networks: np.ndarray) -> tuple[float, float]:
    """Return the 95 % interval of the mean of `values`, by a calibrated bootstrap over networks, not over paths.

    Where a path's value is the sum of one random effect of each of its networks, the interval held the true mean in 94
    to 95 % of simulated cases with 4, 6 and 10 networks, for pairs and for triples; with noise of the same size
    besides, in 97 % (4 networks) to 95 % (10), and with noise alone in 99 %: it errs on the wide side. Where values
    spread over a factor of three and more (sums of effects, exponentiated) it held 93 % for pairs and 91 % for triples.

    Args:
        values: [paths].
        networks: [paths, k], the k distinct networks of each path.

    Returns:
        The bounds; (nan, nan) where leaving out one network leaves no path, which says nothing of the spread.
    """
    left_out = [values[(networks != name).all(axis=1)] for name in np.unique(networks)]
    if not all(map(len, left_out)):
        return (np.nan, np.nan)
    return resampling.bounds(resampling.resample(np.mean(values), [np.array([part.mean() for part in left_out])]))
