"""How often intervals of 95 % hold the truth: of mean barriers on several scales, of differences, of the law of width.

    python benchmarks/intervals.py [CASES]

A path's value is made of one random effect of each of its networks: their sum, with noise of the same size besides,
noise alone; the exponential of the sum, whose logarithm has the standard deviation given; the product of exponentially
distributed effects; and the sum where it is above 0, else 0. Printed is the share of cases in which an interval holds
the true mean: that of values as they are, of their square root, of their logarithm, and the one of
`statistics.interval` for barriers. Values of both signs have the first alone.
"""

import itertools
import sys
from collections.abc import Callable, Iterator

import numpy as np

from onebasin import differences, scaling
from onebasin.statistics import interval, jackknife, means_without

COUNTS = (4, 6, 8, 10)


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
    sums = generator.normal(size=(cases, count))[:, networks].sum(axis=2) / np.sqrt(size)
    noise = generator.normal(size=sums.shape)
    yield "sums, mean 0", sums, 0.0
    yield "sums and noise, mean 0", sums + noise, 0.0
    yield "noise, mean 0", noise, 0.0
    yield "sums, mean 6", sums + 6, 6.0
    for spread in (0.55, 0.9, 1.0):
        yield f"exponentials, {spread}", np.exp(spread * sums), float(np.exp(spread**2 / 2))
    mixed = 0.9 * (sums + noise) / np.sqrt(2)
    yield "exponentials, 0.9, with noise", np.exp(mixed), float(np.exp(0.9**2 / 2))
    yield "products", generator.exponential(size=(cases, count))[:, networks].prod(axis=2), 1.0
    yield "half of them 0", np.maximum(sums, 0), float(1 / np.sqrt(2 * np.pi))
    yield "half of them 0, noise", np.maximum(noise, 0), float(1 / np.sqrt(2 * np.pi))


def on_scale(
    there: Callable[[np.ndarray], np.ndarray], back: Callable[[np.ndarray], np.ndarray]
) -> Callable[[np.ndarray, np.ndarray], tuple[float, float]]:
    """Return the interval on a scale, about the transformed mean."""

    def bounds(values: np.ndarray, networks: np.ndarray) -> tuple[float, float]:
        found = jackknife(there(values.mean()), [there(means_without(values, networks))])
        low, high = (float(back(bound)) for bound in found.bounds())
        return low, high

    return bounds


SCALES = {
    "as they are": interval,
    "root": on_scale(np.sqrt, lambda bound: np.maximum(bound, 0) ** 2),
    "logarithm": on_scale(lambda mean: np.log(np.maximum(mean, 1e-9)), np.exp),
    "barriers": lambda values, networks: interval(values, networks, barriers=True),
}


def of_means(cases: int) -> None:
    """Print a line for each kind of paths, number of networks and kind of values."""
    print(f"{'paths':8}{'networks':>9}  {'values':30}" + "".join(f"{name:>13}" for name in SCALES))
    for name, make in (("pairs", pairs), ("triples", triples)):
        for count in COUNTS:
            networks, generator = make(count), np.random.default_rng(count)
            for kind, values, mean in simulated(networks, cases, generator):
                scales = dict(itertools.islice(SCALES.items(), 1)) if (values < 0).any() else SCALES
                held = [
                    np.mean([low <= mean <= high for low, high in (scale(row, networks) for row in values)])
                    for scale in scales.values()
                ]
                print(f"{name:8}{count:9}  {kind:30}" + "".join(f"{share:13.3f}" for share in held))


def of_differences(cases: int) -> None:
    """Print how often the difference of a frame and of pairs aligned to third networks holds 0.

    A barrier is a sum of effects of its networks, those of the pair and those of a third network, with noise besides.
    The mean over widths is that of six widths, of as many networks each.
    """
    print(f"\n{'networks':>9}{'third networks left out too':>30}{'pairs alone':>14}{'mean over widths':>19}")
    for count in COUNTS:
        generator, seeds = np.random.default_rng(count), range(count)
        own, third = generator.normal(size=(2, cases, count))
        held, found = [], []
        for case in range(cases):
            frame, strong = {}, {}
            for a, b in itertools.combinations(seeds, 2):
                shared = own[case, a] + own[case, b]
                frame[a, b, None] = shared + 0.3 * generator.normal()
                for r in set(seeds) - {a, b}:
                    strong[a, b, r] = shared + third[case, r] + 0.3 * generator.normal()
            found.append(differences.difference(frame, strong))
            both = differences.estimate(found[-1:]).bounds()
            means = np.array([np.mean([strong[a, b, r] for r in set(seeds) - {a, b}]) for a, b, _ in frame])
            alone = interval(means - np.array([*frame.values()]), np.array([key[:2] for key in frame]))
            held.append([low <= 0 <= high for low, high in (both, alone)])
        groups = (differences.estimate(six).bounds() for six in zip(*[iter(found)] * 6, strict=False))
        shares = [*np.mean(held, axis=0), np.mean([low <= 0 <= high for low, high in groups])]
        print(f"{count:9}{shares[0]:30.3f}{shares[1]:14.3f}{shares[2]:19.3f}")


def of_laws(cases: int) -> None:
    """Print how often the intervals of exponent, crossing and deviation hold theirs, of laws that hold and do not."""
    widths = np.array([16, 32, 64, 128])
    print(f"\n{'networks':>9}{'spread':>8}{'deviation':>11}{'of beta':>10}{'crossing':>10}{'deviation':>11}")
    for count, spread, bent in itertools.product((4, 6, 10), (0.1, 0.3), (0.0, 0.2)):
        networks, generator = pairs(count), np.random.default_rng(count)
        logs = np.log(widths)
        truth = np.exp(np.log(4) - 0.75 * logs + bent * (logs - logs.mean()) ** 2 + spread**2)
        endless = scaling.fit(
            {width: (np.full(len(networks), mean), networks) for width, mean in zip(widths, truth, strict=True)},
            resolution=1e-6,
            reach=100,
        )
        held = []
        for _ in range(cases):
            effects = np.exp(spread * generator.normal(size=(len(widths), count)) - spread**2 / 2)
            barriers = {
                width: (mean * own[networks].prod(axis=1), networks)
                for width, mean, own in zip(widths, truth, effects, strict=True)
            }
            law = scaling.fit(barriers, resolution=1e-6, reach=100)
            held.append(
                [
                    law.beta_low <= endless.beta <= law.beta_high,
                    (law.crossing_low or np.inf) <= endless.crossing <= (law.crossing_high or np.inf),
                    law.deviation_low <= endless.deviation + 1e-9 <= law.deviation_high + 1e-9,
                ]
            )
        shares = np.mean(held, axis=0)
        line = f"{count:9}{spread:8}{endless.deviation:11.3f}"
        print(line + f"{shares[0]:10.3f}{shares[1]:10.3f}{shares[2]:11.3f}")


def main(cases: int) -> None:
    """Print the three tables."""
    of_means(cases)
    of_differences(cases)
    of_laws(min(cases, 400))


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 2000)
