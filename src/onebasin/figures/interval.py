"""Intervals for means over pairs and triples of networks."""

from __future__ import annotations

import numpy as np

LEVEL = 0.95


def bootstrap(values: np.ndarray, networks: np.ndarray, *, resamples: int = 2000, seed: int = 0) -> tuple[float, float]:
    """Percentile interval (95 %) of the mean of `values` by resampling networks, not paths.

    Paths that share a network are not independent, so the networks are drawn with replacement, as many as there are;
    a path counts with the product of the multiplicities of its networks, and not at all when one of them was not
    drawn. Resamples in which no path is left are dropped, which makes the interval too narrow with few networks: for
    paths whose value is the sum of their networks' random effects and noise of the same size, it held the true mean in
    84 % (4 networks) to 89 % (10) of simulated cases for pairs, and in 49 % (4), 80 % (6), 84 % (10) for triples.

    `values` [paths]; `networks` [paths, k], the k distinct networks of each path. Returns the bounds of the interval;
    (nan, nan) for a single path, which says nothing of the spread. Source: the pigeonhole bootstrap (Owen 2007, Annals
    of Applied Statistics 1), here on one kind of factor.
    """
    if len(values) < 2:
        return (np.nan, np.nan)
    names, members = np.unique(networks, return_inverse=True)
    members = members.reshape(networks.shape)
    generator = np.random.default_rng(seed)
    counts = generator.multinomial(len(names), np.full(len(names), 1 / len(names)), size=resamples)
    weights = np.ones((resamples, len(values)))
    for column in members.T:
        weights *= counts[:, column]
    total = weights.sum(axis=1)
    means = (weights @ values)[total > 0] / total[total > 0]
    low, high = np.quantile(means, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return float(low), float(high)
