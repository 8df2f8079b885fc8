"""Which networks are mixed, at which points, and what the barriers of their mixtures are."""

import numpy as np
import pytest
import torch

from onebasin.experiments import consensus
from onebasin.landscape.barrier import split_of, summit


def test_subsets():
    assert consensus.subsets([4, 5, 7], "nested") == [(4, 5), (4, 5, 7)]
    assert consensus.subsets([4, 5, 7], "all") == [(4, 5), (4, 7), (5, 7), (4, 5, 7)]


def test_mixtures_are_corners_the_mean_and_points_spread_over_the_simplex():
    weights = consensus.mixtures(3, 4000, seed=1)
    assert weights.shape == (4004, 3)
    assert torch.equal(weights[:3], torch.eye(3, dtype=torch.float64)) and torch.equal(
        weights[3] * 3, torch.ones(3).double()
    )
    assert (weights >= 0).all() and torch.allclose(weights.sum(1), torch.ones(4004, dtype=torch.float64))
    # Of points spread evenly over a triangle, each share is below x with probability 1 - (1 - x)².
    assert (weights[4:, 0] < 0.5).double().mean().item() == pytest.approx(0.75, abs=0.03)
    assert torch.equal(consensus.mixtures(3, 2, seed=1)[:6], weights[:6])
    assert not torch.equal(consensus.mixtures(3, 2, seed=2)[4:], weights[4:6])


def measured(weights, losses, split="test"):
    rows = [{"split": split, "loss": loss, "error": loss / 10, "loss_calibrated": None} for loss in losses]
    return list(zip([list(map(float, row)) for row in weights], rows, strict=True))


CORNERS = [(1, 0, 0), (0, 1, 0), (0, 0, 1)]
THIRD = (1 / 3, 1 / 3, 1 / 3)


def test_barriers_lie_above_the_interpolation_of_the_networks():
    points = measured([*CORNERS, THIRD, (0.5, 0.5, 0)], [1, 2, 3, 4, 4])
    simplex, mean, error, _ = consensus.highest("simplex", points)
    about = {"split": "test", "metric": "loss"}
    assert simplex == {**about, "over": "simplex", "value": 4, "baseline": 1.5, "barrier": 2.5}
    assert mean["over"] == "mean" and mean["baseline"] == pytest.approx(2) and mean["barrier"] == pytest.approx(2)
    assert error["metric"] == "error" and error["barrier"] == pytest.approx(0.25)
    assert summit(split_of(points, "test"), "loss").rise == 2.5


def test_the_mean_may_lie_below_and_the_simplex_may_not():
    points = measured([*CORNERS, THIRD], [1, 2, 3, 0.5])
    simplex, mean = list(consensus.highest("simplex", points))[:2]
    assert simplex["barrier"] == 0 and mean["barrier"] == pytest.approx(-1.5)


def test_a_value_that_is_not_a_number_is_not_hidden():
    simplex, mean = list(consensus.highest("simplex", measured([*CORNERS, THIRD], [1, 2, 3, np.nan])))[:2]
    assert np.isnan([simplex["barrier"], mean["barrier"]]).all()


def test_a_line_has_its_highest_point_for_each_split_and_metric():
    line = [(1, 0), (0.75, 0.25), (0, 1)]
    points = measured(line, [1, 3, 2]) + measured(line, [1, 1, 1], "train")
    rows = list(consensus.highest("line", points))
    assert [(row["split"], row["metric"], row["over"]) for row in rows] == [
        (split, metric, "line") for split in ("test", "train") for metric in ("loss", "error")
    ]
    assert rows[0]["barrier"] == pytest.approx(3 - 1.25) and rows[2]["barrier"] == 0
