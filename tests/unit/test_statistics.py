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


def covered(values, networks, mean, **options):
    """The share of cases, [cases, paths], whose interval holds the mean."""
    found = [statistics.interval(row, networks, **options) for row in values]
    return np.mean([low <= mean <= high for low, high in found])


@pytest.mark.parametrize("paths", [pairs, triples])
@pytest.mark.parametrize("count", [4, 6, 10])
def test_the_interval_holds_the_mean_of_paths_that_share_networks(paths, count):
    networks = paths(count)
    generator = np.random.default_rng(count)
    effects = generator.normal(size=(250, count))[:, networks].sum(axis=2)
    noise = generator.normal(size=effects.shape)
    # Two standard errors of the simulation are 0.03; noise makes the interval too wide, never too narrow.
    assert covered(effects, networks, 0) == pytest.approx(0.95, abs=0.04)
    assert covered(effects + np.sqrt(networks.shape[1]) * noise, networks, 0) > 0.92


@pytest.mark.parametrize("paths", [pairs, triples])
def test_the_interval_holds_the_mean_of_skewed_barriers(paths):
    networks = paths(6)
    generator, size = np.random.default_rng(0), networks.shape[1]
    sums = generator.normal(size=(400, 6))[:, networks].sum(axis=2) / np.sqrt(size)
    # The interval of the mean as it is holds 84 % of the first and 70 to 79 % of the second.
    assert covered(np.exp(0.9 * sums), networks, np.exp(0.9**2 / 2), barriers=True) > 0.9
    products = generator.exponential(size=(400, 6))[:, networks].prod(axis=2)
    assert covered(products, networks, 1, barriers=True) > 0.92


def test_the_interval_of_barriers_has_their_unit_and_holds_their_mean():
    networks, generator = pairs(5), np.random.default_rng(0)
    for power in (1, 4, 16):
        values = generator.random(len(networks)) ** power
        low, high = statistics.interval(values, networks, barriers=True)
        assert 0 <= low < values.mean() < high
        assert statistics.interval(1000 * values, networks, barriers=True) == pytest.approx((1000 * low, 1000 * high))
    one = np.where(np.arange(len(networks)) == 3, 1.0, 0.0)
    low, high = statistics.interval(one, networks, barriers=True)
    assert 0 <= low < 0.1 < high < np.inf
    assert statistics.interval(np.zeros(len(networks)), networks, barriers=True) == (0, 0)


def test_barriers_below_0_have_the_interval_of_their_mean_as_it_is():
    values, networks = np.random.default_rng(0).normal(size=10), pairs(5)
    low, high = statistics.interval(values, networks, barriers=True)
    assert (low + high) / 2 == pytest.approx(values.mean())
    assert statistics.interval(-values, networks) == pytest.approx((-high, -low))


def without_each(values):
    return np.array([np.delete(values, index, axis=0).mean(axis=0) for index in range(len(values))])


def test_the_jackknife_of_a_mean_is_the_test_of_student():
    values = np.random.default_rng(0).normal(0.4, size=7)
    found = statistics.jackknife(values.mean(), [without_each(values)])
    expected = stats.ttest_1samp(values, 0)
    assert found.p() == pytest.approx(expected.pvalue)
    assert found.bounds() == pytest.approx(tuple(expected.confidence_interval(0.95)))
    assert found.bias == pytest.approx(0) and found.freedom == pytest.approx(6)


def test_several_groups_have_the_freedom_of_welch():
    generator = np.random.default_rng(0)
    groups = [generator.normal(size=count) for count in (4, 5)]
    difference = groups[0].mean() - groups[1].mean()
    without = [without_each(groups[0]) - groups[1].mean(), groups[0].mean() - without_each(groups[1])]
    found, expected = statistics.jackknife(difference, without), stats.ttest_ind(*groups, equal_var=False)
    assert found.p() == pytest.approx(expected.pvalue) and found.freedom == pytest.approx(expected.df)


def test_several_estimates_are_made_together():
    values = np.random.default_rng(1).normal(size=(5, 2))
    both = statistics.jackknife(values.mean(axis=0), [without_each(values)])
    for index in range(2):
        one = statistics.jackknife(values[:, index].mean(), [without_each(values[:, index])])
        assert (float(both.error[index]), float(both.p()[index])) == pytest.approx((float(one.error), float(one.p())))


def test_the_bias_of_a_square_is_found():
    values = np.random.default_rng(2).normal(size=6)
    found = statistics.jackknife(values.mean() ** 2, [without_each(values) ** 2])
    assert found.bias == pytest.approx(values.var(ddof=1) / 6)


def test_without_spread_there_is_no_doubt_and_without_networks_no_interval():
    same = statistics.jackknife(1.0, [np.ones(4)])
    assert same.bounds() == (1, 1) and same.p() == 0
    assert statistics.jackknife(0.0, [np.zeros(4)]).p() == 1
    none = statistics.jackknife(1.0, [np.array([1.0, np.nan, 2.0]), np.ones(3)])
    assert np.isnan(none.bounds()).all() and np.isnan(none.p())


def test_holm_by_hand():
    # Four tests: 0.01 · 4, 0.02 · 3, 0.03 · 2 and 0.9 · 1; the third is not under the second.
    found = statistics.holm(np.array([0.03, 0.01, np.nan, 0.9, 0.02]))
    assert found == pytest.approx([0.06, 0.04, np.nan, 0.9, 0.06], nan_ok=True)
    assert statistics.holm(np.array([0.4, 0.6])).tolist() == [0.8, 0.8]
    assert statistics.holm(np.array([0.7, 0.8])).tolist() == [1, 1]
    assert statistics.holm(np.array([])).tolist() == []


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
