"""The experiments on the history of training, run through Snakemake on the tiny study."""

import itertools

import pytest

from onebasin import permutation, tables

SEEDS = (0, 1, 2, 3)
PAIRS = list(itertools.combinations(SEEDS, 2))
METHODS = ("weights", "activations")
EPOCHS = (0, 1, 3)
ENDS = {"findings", "report", "all"}
NAMES = ("trajectory", "stability", "layers", "superposition")


def table(study, name):
    return list(tables.rows(study.results / "tables" / f"{name}.csv", name))


def test_trajectory_has_every_epoch_against_every_epoch(history):
    rows = table(history[0], "trajectory")
    cells = [("mlp", 4), ("cnn", 2)]
    expected = {
        (*cell, method, found, epoch, a, b, split, metric)
        for cell, epoch, (a, b), split, metric in itertools.product(
            cells, EPOCHS, PAIRS, ("train", "test"), ("loss", "error")
        )
        for method, found in [("none", None), *itertools.product(METHODS, EPOCHS)]
    }
    keys = ("model", "width", "method", "found", "epoch", "a", "b", "split", "metric")
    assert len(rows) == len(expected) and {tuple(row[key] for key in keys) for row in rows} == expected
    assert all(row["barrier"] >= 0 and row["alpha"] in (0, 0.5, 1) for row in rows)


def test_the_end_under_the_final_permutation_is_what_pairs_measures(history):
    """Three points against five: the middle and the ends are the same."""
    curves = {}
    for row in table(history[0], "pairs"):
        if row["split"] == "test" and row["alpha"] in (0, 0.5, 1):
            key = tuple(row[name] for name in ("model", "width", "method", "a", "b"))
            curves.setdefault(key, {})[row["alpha"]] = row["loss"]
    checked = 0
    for row in table(history[0], "trajectory"):
        if (row["epoch"], row["split"], row["metric"]) == (3, "test", "loss") and row["found"] in (None, 3):
            curve = curves[tuple(row[name] for name in ("model", "width", "method", "a", "b"))]
            assert row["barrier"] == pytest.approx(max(0, curve[0.5] - (curve[0] + curve[1]) / 2), abs=1e-6)
            checked += 1
    assert checked == 2 * len(PAIRS) * (1 + len(METHODS))


def test_stability_compares_the_permutations_on_disk(history):
    rows = table(history[0], "stability")
    stages = [("epoch0", "epoch1"), ("epoch0", "epoch3"), ("epoch1", "epoch3")]
    groups = {"mlp": 2, "cnn": 2}
    assert len(rows) == sum(groups.values()) * len(METHODS) * len(PAIRS) * len(stages)
    assert {(row["first"], row["second"]) for row in rows} == set(stages)
    folder = history[0].results / "permutations/mlp/width4/activations"
    early, late = (permutation.load(folder / f"epoch{epoch}.safetensors")[0, 2] for epoch in (1, 3))
    mine = {
        row["group"]: (row["units"], row["fixed"])
        for row in rows
        if [row[name] for name in ("model", "method", "a", "b", "first")] == ["mlp", "activations", 0, 2, "epoch1"]
    }
    assert mine == {name: (4, sum(early[name] == late[name]) / 4) for name in early}


def test_layers_has_every_hybrid_and_ends_at_the_final_permutation(history):
    rows = [row for row in table(history[0], "layers") if (row["split"], row["metric"]) == ("train", "error")]
    kinds = {("none", None)} | {("rewound", None)}
    kinds |= set(itertools.product(("bottom_up", "top_down", "one_in", "one_out"), (1, 2, 3)))
    assert {(row["kind"], row["place"]) for row in rows} == kinds and {row["layers"] for row in rows} == {3}
    assert len(rows) == 2 * len(PAIRS) * (1 + len(METHODS) * 13)
    found = {}
    for row in table(history[0], "trajectory"):
        if (row["epoch"], row["split"], row["metric"]) == (3, "train", "error"):
            found[tuple(row[name] for name in ("model", "method", "a", "b", "found"))] = row["barrier"]
    same = {("bottom_up", 3): 3, ("top_down", 1): 3, ("rewound", None): 0, ("none", None): None}
    for row in rows:
        if (row["kind"], row["place"]) in same:
            key = tuple(row[name] for name in ("model", "method", "a", "b"))
            assert row["barrier"] == pytest.approx(found[*key, same[row["kind"], row["place"]]], abs=1e-9)


def test_superposition_stands_beside_single_checkpoints(history):
    rows = table(history[0], "superposition")
    per_cell = len(PAIRS) * len(EPOCHS) * 2 * 2
    assert len(rows) == 2 * per_cell * (1 + len(METHODS) * (len(EPOCHS) + 1))
    assert {(row["method"], row["matched"]) for row in rows} == {("none", "none")} | set(
        itertools.product(METHODS, ("0", "1", "3", "1+3"))
    )


def test_every_figure_is_there_and_nothing_is_left_to_do(history):
    for name in NAMES:
        assert (history[0].results / "figures" / f"{name}.png").read_bytes().startswith(b"\x89PNG")
    place, config = history[0], dict(history[1])
    assert place.plan(*place.configure(config)) == {}
    config["superposition"] = {"sets": [[1, 3], [0, 3]]}
    jobs = {"superposition_measure": 2, "superposition_table": 1, "superposition_figure": 1, **dict.fromkeys(ENDS, 1)}
    assert place.plan(*place.configure(config)) == jobs
    config["methods_together"] = False
    assert place.plan("superposition", *place.configure(config))["superposition_measure"] == 2 * len(METHODS)


def test_disjoint_pairs_alone(history, tmp_path):
    copy = history[0].copy(tmp_path / "copy")
    config = {**history[1], "experiments": ["trajectory"]}
    config["history"] = {**config["history"], "pairs": "disjoint", "widths": [4]}
    copy.snakemake(*copy.configure(config))
    assert {(row["a"], row["b"]) for row in table(copy, "trajectory")} == {(0, 1), (2, 3)}


def test_stability_compares_levels_of_pruning_where_the_study_prunes(history, tmp_path):
    copy = history[0].copy(tmp_path / "copy")
    config = {**history[1], "experiments": ["stability", "sparsity"]}
    configfile = copy.configure(config)
    plan = copy.plan("stability", *configfile)
    jobs = {"prune": 1, "align_levels": 1, "stability_measure": 1, "stability_table": 1, "stability_figure": 1}
    assert plan == {**jobs, "stability": 1}
    copy.snakemake("stability", *configfile)
    stages = {"mlp": set(), "cnn": set()}
    for row in table(copy, "stability"):
        stages[row["model"]] |= {row["first"], row["second"]}
    epochs = {"epoch0", "epoch1", "epoch3"}
    assert stages == {"mlp": epochs | {"level1", "level2"}, "cnn": epochs}
