"""Experts of several tasks, their merging and its correction, through Snakemake."""

import pytest

from onebasin import checkpoint, data, tables

CONFIG = {
    "study": "tiny",
    "seeds": [0, 1, 2],
    "models": [
        {"name": "mlp", "family": "mlp", "widths": [8], "hidden": [1, 1], "norm": "none"},
        {"name": "cnn", "family": "cnn", "widths": [4], "channels": [1, 1], "norm": "batch"},
    ],
    "training": {"epochs": 2, "checkpoints": []},
    "frames": [{"name": "merged", "algorithm": "merge_many", "similarity": "activations", "options": {}}],
    "barrier": {"points": 3, "train_images": 100, "fit_images": 60},
    "nonlocal": {
        "widths": [4, 8],
        "tasks": [{"name": "same", "variant": variant} for variant in ("none", "rotated", "permuted")],
        "starts": [0, 1],
        "coefficients": [0.5, 1],
    },
    "experiments": ["nonlocal"],
}
TASKS = ["digits", "digits-rotated", "digits-permuted"]


@pytest.fixture(scope="module")
def finished(make_once):
    return make_once("nonlocal", CONFIG)


@pytest.fixture(scope="module")
def rows(finished):
    return tables.read(finished.results / "tables/nonlocal.csv", "nonlocal")


def expert(place, seed, task, start, epoch):
    folder = f"networks/mlp/width8/seed{seed}/tasks/{task}/start{start}"
    return checkpoint.load(place.results / folder / f"epoch{epoch}.safetensors")


def same(first, second):
    return all(bool((first[key] == second[key]).all()) for key in first)


def test_experts_are_trained_on_their_tasks_from_one_start(finished):
    for start, begin in ((0, "tasks/digits/start0/epoch0"), (1, "epoch1")):
        began = checkpoint.load(finished.results / f"networks/mlp/width8/seed1/{begin}.safetensors")[0]
        for task in TASKS:
            assert same(expert(finished, 1, task, start, 0)[0], began)
            state, about = expert(finished, 1, task, start, 2)
            digest = data.open_(finished.results / f"tasks/{task}/data.safetensors").digest
            assert about["dataset"]["digest"] == digest and about["branch"] == [0, f"tasks/{task}"]
            assert about["expert"]["start"] == start and not same(state, began)
    assert not same(expert(finished, 1, "digits", 0, 0)[0], expert(finished, 2, "digits", 0, 0)[0])


def test_every_way_to_merge_is_measured_on_every_task(rows):
    ways = set(map(tuple, rows[["origin", "merge", "coefficient", "method"]].fillna(0).drop_duplicates().to_numpy()))
    assert ways == {
        ("common", "mean", 0, "none"), ("common", "vectors", 0.5, "none"), ("common", "vectors", 1, "none"),
        ("common", "mean", 0, "merged"), ("independent", "mean", 0, "none"), ("independent", "mean", 0, "merged"),
    }  # fmt: skip
    assert set(rows.loc[rows["count"] == 2, "task"]) == set(TASKS[:2]) and set(rows["task"]) == set(TASKS)
    for model, resets in (("mlp", False), ("cnn", True)):
        part = rows[rows["model"] == model]
        assert set(part["correction"]) == {"none", "reset", "repair", "task"}
        values = [part.loc[part["correction"] == name, "value"].tolist() for name in ("none", "reset")]
        assert (sorted(values[1]) != sorted(2 * values[0])) == resets
    cells = ["model", "start", "origin", "merge", "coefficient", "method", "correction", "fitted", "tasks", "task"]
    assert (rows.groupby([*cells, "split", "metric", "layer"], dropna=False)["seed"].nunique() == 3).all()
    errors = rows[rows["metric"] == "error"]
    assert (errors["excess"] == errors["value"] - errors["expert"]).all()
    # Half of the sum of two task vectors is their mean.
    two = errors[(errors["count"] == 2) & (errors["origin"] == "common") & (errors["method"] == "none")]
    keys = ["model", "start", "correction", "fitted", "task", "seed", "split"]
    mean = two[two["merge"] == "mean"].set_index(keys)["value"].sort_index()
    half = two[two["coefficient"] == 0.5].set_index(keys)["value"].sort_index()
    assert (mean - half).abs().max() < 0.02


def test_by_task_the_variance_of_every_layer_is_that_of_the_expert(rows):
    variances = rows[rows["metric"] == "variance"]
    assert set(variances["layer"]) == {1, 2}
    off = (variances["ratio"] - 1).abs()
    assert off[variances["correction"] == "task"].max() < 1e-3 < off[variances["correction"] == "none"].max()


def test_the_same_again_makes_the_same_bytes_from_what_is_finished(finished, tmp_path):
    place = finished.copy(tmp_path / "workplace")
    table = place.results / "tables/nonlocal.csv"
    before = table.read_bytes()
    table.unlink()
    gone = place.results / "networks/mlp/width8/seed0/tasks/digits-rotated/start1/epoch2.safetensors"
    gone.unlink()
    (place.results / "measurements/nonlocal/mlp/width8/none.csv").unlink()
    place.snakemake("nonlocal", *place.configure(CONFIG))
    log = (place.results / "logs/train_experts/mlp/width8/all.log").read_text()
    assert "made {}, found {'network': 18}" in log
    assert table.read_bytes() == before
