"""A tiny real study, run through Snakemake: what it makes, and what is made again when something changes."""

import csv
import itertools
import os
import shutil

import pytest
from PIL import Image

from onebasin import checkpoint, data, permutation, tables

SEEDS = (0, 1, 2, 3)
PAIRS = list(itertools.combinations(SEEDS, 2))
CELLS = ("mlp/width4", "mlp/width8", "cnn/width2")
METHODS = ("weights", "activations")
FRAMES = ("merge-weights", "universe-activations")
EXPERIMENTS = ("pairs", "width", "scaling", "differences", "simplex", "consensus", "methods")
POINTS = 5
# Weights, activations: of every triple, one is the reference.
TRIPLES = len(SEEDS) * 3


def without_seconds(path):
    with open(path, newline="") as stream:
        costs = {"seconds", "memory"}
        return [{key: value for key, value in row.items() if key not in costs} for row in csv.DictReader(stream)]


def table(study, name):
    return list(tables.rows(study.results / "tables" / f"{name}.csv", name))


def test_every_table_and_figure_is_there(study):
    for name in EXPERIMENTS:
        assert (study.results / "tables" / f"{name}.csv").stat().st_size > 0
        assert (study.results / "figures" / f"{name}.png").read_bytes().startswith(b"\x89PNG")
        assert (study.results / "figures" / f"{name}.pdf").read_bytes().startswith(b"%PDF")


def test_pairs_has_a_row_for_each_point_of_each_pair(study):
    rows = table(study, "pairs")
    assert len(rows) == len(CELLS) * len(PAIRS) * (1 + len(METHODS)) * 2 * POINTS
    assert {(row["method"], row["claim"]) for row in rows} == {("none", "none")} | {(m, "weak") for m in METHODS}
    assert {row["alpha"] for row in rows} == {0.0, 0.25, 0.5, 0.75, 1.0}
    assert {(row["a"], row["b"]) for row in rows} == set(PAIRS)


def test_width_has_a_row_for_each_path_split_and_metric(study):
    rows = table(study, "width")
    paths = len(PAIRS) + len(METHODS) * (len(PAIRS) + TRIPLES) + len(FRAMES) * len(PAIRS)
    assert len(rows) == len(CELLS) * 2 * 2 * paths
    assert all(row["barrier"] >= 0 and 0 <= row["alpha"] <= 1 for row in rows)
    strong = [row for row in rows if row["claim"] == "strong"]
    triples = {(row["reference"], row["a"], row["b"]) for row in strong if row["method"] in METHODS}
    assert triples == {(r, a, b) for r in SEEDS for a, b in PAIRS if r not in (a, b)}
    assert {row["method"] for row in rows if row not in strong} == {"none", *METHODS}
    for frame in FRAMES:
        found = {(row["reference"], row["a"], row["b"]) for row in strong if row["method"] == frame}
        assert found == {(None, a, b) for a, b in PAIRS}
    assert all(row["reference"] is None for row in rows if row["claim"] != "strong")


def test_barriers_are_those_of_the_curves(study):
    curve = {
        row["alpha"]: row["error"]
        for row in table(study, "pairs")
        if (row["model"], row["width"], row["method"], row["a"], row["b"], row["split"])
        == ("mlp", 8, "weights", 1, 3, "test")
    }
    barrier = next(
        row["barrier"]
        for row in table(study, "width")
        if (row["model"], row["width"], row["method"], row["claim"], row["a"], row["b"], row["split"], row["metric"])
        == ("mlp", 8, "weights", "weak", 1, 3, "test", "error")
    )
    assert barrier == pytest.approx(max(v - (1 - x) * curve[0.0] - x * curve[1.0] for x, v in curve.items()), abs=1e-12)


def test_ends_of_permuted_paths_are_the_networks_themselves(study):
    ends = {}
    for row in table(study, "pairs"):
        for alpha, seed in ((0.0, row["a"]), (1.0, row["b"])):
            if row["alpha"] == alpha:
                ends.setdefault((row["model"], row["width"], row["split"], seed), []).append(row["loss"])
    assert len(ends) == len(CELLS) * 2 * len(SEEDS)
    for losses in ends.values():
        assert losses == pytest.approx([losses[0]] * len(losses), rel=1e-5)


def test_simplex_has_a_row_for_each_point_of_each_triangle(study):
    rows = table(study, "simplex")
    points = 10  # resolution 3
    claims = (
        {("none", "none")} | {(m, c) for m in METHODS for c in ("weak", "strong")} | {(f, "strong") for f in FRAMES}
    )
    assert {(row["method"], row["claim"]) for row in rows} == claims
    assert {row["algorithm"] for row in rows if row["method"] == "universe-activations"} == {"universe"}
    assert len(rows) == len(claims) * 2 * points
    assert {(row["model"], row["width"]) for row in rows} == {("mlp", 4)}
    assert all(row["weight_a"] + row["weight_b"] + row["weight_c"] == pytest.approx(1) for row in rows)


def test_the_ranks_of_triangles_are_those_of_their_barriers(study):
    heights = {}
    for row in table(study, "simplex"):
        key = (row["split"], row["method"], row["claim"], row["rank"])
        heights.setdefault(key, []).append(((row["weight_a"], row["weight_b"], row["weight_c"]), row["loss"]))
    for split in ("train", "test"):
        barriers = {}
        for (where, *_, rank), points in heights.items():
            if where == split:
                ends = [next(loss for weights, loss in points if weights[corner] == 1) for corner in range(3)]
                rises = (loss - sum(w * e for w, e in zip(weights, ends, strict=True)) for weights, loss in points)
                barriers[rank] = max(rises)
        assert sorted(barriers) == list(range(1, 8))
        assert [barriers[rank] for rank in sorted(barriers)] == sorted(barriers.values())


def test_methods_has_a_row_for_each_pair_method_split_and_metric(study):
    rows = table(study, "methods")
    assert len(rows) == len(CELLS) * len(PAIRS) * (len(METHODS) + len(FRAMES)) * 2 * 2
    assert all(row["seconds"] > 0 and row["steps"] >= 1 and -1 <= row["similarity"] <= 1 for row in rows)
    assert {row["claim"] for row in rows if row["method"] in FRAMES} == {"strong"}
    assert all(row["memory"] >= 0 for row in rows)


def test_scaling_has_a_law_for_every_series_of_two_widths(study):
    rows = table(study, "scaling")
    assert all((row["narrowest"], row["widest"]) == (4, 8) for row in rows)
    series = {(row["method"], row["claim"], row["split"], row["metric"]) for row in rows}
    expected = {(row["method"], row["claim"]) for row in table(study, "width")}
    assert len(series) == len(rows) == len(expected) * 2 * 2


def test_differences_has_every_comparison_at_every_width_and_over_all(study):
    rows = table(study, "differences")
    # Weak: none and two methods; strong: none, two methods and two frames; claims: the methods and the frames.
    comparisons = 3 + 10 + 4
    over = [row for row in rows if row["width"] is None]
    assert len(rows) - len(over) == len(CELLS) * comparisons * 2 * 2
    assert len(over) == comparisons * 2 * 2 and {row["model"] for row in over} == {"mlp"}
    assert {row["networks"] for row in rows if row["width"]} == {4} and {row["networks"] for row in over} == {8}
    assert all(row["low"] <= row["difference"] <= row["high"] and row["p"] <= row["p_holm"] for row in rows)


def test_consensus_has_every_line_mean_and_simplex_of_each_number_of_networks(study):
    rows = table(study, "consensus")
    assert {(row["model"], row["width"]) for row in rows} == {("mlp", 4)}
    methods = {"none", *METHODS, *FRAMES}
    mixed = {2: 1 + 2, 3: 3 + 2, 4: 6 + 2}
    assert len(rows) == len(methods) * 2 * 2 * 2 * sum(mixed.values())
    assert {row["correction"] for row in rows} == {"none", "repair"}
    for row in rows:
        assert row["frame"] == "-".join(map(str, range(row["count"])))
        assert row["barrier"] == pytest.approx(row["value"] - row["baseline"], abs=1e-12)
        assert row["over"] == "mean" or row["barrier"] >= 0
    width = {
        (row["method"], f"{row['a']}-{row['b']}", row["split"], row["metric"]): row["barrier"]
        for row in table(study, "width")
        if (row["model"], row["width"], row["reference"]) == ("mlp", 4, None) and row["method"] in ("none", *FRAMES)
    }
    full = [row for row in rows if row["count"] == 4 and row["over"] == "line" and row["correction"] == "none"]
    found = {(row["method"], row["mixed"], row["split"], row["metric"]): row["barrier"] for row in full}
    assert {key: found[key] for key in width} == pytest.approx(width, abs=1e-9)


def test_frames_load_and_say_where_they_come_from(study):
    for cell, frame in itertools.product(CELLS, FRAMES):
        path = study.results / "frames" / cell / f"{frame}.safetensors"
        found = permutation.load(path)
        assert list(found) == [(seed,) for seed in SEEDS] and all(sum(one.sizes.values()) > 0 for one in found.values())
        about = permutation.load_metadata(path)
        assert (f"{about['model']}/width{about['width']}", about["settings"]["name"]) == (cell, frame)
    rows = list(tables.rows(study.results / "frames/cnn/width2/merge-weights.csv", "frame"))
    assert [(row["a"], row["b"]) for row in rows] == PAIRS
    assert all(row["iterations"] >= 1 and row["seconds"] > 0 for row in rows)


def test_permutations_load_and_say_where_they_come_from(study):
    for cell, method in itertools.product(CELLS, METHODS):
        path = study.results / "permutations" / cell / method / "epoch3.safetensors"
        found = permutation.load(path)
        assert list(found) == PAIRS and all(sum(one.sizes.values()) > 0 for one in found.values())
        about = permutation.load_metadata(path)
        assert (f"{about['model']}/width{about['width']}", about["settings"]["name"]) == (cell, method)
        assert [(pair["a"], pair["b"]) for pair in about["pairs"]] == PAIRS


def test_the_number_of_files_grows_with_networks_and_not_with_their_pairs(study, tiny):
    """Files that a measurement of one width depends on: of four networks, and of eight."""
    counts = []
    for seeds in (4, 8):
        tiny["seeds"] = list(range(seeds))
        summary = study.snakemake("--dry-run", "--forceall", "--summary", *study.configure(tiny))
        names = [line.split("\t")[0] for line in summary.splitlines() if line.startswith("results/")]
        counts.append((len([name for name in names if "/networks/" in name]), len(names)))
    (networks, files), (twice, more) = counts
    assert twice == 2 * networks and more - files == twice - networks


def test_networks_load_and_differ(study):
    folder = study.results / "networks/mlp/width4"
    states = [checkpoint.load(folder / f"seed{seed}/epoch{epoch}.safetensors") for seed in SEEDS for epoch in (0, 3)]
    weights = [tuple(state["head.weight"].flatten().tolist()) for state, _ in states]
    assert len(set(weights)) == len(weights)
    assert [(about["seed"], about["epoch"]) for _, about in states] == [(s, e) for s in SEEDS for e in (0, 3)]
    training = list(tables.rows(folder / "seed0/training.csv", "training"))
    assert [row["epoch"] for row in training] == [1, 2, 3]
    assert not (folder / "seed0/unfinished").exists()


def test_every_job_leaves_a_log_and_a_benchmark(study):
    for job in ("train/mlp/width4/all", "align/mlp/width4/all", "width_measure/cnn/width2/all", "width_table"):
        assert (study.results / "logs" / f"{job}.log").is_file()
        assert (study.results / "benchmarks" / f"{job}.txt").read_text().startswith("s\t")
    assert "epoch 3/3" in (study.results / "logs/train/mlp/width4/all.log").read_text()


def test_a_second_run_finds_nothing_to_do(study, tiny):
    assert "Nothing to be done" in study.snakemake(*study.configure(tiny))


def test_the_order_of_keys_changes_nothing(study, tiny):
    tiny["training"] = dict(reversed(tiny["training"].items()))
    tiny["models"] = [dict(reversed(model.items())) for model in tiny["models"]]
    assert study.plan(*study.configure(tiny)) == {}


FROM_CURVES = ("pairs", "width", "scaling", "differences", "methods")
ENDS = {"findings", "report", "all"}
DRAWN = {f"{name}_{kind}" for name in FROM_CURVES for kind in ("table", "figure")} | ENDS
TRIANGLES = {f"{name}_{kind}" for name in ("simplex", "consensus") for kind in ("measure", "table", "figure")}


def test_a_training_value_reruns_its_chain_alone(study, tiny):
    tiny["training"]["lr"] = 0.003
    plan = study.plan(*study.configure(tiny))
    assert plan.keys() == {"train", "align", "frames", "width_measure"} | TRIANGLES | DRAWN
    assert (plan["train"], plan["align"], plan["frames"], plan["width_measure"]) == (3, 3, 3, 3)
    output = study.snakemake("--dry-run", *study.configure(tiny))
    assert "train, model=mlp, width=4: Settings, or the version or code of what makes it, have changed" in output


def test_a_training_value_of_one_model_retrains_that_model_alone(study, tiny):
    tiny["models"][1]["training"] = {"lr": 0.003}
    plan = study.plan(*study.configure(tiny))
    assert plan == {"train": 1, "align": 1, "frames": 1, "width_measure": 1, **dict.fromkeys(DRAWN, 1)}


def test_a_value_of_a_matching_method_retrains_nothing(study, tiny):
    tiny["matching"][1]["n_images"] = 50
    plan = study.plan(*study.configure(tiny))
    assert plan == {"align": 3, "width_measure": 3, **dict.fromkeys(TRIANGLES | DRAWN, 1)}


def test_a_value_of_a_frame_solves_frames_alone(study, tiny):
    tiny["frames"][0]["options"] = {"max_rounds": 1}
    plan = study.plan(*study.configure(tiny))
    assert plan == {"frames": 3, "width_measure": 3, **dict.fromkeys(TRIANGLES | DRAWN, 1)}


def test_a_value_of_the_barrier_section_neither_retrains_nor_aligns(study, tiny):
    tiny["barrier"]["points"] = 7
    plan = study.plan(*study.configure(tiny))
    again = {"consensus_measure", "consensus_table", "consensus_figure"}
    assert plan == {"width_measure": 3, **dict.fromkeys(DRAWN | again, 1)}


def test_a_correction_remeasures_and_its_settings_do_so_only_with_one(study, tiny):
    tiny["barrier"]["fit_images"] = 50
    again = {"consensus_measure", "consensus_table", "consensus_figure"}
    assert study.plan(*study.configure(tiny)).keys() == again | ENDS  # which compares corrections
    del tiny["barrier"]["fit_images"]
    tiny["barrier"]["last_layer"] = True
    assert study.plan(*study.configure(tiny)).keys() == again | ENDS
    tiny["barrier"]["correction"] = "repair"
    assert study.plan(*study.configure(tiny)) == {"width_measure": 3, **dict.fromkeys(TRIANGLES | DRAWN, 1)}


def test_a_value_of_an_experiment_reruns_that_experiment_alone(study, tiny):
    tiny["simplex"]["resolution"] = 4
    simplex = {"simplex_measure", "simplex_table", "simplex_figure"}
    assert study.plan(*study.configure(tiny)) == dict.fromkeys(simplex | ENDS, 1)
    tiny["simplex"]["resolution"] = 3
    tiny["scaling"] = {"reach": 3}
    assert study.plan(*study.configure(tiny)) == dict.fromkeys({"scaling_table", "scaling_figure"} | ENDS, 1)


def test_another_data_folder_reruns_nothing(study, tiny):
    tiny["data"] = {"data_dir": "elsewhere"}
    assert study.plan(*study.configure(tiny)) == {}


def test_a_changed_folder_of_images_is_read_again_and_a_moved_one_is_not(workplace, tiny):
    folder = workplace.folder / "mine"
    for number, name in itertools.product(range(5), ("cat", "dog")):
        (folder / name).mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (9, 5), (number, 0, 0)).save(folder / name / f"{number}.png")
    tiny["data"] = {"name": "image_folder", "data_dir": "mine", "image_size": 4}
    workplace.snakemake("data", *workplace.configure(tiny))
    dataset = data.open_(workplace.results / "data.safetensors")
    assert (dataset.image_shape, len(dataset.train_images), len(dataset.test_images)) == ((3, 4, 4), 8, 2)
    tiny["data"]["data_dir"] = "moved"
    folder = folder.rename(workplace.folder / "moved")
    os.utime(folder / "cat/1.png", ns=(0, 0))
    assert workplace.plan("data", *workplace.configure(tiny)) == {}
    (folder / "cat/1.png").unlink()
    assert workplace.plan("data", *workplace.configure(tiny)) == {"data": 1}


def test_another_width_adds_its_own_jobs_alone(study, tiny):
    tiny["models"][0]["widths"] = [4, 8, 5]
    plan = study.plan(*study.configure(tiny))
    assert plan == {"train": 1, "align": 1, "frames": 1, "width_measure": 1, **dict.fromkeys(DRAWN, 1)}


def test_one_experiment_is_rebuilt_alone(study, tiny, tmp_path):
    copy = study.copy(tmp_path / "copy")
    before = {path: path.stat().st_mtime_ns for path in copy.results.glob("*/*.*")}
    (copy.results / "figures/width.png").unlink()
    configfile = copy.configure(tiny)
    assert copy.plan("width", *configfile) == {"width_figure": 1, "width": 1}
    copy.snakemake("width", *configfile)
    figure = copy.results / "figures/width.png"
    assert figure.read_bytes() == (study.results / "figures/width.png").read_bytes()
    changed = {path.name for path, old in before.items() if path.stat().st_mtime_ns != old}
    assert changed == {f"width.{kind}" for kind in ("png", "pdf", "csv", "md")} | {
        *("width_figure.log", "width_figure.json", "width_figure.txt")
    }


def test_waiting_jobs_are_looked_at_only_when_a_job_ends(study, tiny, tmp_path):
    copy = study.copy(tmp_path / "copy")
    figures = list((copy.results / "figures").glob("*.png"))
    for figure in figures:
        figure.unlink()
    output = copy.snakemake("--jobs", 1, "--verbose", *copy.configure(tiny))
    assert output.count("Finished jobid") == len(figures) + len(ENDS)
    assert 0 < output.count("Ready jobs:") <= len(figures) + len(ENDS)


def test_methods_apart_give_the_same_bytes(study, tiny, tmp_path):
    copy = study.copy(tmp_path / "copy")
    made = [
        *(f"permutations/mlp/width4/{method}/epoch3.safetensors" for method in METHODS),
        *(f"frames/mlp/width4/{frame}.safetensors" for frame in FRAMES),
        *(f"measurements/width/mlp/width4/{method}.csv" for method in ("none", *METHODS, *FRAMES)),
        *(f"measurements/consensus/mlp/width4/{method}.csv" for method in ("none", *METHODS, *FRAMES)),
    ]
    for name in made:
        (copy.results / name).unlink()
    tiny["methods_together"] = False
    targets = [f"results/tiny/{name}" for name in made]
    configfile = copy.configure(tiny)
    assert copy.plan(*targets, *configfile) == {"align": 2, "frames": 2, "width_measure": 5, "consensus_measure": 5}
    copy.snakemake(*targets, *configfile)
    for name in made:
        assert (copy.results / name).read_bytes() == (study.results / name).read_bytes(), name
    for method in METHODS:
        name = f"permutations/mlp/width4/{method}/epoch3.csv"
        assert without_seconds(copy.results / name) == without_seconds(study.results / name)
    for frame in FRAMES:
        name = f"frames/mlp/width4/{frame}.csv"
        assert without_seconds(copy.results / name) == without_seconds(study.results / name)


def test_a_study_without_frames_is_one_without_their_rows(study, tiny, tmp_path):
    copy = study.copy(tmp_path / "copy")
    tiny["frames"] = []
    tiny["experiments"] = ["width", "methods"]
    copy.snakemake(*copy.configure(tiny))
    assert {row["method"] for row in table(copy, "width")} == {"none", *METHODS}
    assert {row["method"] for row in table(copy, "methods")} == set(METHODS)


def test_children_share_their_first_epochs_alone(study, tiny, tmp_path):
    copy = study.copy(tmp_path / "copy")
    tiny["instability"] = {"widths": [4], "epochs": [2, 0]}
    tiny["seeds_together"] = False
    assert copy.plan("instability", *copy.configure(tiny))["train_children"] == 2 * len(SEEDS)
    tiny["seeds_together"] = True
    configfile = copy.configure(tiny)
    jobs = ["train_children", "instability_measure", "instability_table", "instability_figure", "instability"]
    assert copy.plan("instability", *configfile) == dict.fromkeys(jobs, 1)
    copy.snakemake("instability", *configfile)
    for seed, shared in itertools.product(SEEDS, (0, 2)):
        folder = copy.results / f"networks/mlp/width4/seed{seed}"
        epochs = zip(epochs_of(folder), epochs_of(folder / f"shared{shared}"), strict=True)
        assert [own == child for own, child in epochs] == [epoch < shared for epoch in range(3)]
    rows = table(copy, "instability")
    cells = list(itertools.product(SEEDS, (0, 2), ("train", "test"), ("loss", "error")))
    assert [(row["seed"], row["shared"], row["split"], row["metric"]) for row in rows] == cells
    ends = {}
    for row in table(copy, "width"):
        if (row["width"], row["method"]) == (4, "none"):
            ends |= {(row[seed], row["split"], row["metric"]): row[f"end_{seed}"] for seed in "ab"}
    for row in rows:
        assert (row["model"], row["width"]) == ("mlp", 4) and row["barrier"] >= 0
        assert row["end_a"] == pytest.approx(ends[row["seed"], row["split"], row["metric"]])
        assert row["metric"] == "error" or row["end_b"] != row["end_a"]


def epochs_of(folder):
    """The rows of a training table without their seconds."""
    return [line.rpartition(",")[0] for line in (folder / "training.csv").read_text().splitlines()[1:]]


def test_corrections_are_compared_on_the_same_curves(study, tiny, tmp_path):
    copy = study.copy(tmp_path / "copy")
    tiny["correction"] = {"widths": [2]}
    copy.snakemake("correction", *copy.configure(tiny))
    found = {}
    for row in table(copy, "correction"):
        assert (row["model"], row["width"]) == ("cnn", 2)
        key = tuple(row[name] for name in ("method", "claim", "a", "b", "split", "alpha"))
        found.setdefault(row["correction"], {})[key] = row["loss"]
    expected = {
        tuple(row[name] for name in ("method", "claim", "a", "b", "split", "alpha")): row["loss"]
        for row in table(copy, "pairs")
        if row["model"] == "cnn"
    }
    assert found["none"] == found["reset"] == expected  # layer norm has nothing to reset
    ends = [key for key in expected if key[-1] in (0, 1)]
    assert [found["repair"][key] for key in ends] == pytest.approx([expected[key] for key in ends], rel=1e-3)
    assert any(abs(found["repair"][key] - value) > 0.01 for key, value in expected.items())


def test_with_a_correction_and_held_out_images(workplace, tiny):
    tiny |= {"models": [{**tiny["models"][0], "widths": [4], "norm": "batch"}], "experiments": ["width", "simplex"]}
    tiny |= {"data": {"held_out": 0.2}, "matching": [{"name": "weights", "algorithm": "weights"}], "frames": []}
    tiny["matching"].append({"name": "moments", "algorithm": "weights", "kernel": "moments"})
    tiny["barrier"] |= {"correction": "reset", "fit_images": 200}
    workplace.snakemake(*workplace.configure(tiny))
    assert data.open_(workplace.results / "data.safetensors").splits == ("train", "test", "held_out")
    rows = table(workplace, "width")
    assert [row["metric"] for row in rows[:6]] == ["loss", "error", "loss_calibrated"] * 2
    calibrated = [row for row in rows if row["metric"] == "loss_calibrated"]
    assert len(calibrated) == len(rows) // 3 and all(row["end_a"] > 0 for row in calibrated)
    simplex = table(workplace, "simplex")
    assert all(row["loss_calibrated"] > 0 for row in simplex)
    assert any(row["loss_calibrated"] != pytest.approx(row["loss"], rel=0.01) for row in simplex)


def test_a_truncated_network_and_a_foreign_permutation_are_made_again(study, tiny, tmp_path):
    copy = study.copy(tmp_path / "copy")
    network = copy.results / "networks/mlp/width4/seed2/epoch3.safetensors"
    network.write_bytes(network.read_bytes()[:-100])
    found = copy.results / "permutations/mlp/width4/weights/epoch3.safetensors"
    found.write_text("not a permutation")
    copy.snakemake("results/tiny/measurements/width/mlp/width4/weights.csv", *copy.configure(tiny))
    for path in (network, found):
        assert path.read_bytes() == (study.results / path.relative_to(copy.results)).read_bytes()


def test_killed_and_started_again_it_gives_the_same_table(study, workplace, tiny):
    tiny["models"] = [{**tiny["models"][0], "widths": [4]}]
    tiny["experiments"] = ["width"]
    tiny["frames"] = []
    tiny["seeds_together"] = False
    configfile = workplace.configure(tiny)
    networks = workplace.results / "networks/mlp/width4"
    workplace.kill_once(lambda: list(networks.glob("*/training.csv")), *configfile, "--cores", 1)
    finished = {path: path.stat().st_mtime_ns for path in networks.glob("*/training.csv")}
    assert len(finished) < len(SEEDS)

    assert workplace.plan(*configfile)["train"] in (len(SEEDS) - len(finished), len(SEEDS) - len(finished) + 1)
    workplace.snakemake(*configfile)
    rows = [row for row in table(study, "width") if (row["model"], row["width"]) == ("mlp", 4)]
    assert table(workplace, "width") == [row for row in rows if row["method"] not in FRAMES]


def test_an_alignment_that_is_killed_goes_on_from_its_finished_pairs(workplace, tiny):
    tiny["models"] = [{**tiny["models"][0], "widths": [4]}]
    tiny["seeds"] = list(range(8))
    tiny["training"] = {"epochs": 1}
    tiny["matching"] = [{"name": "weights", "algorithm": "weights", "restarts": 200}]
    tiny["frames"] = []
    tiny["experiments"] = ["width"]
    target = "permutations/mlp/width4/weights/epoch1.safetensors"
    configfile = workplace.configure(tiny)
    store = workplace.folder / "results/.store/matching"
    started = f"results/tiny/{target}", *configfile, "--cores", 1
    workplace.kill_once(lambda: len(list(store.glob("*/*.json"))) >= 3, *started)
    finished = len(list(store.glob("*/*.json")))
    assert 3 <= finished < 28 and not (workplace.results / target).exists()

    workplace.snakemake(f"results/tiny/{target}", *configfile)
    (log,) = (workplace.results / "logs/align").rglob("*.log")
    assert f"found {{'matching': {finished}}}" in log.read_text()
    interrupted = (workplace.results / target).read_bytes()
    shutil.rmtree(store)
    workplace.snakemake(f"results/tiny/{target}", *configfile, "--forcerun", "align")
    assert (workplace.results / target).read_bytes() == interrupted
