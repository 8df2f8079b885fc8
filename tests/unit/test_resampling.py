"""The calibrated bootstrap over networks: what it holds, and for how few networks."""

import itertools

import numpy as np
import pytest
from scipy import stats

from onebasin import resampling
from onebasin.figures.interval import bootstrap


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
        held = [low <= 0 <= high for low, high in (bootstrap(row, networks) for row in values)]
        covered[name] = np.mean(held)
    # Two standard errors of the simulation are 0.03; noise makes the interval too wide, never too narrow.
    assert covered["effects"] == pytest.approx(0.95, abs=0.04)
    assert covered["both"] > 0.92


def test_quantiles_are_those_of_student():
    for freedom in (1.0, 1.7, 3.0, 9.0, 40.0):
        assert resampling.student(freedom) == pytest.approx(stats.t.ppf(0.975, freedom), rel=1e-4)


def test_several_groups_are_resampled_apart():
    generator = np.random.default_rng(0)
    groups = [generator.normal(size=count) for count in (4, 5)]
    # The sum of two means; without one network of a group, the other mean stays.
    total = sum(group.mean() for group in groups)
    without = [
        total - group.mean() + np.array([np.delete(group, index).mean() for index in range(len(group))])
        for group in groups
    ]
    draws = resampling.resample(total, without)
    variances = [group.var(ddof=1) / len(group) for group in groups]
    freedom = sum(variances) ** 2 / sum(v**2 / (len(g) - 1) for v, g in zip(variances, groups, strict=True))
    assert draws.mean() == pytest.approx(total, abs=0.05)
    expected = np.sqrt(sum(variances)) * stats.t.ppf(0.975, freedom) / stats.norm.ppf(0.975)
    assert draws.std() == pytest.approx(expected, rel=0.05)


def test_several_estimates_are_drawn_together():
    group = np.random.default_rng(1).normal(size=5)
    without = np.array([np.delete(group, index).mean() for index in range(5)])
    draws = resampling.resample(np.array([1.0, 2.0]) * group.mean(), [without[:, None] * [1.0, 2.0]])
    np.testing.assert_allclose(draws[:, 1], 2 * draws[:, 0])


def test_without_spread_there_is_no_interval():
    assert np.isnan(resampling.bounds(resampling.resample(1.0, []))).all()
    assert np.isnan(resampling.bounds(resampling.resample(1.0, [np.array([1.0])]))).all()
    assert np.isnan(resampling.bounds(resampling.resample(1.0, [np.array([1.0, np.nan, 2.0])]))).all()
    assert resampling.bounds(resampling.resample(1.0, [np.ones(4)])) == (1.0, 1.0)
    assert resampling.bounds(np.array([1.0, np.inf, np.inf])) == (1.0, np.inf)
