"""How often intervals hold the true mean: the jackknife, and the resampled pseudo-values that it replaced.

    python benchmarks/intervals.py [CASES]

A path's value is the sum of one random effect of each of its networks, with noise of the same size besides, noise
alone, or the exponential of the sum. Printed is the share of cases in which the interval of 95 % holds the true mean.
"""

import itertools
import sys
from collections.abc import Iterator

import numpy as np

from onebasin.statistics import RESAMPLES, interval, student

NORMAL = 1.959964


def pairs(count: int) -> np.ndarray:
    """Return every pair of networks [paths, 2]."""
    return np.array(list(itertools.combinations(range(count), 2)))


def triples(count: int) -> np.ndarray:
    """Return every pair of networks with every third one [paths, 3]."""
    others = ([seed for seed in range(count) if seed != reference] for reference in range(count))
    return np.array([(*pair, r) for r, rest in enumerate(others) for pair in itertools.combinations(rest, 2)])


def simulated(
    networks: np.ndarray, cases: int, generator: np.random.Generator
) -> Iterator[tuple[str, np.ndarray, float]]:
    """Yield the name of a kind of values, the values [cases, paths], and their true mean."""
    count, size = networks.max() + 1, networks.shape[1]
    effects = generator.normal(size=(cases, count))[:, networks].sum(axis=2)
    noise = np.sqrt(size) * generator.normal(size=effects.shape)
    yield "effects", effects, 0.0
    yield "effects and noise", effects + noise, 0.0
    yield "noise", noise, 0.0
    # Most values lie within a factor of three of each other.
    spread = 0.55 / np.sqrt(size)
    yield "exponentials", np.exp(spread * effects), float(np.exp(size * spread**2 / 2))


def stretched(values: np.ndarray, networks: np.ndarray) -> tuple[float, float]:
    """Return the interval of resampled pseudo-values, stretched as Student's t over the normal distribution."""
    names = np.unique(networks)
    count = len(names)
    without = np.array([values[(networks != name).all(axis=1)].mean() for name in names])
    pseudo = (1 - count) * (without - without.mean())
    drawn = np.random.default_rng(0).multinomial(count, np.full(count, 1 / count), size=RESAMPLES) / count
    draws = values.mean() + np.sqrt(count / (count - 1)) * drawn @ pseudo * student(count - 1) / NORMAL
    low, high = np.quantile(draws, [0.025, 0.975], method="closest_observation")
    return float(low), float(high)


def main(cases: int) -> None:
    """Print a line for each kind of paths, number of networks and kind of values."""
    print(f"{'paths':10}{'networks':>9}  {'values':20}{'jackknife':>10}{'stretched':>10}")
    for name, make in (("pairs", pairs), ("triples", triples)):
        for count in (4, 6, 10):
            networks, generator = make(count), np.random.default_rng(count)
            for kind, values, mean in simulated(networks, cases, generator):
                held = [
                    np.mean([low <= mean <= high for low, high in (method(row, networks) for row in values)])
                    for method in (interval, stretched)
                ]
                print(f"{name:10}{count:9}  {kind:20}{held[0]:10.3f}{held[1]:10.3f}")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 2000)
