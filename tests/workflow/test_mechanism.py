"""Barriers with and without a permutation, and what layers of mixtures compute, through Snakemake."""

import shutil
from collections import defaultdict
from itertools import combinations
from statistics import mean

import pytest

from onebasin import tables

CONFIG = {
    "study": "tiny",
    "seeds": [0, 1, 2, 3],
    "data": {"held_out": 0.2},
    "models": [{"name": "mlp", "family": "mlp", "widths": [16, 256], "hidden": [1, 1], "norm": "none"}],
    "training": {"epochs": 8, "checkpoints": [], "lr": 0.005},
    "matching": [{"name": "activations", "algorithm": "activations"}],
    "barrier": {"points": 5, "train_images": 300},
    "mechanism": {"widths": [16, 256]},
    "experiments": ["mechanism", "mechanism_share", "mechanism_layers"],
}
PAIRS = set(combinations(range(4), 2))


def test_what_falls_with_width_and_what_layers_compute(workplace):
    workplace.snakemake("--cores", 1, *workplace.configure(CONFIG))
    check_barriers(list(tables.rows(workplace.results / "tables/mechanism.csv", "mechanism")))
    check_shares(workplace)
    check_layers(list(tables.rows(workplace.results / "tables/mechanism_layers.csv", "mechanism_layers")))

    # Measured again, with nothing kept, all is as it was.
    measured = workplace.results / "measurements"
    before = {path.relative_to(measured): path.read_bytes() for path in measured.rglob("*.csv")}
    for folder in (measured, workplace.results / "tables", workplace.folder / "results/.store/mixtures"):
        shutil.rmtree(folder)
    workplace.snakemake("--cores", 1, *workplace.configure(CONFIG))
    assert before == {path.relative_to(measured): path.read_bytes() for path in measured.rglob("*.csv")}


def check_barriers(rows):
    kinds = {"none", "matched", "random order", "random direction"}
    assert {(row["a"], row["b"]) for row in rows} == PAIRS and {row["kind"] for row in rows} == kinds
    assert {row["metric"] for row in rows} == {"error", "loss", "loss_calibrated"}
    assert len(rows) == 2 * len(PAIRS) * len(kinds) * 2 * 3
    ends = defaultdict(list)
    for row in rows:
        assert row["barrier"] >= 0 and (row["kind"] != "random direction" or row["alpha"] in (0, 0.5))
        ends[row["width"], row["a"], row["b"], row["split"], row["metric"]].append((row["end_a"], row["end_b"]))
    # Whatever was done, the networks at the ends compute the same.
    for found in ends.values():
        assert all(one == pytest.approx(found[0], abs=2e-3) for one in found)

    def barrier(kind: str, width: int) -> float:
        chosen = (kind, width, "error", "train")
        return mean(
            row["barrier"] for row in rows if (row["kind"], row["width"], row["metric"], row["split"]) == chosen
        )

    # A random order is no better than none.
    assert barrier("matched", 256) < 0.5 * barrier("none", 256) < barrier("random order", 256)


def check_shares(workplace):
    rows = list(tables.rows(workplace.results / "tables/mechanism_share.csv", "mechanism_share"))
    assert {(row["width"], row["narrowest"]) for row in rows} == {(256, 16)} and len(rows) == 2 * 3
    assert all(row["networks"] == 4 for row in rows)
    known = [row for row in rows if row["share"] is not None]
    assert {"error", "loss_calibrated"} <= {row["metric"] for row in known}
    for row in known:
        assert row["share"] == pytest.approx((row["from_none"] - row["none"]) / (row["from_none"] - row["matched"]))
        assert row["low"] <= row["share"] <= row["high"]


def check_layers(rows):
    assert len(rows) == 2 * len(PAIRS) * 3 * 2 * 2 * 3
    ranks = defaultdict(set)
    for row in rows:
        ranks[row["width"], row["a"], row["layer"]].add(row["stable_rank_a"])
        if row["depth"] == 1:
            assert row["linear_error"] == row["exponential_error"] < 1e-9
        elif row["share"] == 0.5:
            assert row["linear_cosine"] == pytest.approx(row["exponential_cosine"], abs=1e-9)
        else:
            assert row["linear_error"] != row["exponential_error"]
    assert all(len(values) == 1 for values in ranks.values()), "a permutation leaves singular values as they are"

    def error(kind: str, name: str) -> float:
        return mean(row[name] for row in rows if row["kind"] == kind and row["width"] == 256 and row["depth"] > 1)

    assert error("matched", "linear_error") < error("none", "linear_error")
