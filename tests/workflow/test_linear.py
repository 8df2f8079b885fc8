"""Networks in the frame of one of them by linear maps, through Snakemake."""

from statistics import mean

import pytest

from onebasin import tables

CONFIG = {
    "study": "tiny",
    "seeds": [0, 1, 2],
    "models": [
        {"name": "mlp", "family": "mlp", "widths": [32], "hidden": [1, 1], "norm": "none"},
        {"name": "cnn", "family": "cnn", "widths": [4], "channels": [1, 2], "norm": "layer"},
    ],
    "training": {"epochs": 6, "checkpoints": [], "lr": 0.005},
    "matching": [{"name": "activations", "algorithm": "activations"}],
    "barrier": {"points": 5, "train_images": 300, "fit_images": 300},
    "linear": {"widths": [4, 32], "counts": [2, 3], "points": 5, "gammas": [0.1, 10]},
    "experiments": ["width", "linear"],
}


def test_mapped_networks_alone_on_lines_and_in_means(workplace):
    workplace.snakemake("--cores", 1, *workplace.configure(CONFIG))
    rows = list(tables.rows(workplace.results / "tables/linear.csv", "linear"))
    # Three references: alone by three alignments; lines and two means by four, under two corrections.
    assert len(rows) == 2 * 2 * 2 * 3 * (3 + 4 * 2 * 3)
    sets = {row["count"]: set() for row in rows}
    for row in rows:
        sets[row["count"]].add((row["reference"], row["others"]))
        assert (row["gamma"] in (0.1, 10)) == (row["alignment"] == "cca")
        assert row["rise"] == pytest.approx(row["value"] - row["baseline"], abs=1e-12)
        if row["what"] == "line":
            assert row["rise"] >= 0
    assert sets == {
        1: {(0, "1"), (1, "2"), (2, "0")},
        2: {(0, "1"), (1, "2"), (2, "0")},
        3: {(0, "1-2"), (1, "2-0"), (2, "0-1")},
    }
    for row in rows:
        if row["alignment"] in ("none", "permutation"):
            # Permutations are symmetries: what is mixed is what was trained.
            assert row["excess"] == pytest.approx(row["rise"], abs=2e-3)
            assert row["what"] != "alone" or row["excess"] == pytest.approx(0, abs=2e-3)

    # Lines to permuted networks are those of `width`.
    known = {
        (row["model"], row["a"], row["b"], row["split"], row["metric"]): row["barrier"]
        for row in tables.rows(workplace.results / "tables/width.csv", "width")
        if row["claim"] == "weak" and row["method"] == "activations"
    }
    found = {
        (row["model"], row["reference"], int(row["others"]), row["split"], row["metric"]): row["rise"]
        for row in rows
        if (row["alignment"], row["what"], row["correction"]) == ("permutation", "line", "none")
    }
    assert len(known.keys() & found.keys()) == 2 * 2 * 2 * 2
    for key in known.keys() & found.keys():
        assert found[key] == pytest.approx(known[key], abs=1e-4)

    def excess(alignment, what, count):
        chosen = ("mlp", alignment, what, count, "none", "test", "error")
        names = ("model", "alignment", "what", "count", "correction", "split", "metric")
        return mean(row["excess"] for row in rows if tuple(row[name] for name in names) == chosen)

    assert excess("cca", "alone", 1) > 0.02 < excess("procrustes", "alone", 1), "no symmetries"
    assert max(excess(alignment, "mean", 3) for alignment in ("cca", "procrustes")) < excess("none", "mean", 3)
    assert "no symmetries" in (workplace.results / "summary/linear.md").read_text()
    assert (workplace.results / "figures/linear.png").exists()

    workplace.measured_after_a_kill(CONFIG, "linear", parts=2)
