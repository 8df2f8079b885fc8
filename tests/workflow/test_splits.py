"""Networks on parts of the data: the option `data.parts` and the experiment `splits`, through Snakemake."""

import shutil
from pathlib import Path

import pytest
import torch
from snakemake.utils import update_config

from onebasin import checkpoint, tables
from workflow import validation

ROOT = Path(__file__).parents[2]
FIFTHS = {"by": "dirichlet", "number": 3, "concentration": 0.5}
CONFIG = {
    "study": "tiny",
    "seeds": [0, 1, 2],
    "models": [{"name": "mlp", "family": "mlp", "widths": [8], "hidden": [1], "norm": "batch"}],
    "training": {"epochs": 4, "checkpoints": [], "lr": 0.01},
    "matching": [{"name": "weights", "algorithm": "weights"}],
    "barrier": {"points": 5, "train_images": 500, "fit_images": 300},
    "splits": {
        "widths": [8],
        "parts": [{"by": "whole", "number": 2}, {"by": "classes", "number": 2, "share": 0.8}, FIFTHS],
        "divisions": 2,
        "corrections": ["none", "reset"],
        "points": 5,
    },
    "experiments": ["errors", "splits"],
}


@pytest.fixture(scope="module")
def finished(make_once):
    return make_once("splits", CONFIG)


def rows_of(place, **wanted):
    rows = tables.rows(place.results / "tables/splits.csv", "splits")
    return [row for row in rows if all(row[key] == value for key, value in wanted.items())]


def test_every_division_is_judged_alone_and_together(finished):
    for way, number in (("whole", 2), ("classes", 2), ("dirichlet", 3)):
        for start in ("independent", "common"):
            rows = rows_of(finished, by=way, start=start, metric="error", split="test", division=1)
            by_kind = {}
            for row in rows:
                by_kind.setdefault(row["network"], []).append(row)
            assert len(by_kind["alone"]) == number and len(by_kind["ensemble"]) == len(by_kind["all data"]) == 1
            # Without a permutation and by weights, each under two corrections.
            assert len(by_kind["mean"]) == 4 and len(by_kind["line"]) == 4 * number * (number - 1) // 2
            seeds = [str(number + index) for index in range(number)]
            assert [row["members"] for row in by_kind["alone"]] == seeds
            assert by_kind["mean"][0]["members"] == by_kind["ensemble"][0]["members"] == "-".join(seeds)
            assert by_kind["all data"][0]["members"] == seeds[0]
            alone = sum(row["value"] for row in by_kind["alone"]) / number
            assert by_kind["ensemble"][0]["baseline"] == pytest.approx(alone)
            plain = [row for row in by_kind["mean"] if row["correction"] == "none"]
            assert all(row["baseline"] == pytest.approx(alone, abs=1e-3) for row in plain)
            assert all(row["barrier"] >= 0 for row in by_kind["line"])
    assert {row["correction"] for row in rows_of(finished)} == {"none", "reset"}
    assert {(row["split"], row["metric"]) for row in rows_of(finished, network="mean")} == {
        (split, metric) for split in ("train", "test") for metric in ("loss", "error")
    }


def network(place, seed, split):
    return checkpoint.load(place.results / f"networks/mlp/width8/seed{seed}/split/{split}/epoch4.safetensors")


def same(folder, split):
    """Whether a network of the study and one of `splits` are the same, whatever the commit that made them."""
    (state, about), (other, described) = (
        checkpoint.load(folder / name / "epoch4.safetensors") for name in (".", split)
    )
    about, described = ({**each, "commit": None} for each in (about, described))
    return checkpoint.digest(state) == checkpoint.digest(other) and about == described


def test_networks_on_all_images_are_those_of_the_study(finished):
    for seed in (0, 2):
        assert same(finished.results / f"networks/mlp/width8/seed{seed}", "split/whole")
    by_seed = {
        row["seed"]: row["error"]
        for row in tables.rows(finished.results / "tables/errors.csv", "errors")
        if row["split"] == "test"
    }
    for row in rows_of(finished, network="all data", split="test", metric="error"):
        if int(row["members"]) in by_seed:
            assert row["value"] == pytest.approx(by_seed[int(row["members"])])


def test_networks_say_which_part_they_saw_and_from_where_they_started(finished):
    about = network(finished, 4, "dirichlet3-0.5-common")[1]
    assert about["parts"] == {**FIFTHS, "seed": 0, "division": 1, "part": 1} and about["start"] == 3
    about = network(finished, 3, "dirichlet3-0.5")[1]
    assert about["parts"]["part"] == 0 and "start" not in about
    assert "parts" not in network(finished, 0, "whole")[1]


def test_a_study_whose_networks_all_saw_parts(finished, tmp_path):
    place = finished.copy(tmp_path / "workplace")
    config = {**CONFIG, "data": {"parts": FIFTHS}, "experiments": ["errors", "width"]}
    planned = place.plan(*place.configure(config))
    assert planned["train"] == 1 and "data" not in planned, "the data set is as before"
    place.snakemake(*place.configure(config))
    own = place.results / "networks/mlp/width8"
    for seed in (0, 1, 2):
        # Those of `splits` are the same ones.
        assert same(own / f"seed{seed}", "split/dirichlet3-0.5")

    # What is not divided is an ordinary network, bit for bit.
    config = {**config, "data": {"parts": {"by": "equal", "number": 1}}}
    place.snakemake(*place.configure(config))
    state, about = checkpoint.load(own / "seed1/epoch4.safetensors")
    assert about["parts"]["number"] == 1
    plain = checkpoint.load(finished.results / "networks/mlp/width8/seed1/epoch4.safetensors")[0]
    assert all(torch.equal(state[key], plain[key]) for key in plain)


def test_children_and_pruned_networks_see_the_part_of_their_network(tmp_path, make_once):
    config = {
        **CONFIG,
        "data": {"parts": {"by": "equal", "number": 2}},
        "experiments": ["instability", "tickets", "star"],
        "instability": {"widths": [8], "epochs": [1]},
        "pruning": {"widths": [8], "levels": 1},
        "tickets": {"levels": [1]},
        "star": {"widths": [8], "sources": [1], "seeds": [7], "align": "weights", "length": 1},
    }
    place = make_once("splits-children", config)
    networks = place.results / "networks/mlp/width8"
    for path, part in (
        ("seed1/shared1/epoch4", (0, 1)),
        ("seed2/level1/epoch4", (1, 0)),
        ("seed1/level1/random/from0/epoch4", (0, 1)),
        ("seed7/star/1/epoch4", (3, 1)),
        ("seed7/star/longer/epoch4", (3, 1)),
    ):
        about = checkpoint.load(networks / f"{path}.safetensors")[1]
        assert (about["parts"]["division"], about["parts"]["part"]) == part, path


def test_a_job_for_each_network_makes_the_same(finished, tmp_path):
    place = finished.copy(tmp_path / "workplace")
    few = {"parts": [{"by": "classes", "number": 2, "share": 0.8}], "starts": ["common"], "divisions": 1}
    config = {**CONFIG, "splits": {**CONFIG["splits"], **few}}
    apart = place.configure({**config, "seeds_together": False})
    place.snakemake("splits", *place.configure(config))
    before = (place.results / "tables/splits.csv").read_bytes()
    place.configure({**config, "seeds_together": False})
    shutil.rmtree(place.folder / "results/.store")
    for path in (place.results / "networks/mlp/width8").glob("seed*/split"):
        shutil.rmtree(path)
    assert place.plan("splits", *apart)["train_splits"] == 3
    place.snakemake("splits", "--cores", 1, *apart)
    assert (place.results / "tables/splits.csv").read_bytes() == before


@pytest.mark.parametrize(
    ("section", "line"),
    [
        ({"parts": []}, "splits.parts: an empty list is not allowed. Allowed: a list of at least 1 items"),
        (
            {"parts": [{"by": "equal", "number": 1}]},
            "splits.parts[0].number: 1 is not allowed. Allowed: a whole number",
        ),
        (
            {"parts": [{"by": "whole", "number": 1}]},
            "splits.parts[0].number: 1 is not allowed. Allowed: a whole number",
        ),
        ({"parts": [{"by": "whole"}]}, "splits.parts[0]: the key 'number' is missing."),
        (
            {"parts": [{"by": "halfs", "number": 2}]},
            "splits.parts[0].by: 'halfs' is not allowed. Allowed: whole, equal",
        ),
        ({"parts": [{"by": "classes", "number": 2}]}, "splits.parts[0]: the key 'share' is missing."),
        ({"parts": [{"by": "equal", "number": 2}] * 2}, "splits.parts: {'by': 'equal', 'number': 2} is given twice"),
        ({"points": 4}, "splits.points: 4 points have no middle. Allowed: an odd number"),
    ],
)
def test_what_makes_no_sense_is_refused_in_one_line(section, line):
    config = validation.read(ROOT / "config.yaml")
    update_config(config, {**CONFIG, "splits": {**CONFIG["splits"], **section}})
    with pytest.raises(SystemExit) as ended:
        validation.check(config, ROOT)
    assert str(ended.value).startswith(f"config error: {line}") and "\n" not in str(ended.value)
