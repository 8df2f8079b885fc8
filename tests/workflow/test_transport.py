"""The experiments that carry permutations on, as tiny real studies: along paths, into wide networks, across data."""

import math

import pytest

from onebasin import checkpoint, data, models, permutation, symmetry, tables
from onebasin.prune import Mask

SEEDS = 4
PAIRS = 6
METHODS = ("weights", "activations")
FRAMES = ("merge", "universe")


@pytest.fixture(scope="session")
def made(transport):
    return transport


def table(made, name):
    return list(tables.rows(made[0].results / "tables" / f"{name}.csv", name))


def test_nothing_is_left_to_do_and_a_value_reruns_its_experiment_alone(made):
    workplace, config = made
    assert workplace.plan(*workplace.configure(config)) == {}
    changed = {**config, "cycles": {**config["cycles"], "limit": 2}}
    assert workplace.plan(*workplace.configure(changed)).keys() == {
        *("cycles_measure", "cycles_table", "cycles_figure", "findings", "report", "all")
    }
    changed = {**config, "transfer": {**config["transfer"], "data": {"variant": "rotated"}}}
    plan = workplace.plan(*workplace.configure(changed))
    made_again = {
        f"{name}_{stage}" for name in ("transfer", "transfer_masks") for stage in ("measure", "table", "figure")
    }
    trained = {"second_data", "train_second", "align_transfer", "train_second_tickets"}
    assert plan.keys() == made_again | trained | {"findings", "report", "all"}


def test_every_path_and_cycle_is_measured(made):
    rows = [row for row in table(made, "cycles") if (row["split"], row["metric"]) == ("train", "error")]
    count = {}
    for row in rows:
        key = row["method"], row["kind"], row["length"]
        count[key] = count.get(key, 0) + 1
    expected = {("none", "path", 0): 6}
    for method in (*METHODS, *FRAMES):
        expected |= {(method, "path", 1): 6, (method, "path", 2): 12, (method, "path", 3): 12}
        expected |= {(method, "cycle", 3): 4, (method, "cycle", 4): 3}
    assert count == expected


def test_compositions_of_one_and_two_are_the_weak_and_strong_claims(made):
    known = {}
    for row in table(made, "width"):
        middle = [] if row["reference"] is None else [row["reference"]]
        way = "-".join(map(str, [row["a"], *middle, row["b"]]))
        known[row["width"], row["method"], way, row["split"], row["metric"]] = row["barrier"]
    compared = [row for row in table(made, "cycles") if row["kind"] == "path" and row["length"] <= 2]
    assert len(compared) == 2 * 2 * (6 + 4 * (6 + 12))
    for row in compared:
        way = row["networks"]
        if row["method"] in FRAMES:  # which path it is makes no difference
            way = f"{way[0]}-{way[-1]}"
        key = row["width"], row["method"], way, row["split"], row["metric"]
        assert row["barrier"] == pytest.approx(known[key], abs=0.021)  # an image of 100 may fall to the other side


def test_fixed_points_of_cycles_are_those_of_their_groups(made):
    groups = {}
    for row in table(made, "fixed_points"):
        groups.setdefault((row["method"], row["networks"]), []).append(row)
        assert row["chance"] == 1 / row["units"]
    for row in table(made, "cycles"):
        if row["kind"] == "path":
            assert row["fixed_points"] is None
            continue
        parts = groups[row["method"], row["networks"]]
        units = sum(part["units"] for part in parts)
        assert row["fixed_points"] == pytest.approx(sum(p["fixed_points"] * p["units"] for p in parts) / units)
        assert row["chance"] == pytest.approx(len(parts) / units)


def test_around_a_cycle_every_unit_comes_back_in_a_common_frame(made):
    rows = [row for row in table(made, "cycles") if row["kind"] == "cycle"]
    framed = [row for row in rows if row["method"] in FRAMES]
    assert len(framed) == len(FRAMES) * (4 + 3) * 2 * 2
    assert all(row["fixed_points"] == 1 and row["barrier"] == 0 for row in framed)
    assert any(row["fixed_points"] < 1 for row in rows if row["method"] in METHODS)


def test_padded_networks_have_the_values_of_the_narrow_ones(made):
    ends = {}
    for row in table(made, "width"):
        ends[row["width"], row["a"], row["split"], row["metric"]] = row["end_a"]
        ends[row["width"], row["b"], row["split"], row["metric"]] = row["end_b"]
    rows = table(made, "embedding")
    assert len(rows) == 3 * SEEDS**2 * 2 * 2
    for row in rows:
        assert (row["width"], row["narrow"]) == (8, 4)
        assert row["end_a"] == pytest.approx(ends[8, row["a"], row["split"], row["metric"]], rel=1e-5)
        assert row["end_b"] == pytest.approx(ends[4, row["b"], row["split"], row["metric"]], rel=1e-5)


def test_transfer_measures_every_pair_under_every_permutation(made):
    rows = [row for row in table(made, "transfer") if (row["split"], row["metric"]) == ("test", "error")]
    assert len(rows) == (2 * PAIRS + 2 * PAIRS) * (1 + 2 * 3) + 2 * SEEDS * (1 + 2)
    for row in rows:
        across = row["trained_a"] != row["trained_b"]
        assert row["a"] < row["b"] or across and row["a"] == row["b"]
        assert across or row["data"] == row["trained_a"]
        own = row["permutation"] == ("across" if across else row["trained_a"])
        if own:
            assert row["agreement"] == 1
        elif row["permutation"] == "none":
            assert row["agreement"] is row["fixed_points"] is row["chance"] is None
        assert math.isfinite(row["barrier"])


def test_masks_of_the_first_data_set_are_what_networks_of_the_second_are_trained_under(made):
    results = made[0].results
    rows = table(made, "transfer_masks")
    partner = {0: 1, 1: 0, 2: 3, 3: 2}
    assert len(rows) == SEEDS * (1 + 2 + len(METHODS))
    dataset = data.open_(results / "second/data.safetensors")
    model = models.build("mlp", width=4, hidden=[1, 1], image_shape=dataset.image_shape, classes=dataset.classes)
    found = symmetry.discover(model, dataset.tensors("train", limit=2)[0])
    ends = {row["b"]: row["end_b"] for row in compared(made) if row["split"] == "test"}
    for row in rows:
        seed, source = row["seed"], row["source"]
        if row["mask"] == "none":
            assert (row["level"], row["density"], source) == (0, 1, seed)
            assert seed not in ends or row["test_error"] == pytest.approx(ends[seed])
            continue
        assert source == partner[seed]
        mask = Mask.load(results / f"networks/mlp/width4/seed{source}/level1/mask.safetensors")
        assert row["density"] == mask.density < 1
        ticket = row["method"] if row["mask"] == "permuted" else row["mask"]
        folder = results / f"networks/mlp/width4/seed{seed}/second/level1/{ticket}/from{source}"
        state, about = checkpoint.load(folder / "epoch3.safetensors")
        assert (about["seed"], about["source"], about["ticket"]) == (seed, source, ticket)
        zeros = Mask({key: state[key] != 0 for key in mask})
        if ticket in METHODS:
            # Found across the data sets, it takes the network of the second one into the frame of the source.
            across = permutation.load(results / f"permutations/mlp/width4/{ticket}/across.safetensors")
            assert zeros.permuted(found, across[source, seed]) == mask
        else:
            assert (zeros == mask) == (ticket == "unpermuted") and zeros.counts() == mask.counts()


def compared(made):
    """The rows of unpermuted networks across the data sets, measured as errors on the second."""
    wanted = ("first", "second", "second", "none", "error")
    names = ("trained_a", "trained_b", "data", "permutation", "metric")
    return [row for row in table(made, "transfer") if tuple(row[name] for name in names) == wanted]
