"""What layers of mixtures compute: held against networks in which each mechanism is exact."""

import pytest
import torch
from networks import build, state
from torch import nn

from onebasin.experiments import mechanism_share
from onebasin.experiments.mechanism import astray
from onebasin.landscape.mechanisms import Layers, stable_rank

IMAGES = torch.randn(30, 1, 8, 8, generator=torch.Generator().manual_seed(0))


def halves():
    """Two networks without biases, each of which uses half of the hidden units, and reads none of the other's."""
    model = nn.Sequential(nn.Flatten(), *(layer for _ in range(2) for layer in (nn.Linear(64, 64), nn.ReLU())))
    model.append(nn.Linear(64, 10))
    for layer in model:
        if isinstance(layer, nn.Linear):
            layer.bias = None
    found = []
    for place in (slice(0, 32), slice(32, 64)):
        used = {}
        for key, weight in state(model, place.start).items():
            rows, columns = torch.zeros(len(weight)), torch.zeros(64)
            rows[place if len(weight) == 64 else slice(None)] = 1
            columns[place if key != "1.weight" else slice(None)] = 1
            used[key] = weight * rows[:, None] * columns
        found.append(used)
    return model, *found


def test_networks_that_do_not_see_each_other_mix_exponentially():
    model, a, b = halves()
    layers = Layers(model, IMAGES, batch_size=7)
    found = list(layers.predictions(a, b, [0.25, 0.5]))
    assert [(one.share, one.layer, one.depth) for one in found] == [
        (share, layer, depth) for share in (0.25, 0.5) for depth, layer in enumerate(("1", "3", "5"), start=1)
    ]
    for one in found:
        assert one.cosine["exponential"] == pytest.approx(1) and one.error["exponential"] == pytest.approx(0, abs=1e-9)
        if one.depth == 1:
            assert one.error["linear"] == one.error["exponential"]
        elif one.share == 0.5:
            # Half of the length each layer further on: (2^(l-1) - 1)^2.
            assert one.cosine["linear"] == pytest.approx(1)
            assert one.error["linear"] == pytest.approx((2 ** (one.depth - 1) - 1) ** 2)
        else:
            assert one.cosine["linear"] < 0.99
    seen = layers.overlaps(a, b)
    assert seen["3"] == seen["5"] == 0 and seen["1"] > 0.5


@pytest.mark.parametrize("family", ["mlp", "cnn", "resnet20"])
def test_equal_networks_mix_linearly_and_see_each_other(family):
    model = build(family, norm="layer")
    network = state(model, 1)
    layers = Layers(model, IMAGES)
    for one in layers.predictions(network, network, [0.25]):
        assert one.cosine["linear"] == pytest.approx(1, abs=1e-5) and one.error["linear"] < 1e-8
    assert all(value == pytest.approx(1) for value in layers.overlaps(network, network).values())
    assert layers.overlaps(network, network).keys() == layers.stable_ranks(network).keys()


def test_overlaps_are_ratios_of_what_weights_make_of_the_same_activations():
    model = build("mlp", hidden=[1])
    a, b = state(model, 1), state(model, 2)
    hidden = torch.relu(IMAGES.flatten(1) @ a["hidden.0.weight"].T + a["hidden.0.bias"])
    theirs, own = (hidden @ network["head.weight"].T for network in (b, a))
    found = Layers(model, IMAGES, batch_size=11).overlaps(a, b)
    assert found["head"] == pytest.approx(float(theirs.norm() / own.norm()), rel=1e-5)


def test_the_number_of_images_in_a_pass_changes_nothing():
    model = build("cnn")
    a, b = state(model, 1), state(model, 2)
    for one, other in zip(*(Layers(model, IMAGES, size).predictions(a, b, [0.3]) for size in (4, 30)), strict=True):
        assert one.cosine == pytest.approx(other.cosine, rel=1e-5) and one.error == pytest.approx(other.error, rel=1e-5)


def test_the_stable_rank_is_that_of_the_singular_values():
    weight = torch.randn(6, 3, 2, 2, generator=torch.Generator().manual_seed(1))
    values = torch.linalg.svdvals(weight.flatten(1).double())
    assert stable_rank(weight) == pytest.approx(float((values**2).sum() / values[0] ** 2))
    assert stable_rank(torch.eye(5)) == pytest.approx(5) and stable_rank(torch.ones(4, 7)) == pytest.approx(1)
    wide = torch.randn(100, 300, generator=torch.Generator().manual_seed(1))
    values = torch.linalg.svdvals(wide.double())
    assert stable_rank(wide) == pytest.approx(float((values**2).sum() / values[0] ** 2), rel=1e-12)
    assert stable_rank(torch.eye(100)) == pytest.approx(100) and stable_rank(torch.ones(90, 70)) == pytest.approx(1)
    assert stable_rank(torch.zeros(100, 100)) != stable_rank(torch.zeros(100, 100)), "there is none"


def test_a_random_direction_is_half_as_long_as_the_way_in_every_parameter():
    from types import SimpleNamespace

    model = build("mlp")
    ends = {3: state(model, 1), 5: state(model, 2)}
    study = SimpleNamespace(networks=lambda: ends, symmetry=SimpleNamespace(parameters=frozenset(ends[3])))
    moved = astray(study, 3, 5)
    for key in ends[3]:
        way = ends[5][key] - ends[3][key]
        steps = [found[key] - ends[seed][key] for seed, found in zip((3, 5), moved, strict=True)]
        assert all(float(step.norm()) == pytest.approx(float(way.norm()) / 2, rel=1e-4) for step in steps)
        assert not torch.allclose(*steps)
    assert all(
        torch.equal(one[key], two[key]) for one, two in zip(moved, astray(study, 3, 5), strict=True) for key in one
    )


def barriers(heights, metric="error"):
    """Rows of the table: heights of `none` and `matched` at each width, the same of all pairs but for a little."""
    names = {"none": ("none", "none", "none"), "matched": ("weights", "weights", "weights")}
    for width, values in heights.items():
        for kind, value in zip(names, values, strict=True):
            method = dict(zip(("method", "algorithm", "compared"), names[kind], strict=True))
            for a, b in ((0, 1), (2, 3), (0, 2), (1, 3)):
                about = {"model": "mlp", "width": width, "kind": kind, **method, "a": a, "b": b, "split": "train"}
                yield {**about, "metric": metric, "barrier": value * (1 + 0.01 * (a + b - 3))}


def test_the_share_is_what_falls_without_a_permutation():
    heights = {8: (0.8, 0.5), 64: (0.4, 0.2), 512: (0.1, 0.1), 1024: (0.9, 0.9)}
    rows = list(mechanism_share.table({"table mechanism": barriers(heights)}, {}))
    assert [row["width"] for row in rows] == [64, 512, 1024] and {row["narrowest"] for row in rows} == {8}
    assert rows[0]["share"] == pytest.approx(0.4 / 0.6) and rows[1]["share"] == pytest.approx(1)
    assert rows[0]["low"] < rows[0]["share"] < rows[0]["high"] and rows[0]["networks"] == 4
    # Nothing fell, so there is no share of it; nor where the fall is lost among the pairs.
    assert rows[2]["share"] is None and rows[2]["low"] is None
    (row,) = mechanism_share.table({"table mechanism": barriers({8: (0.8, 0.5), 64: (0.799, 0.799)})}, {})
    assert row["from_none"] > row["matched"] and row["share"] is None


def test_one_pair_has_a_share_and_no_interval():
    rows = [row for row in barriers({8: (0.8, 0.5), 64: (0.4, 0.2)}) if (row["a"], row["b"]) == (0, 1)]
    (row,) = mechanism_share.table({"table mechanism": rows}, {})
    assert row["share"] == pytest.approx(0.4 / 0.6) and row["low"] is None and row["high"] is None
