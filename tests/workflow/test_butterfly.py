"""Children that are perturbed and see the same batches, beside those that see others, through Snakemake."""

from pathlib import Path

import pytest
from snakemake.utils import update_config

from onebasin import checkpoint, data, tables
from workflow import validation

ROOT = Path(__file__).parents[2]

CONFIG = {
    "study": "tiny",
    "seeds": [0, 1, 2],
    "models": [{"name": "mlp", "family": "mlp", "widths": [8], "hidden": [1], "norm": "none"}],
    "training": {"epochs": 3, "checkpoints": []},
    "matching": [{"name": "weights", "algorithm": "weights"}],
    "barrier": {"points": 5, "train_images": 500},
    "butterfly": {
        "widths": [8],
        "times": [{"step": 5}, {"epoch": 1}],
        "children": [
            {"kind": "order"},
            {"kind": "gaussian", "sigma": 0},
            {"kind": "gaussian", "sigma": 0.5},
            {"kind": "gradient", "sigma": 0.5, "share": 0.5},
        ],
        "matching": [{"name": "active", "algorithm": "activations", "n_images": 100}],
        "data": {"label_noise": 0.3},
        "training": {"epochs": 4, "lr": 0.01},
    },
    "instability": {"widths": [8], "epochs": [1]},
    "experiments": ["butterfly", "instability"],
}


@pytest.fixture(scope="module")
def finished(make_once):
    return make_once("butterfly", CONFIG)


def rows_of(place, **wanted):
    rows = tables.rows(place.results / "tables/butterfly.csv", "butterfly")
    return [row for row in rows if all(row[key] == value for key, value in wanted.items())]


def test_children_leave_their_networks(finished):
    of_error = rows_of(finished, metric="error", split="train")
    assert {row["method"] for row in of_error} == {"none", "weights", "active"}
    assert {(row["kind"], row["sigma"]) for row in of_error} == {
        ("independent", None), ("order", None), ("gaussian", 0.0), ("gaussian", 0.5), ("gradient", 0.5)
    }  # fmt: skip
    assert {(row["epoch"], row["step"]) for row in of_error} == {(None, None), (0, 5), (1, 0)}
    assert all((row["a"] == row["b"]) == (row["kind"] != "independent") for row in of_error)
    for row in rows_of(finished, method="none"):
        same = row["sigma"] == 0
        assert (row["distance"] == 0) == same and (row["disagreement"] == 0 or not same)
        assert (row["angular_cka"] == pytest.approx(0, abs=1e-6)) == same
        assert row["end_a"] == row["end_b"] or not same
    for row in rows_of(finished, sigma=0.0):
        assert row["barrier"] == 0 and row["fixed_points"] in (None, 1.0)


def test_a_permutation_is_measured_on_the_pair_that_it_was_found_for(finished):
    for plain in rows_of(finished, method="none", kind="independent"):
        pair = {key: plain[key] for key in ("a", "b", "split", "metric")}
        (matched,) = rows_of(finished, method="active", kind="independent", **pair)
        assert matched["distance"] != plain["distance"] and matched["end_a"] == plain["end_a"]
        assert matched["end_b"] == pytest.approx(plain["end_b"], abs=2e-3)
        assert 0 <= matched["fixed_points"] < 1 and plain["fixed_points"] is None


def test_its_networks_are_trained_on_its_data_in_its_way(finished):
    own, first = (data.open_(finished.results / name) for name in ("butterfly/data.safetensors", "data.safetensors"))
    assert (own.train_labels != first.train_labels).double().mean() == pytest.approx(0.3, abs=0.001)
    assert (own.test_labels == first.test_labels).all()
    networks = finished.results / "networks/mlp/width8/seed1"
    for child in ("", "order-epoch0-step5/", "gaussian-sigma0.5-share1.0-epoch1-step0/"):
        about = checkpoint.load(networks / f"butterfly/{child}epoch4.safetensors")[1]
        assert about["dataset"]["digest"] == own.digest and about["settings"]["lr"] == 0.01
        assert (about["branch"] is None) == (child == "")
    assert checkpoint.load(networks / "shared1/epoch3.safetensors")[1]["branch"] == [1, "child"]


def test_networks_on_the_data_of_the_study_are_not_trained_again(finished, tmp_path):
    place = finished.copy(tmp_path / "workplace")
    own = {
        "children": [{"kind": "gaussian", "sigma": 0.1}],
        "times": [{"step": 0}],
        "data": {"name": "same", "label_noise": "same"},
    }
    config = {**CONFIG, "butterfly": {**own, "widths": [8], "matching": [], "training": {}}, "experiments": ["errors"]}
    place.snakemake("errors", *place.configure(config))
    place.snakemake("butterfly", *place.configure(config))
    log = (place.results / "logs/train_butterfly/mlp/width8/all.log").read_text()
    assert "made {'network': 3}, found {'network': 3}" in log


@pytest.mark.parametrize(
    ("section", "line"),
    [
        ({"times": [{"epoch": 4}]}, "butterfly.times[0].epoch: 4 is not allowed. Allowed: epochs below those of its"),
        (
            {"times": [{}]},
            "butterfly.times[0]: {} is not allowed. Allowed: a section with epoch or",
        ),
        ({"children": [{"kind": "gaussian"}]}, "butterfly.children[0]: the key 'sigma' is missing."),
        ({"children": [{"kind": "order", "sigma": 1}]}, "butterfly.children[0].sigma: not allowed with the other keys"),
        ({"children": [{"kind": "order"}] * 2}, "butterfly.children: {'kind': 'order'} is given twice"),
        (
            {"data": {"label_noise": 2}},
            "butterfly.data.label_noise: 2 is not allowed. Allowed: same or a number of at least 0",
        ),
        ({"training": {"momentum": 0.9}}, "butterfly.training.momentum: 0.9 is not allowed. No momentum with adam"),
        ({"matching": [{"name": "weights", "algorithm": "weights"}]}, "butterfly.matching[0].name: 'weights' has a"),
    ],
)
def test_what_makes_no_sense_is_refused_in_one_line(section, line):
    config = validation.read(ROOT / "config.yaml")
    update_config(config, {**CONFIG, "butterfly": {**CONFIG["butterfly"], **section}})
    with pytest.raises(SystemExit) as ended:
        validation.check(config, ROOT)
    assert str(ended.value).startswith(f"config error: {line}") and "\n" not in str(ended.value)
