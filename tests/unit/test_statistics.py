"""Intervals over networks: what they hold, and for how few networks."""

import itertools

import numpy as np
import pytest
from scipy import stats

from onebasin import statistics


def pairs(count):
    return np.array(list(itertools.combinations(range(count), 2)))


def triples(count):
    others = ([seed for seed in range(count) if seed != reference] for reference in range(count))
    return np.array([(*pair, r) for r, rest in enumerate(others) for pair in itertools.combinations(rest, 2)])


@pytest.mark.parametrize("paths", [pairs, triples])
@pytest.mark.parametrize("count", [4, 6, 10])
def test_the_interval_holds_the_mean_of_paths_that_share_networks(paths, count):
    networks = paths(count)
    generator = np.random.default_rng(count)
    cases = 250
    effects = generator.normal(size=(cases, count))[:, networks].sum(axis=2)
    noise = generator.normal(size=effects.shape)
    covered = {}
    for name, values in {"effects": effects, "both": effects + np.sqrt(networks.shape[1]) * noise}.items():
        held = [low <= 0 <= high for low, high in (statistics.interval(row, networks) for row in values)]
        covered[name] = np.mean(held)
    # Two standard errors of the simulation are 0.03; noise makes the interval too wide, never too narrow.
    assert covered["effects"] == pytest.approx(0.95, abs=0.04)
    assert covered["both"] > 0.92


def test_quantiles_are_those_of_student():
    for freedom in (1.0, 1.7, 3.0, 9.0, 40.0):
        assert statistics.student(freedom) == pytest.approx(stats.t.ppf(0.975, freedom), rel=1e-12)


def test_several_groups_are_resampled_apart():
    generator = np.random.default_rng(0)
    groups = [generator.normal(size=count) for count in (4, 5)]
    # The sum of two means; without one network of a group, the other mean stays.
    total = sum(group.mean() for group in groups)
    without = [
        total - group.mean() + np.array([np.delete(group, index).mean() for index in range(len(group))])
        for group in groups
    ]
    draws = statistics.resample(total, without)
    variances = [group.var(ddof=1) / len(group) for group in groups]
    freedom = sum(variances) ** 2 / sum(v**2 / (len(g) - 1) for v, g in zip(variances, groups, strict=True))
    assert draws.mean() == pytest.approx(total, abs=0.05)
    expected = np.sqrt(sum(variances)) * stats.t.ppf(0.975, freedom) / stats.norm.ppf(0.975)
    assert draws.std() == pytest.approx(expected, rel=0.05)


def test_several_estimates_are_drawn_together():
    group = np.random.default_rng(1).normal(size=5)
    without = np.array([np.delete(group, index).mean() for index in range(5)])
    draws = statistics.resample(np.array([1.0, 2.0]) * group.mean(), [without[:, None] * [1.0, 2.0]])
    np.testing.assert_allclose(draws[:, 1], 2 * draws[:, 0])


def test_without_spread_there_is_no_interval():
    assert np.isnan(statistics.bounds(statistics.resample(1.0, []))).all()
    assert np.isnan(statistics.bounds(statistics.resample(1.0, [np.array([1.0])]))).all()
    assert np.isnan(statistics.bounds(statistics.resample(1.0, [np.array([1.0, np.nan, 2.0])]))).all()
    assert statistics.bounds(statistics.resample(1.0, [np.ones(4)])) == (1.0, 1.0)
    assert statistics.bounds(np.array([1.0, np.inf, np.inf])) == (1.0, np.inf)


def test_interval_of_independent_values_is_that_of_student():
    values = np.random.default_rng(0).normal(size=30)
    low, high = statistics.interval(values, np.arange(30)[:, None])
    assert (low + high) / 2 == pytest.approx(values.mean(), abs=0.05)
    assert high - low == pytest.approx(2 * 2.0452 * values.std(ddof=1) / np.sqrt(30), rel=1e-3)


def test_interval_of_equal_values_is_that_value():
    networks = np.array(list(itertools.combinations(range(5), 2)))
    assert statistics.interval(np.full(10, 0.3), networks) == pytest.approx((0.3, 0.3))


def test_interval_respects_that_pairs_share_networks():
    # The pair's value is the sum of its networks' values: the mean over pairs is twice the mean over networks, with the
    # standard error 2 s / sqrt(n), several times what independent pairs would give.
    count = 40
    value = np.random.default_rng(1).normal(size=count)
    networks = np.array(list(itertools.combinations(range(count), 2)))
    low, high = statistics.interval(value[networks].sum(axis=1), networks)
    expected = 2 * 1.96 * 2 * value.std() / np.sqrt(count)
    assert high - low == pytest.approx(expected, rel=0.1)
    independent = 2 * 1.96 * value[networks].sum(axis=1).std() / np.sqrt(len(networks))
    assert high - low > 4 * independent


def test_interval_of_triples_needs_four_networks():
    three = triples(3)
    assert np.isnan(statistics.interval(np.array([0.1, 0.2, 0.4]), three)).all()
    four = triples(4)
    low, high = statistics.interval(np.arange(len(four), dtype=float), four)
    assert low < np.arange(len(four)).mean() < high


def test_interval_does_not_depend_on_the_names_of_networks():
    values, networks = np.array([0.1, 0.5, 0.9, 0.2, 0.3, 0.8]), np.array(list(itertools.combinations(range(4), 2)))
    assert (
        statistics.interval(values, networks)
        == statistics.interval(values, 10 * networks + 7)
        == statistics.interval(values, networks)
    )


def test_a_single_path_has_no_interval():
    assert np.isnan(statistics.interval(np.array([0.4]), np.array([[0, 1]]))).all()
