"""Pruning through Snakemake, with the networks of the tiny study: two levels, their alignment, tickets, and a kill."""

import itertools
import os
import shutil
import signal
import subprocess
import time

import psutil
import pytest
import torch

from onebasin import checkpoint, data, models, permutation, prune, symmetry, tables, train
from onebasin.experiments import rooms
from onebasin.landscape.barrier import barriers
from onebasin.prune import Mask, rounded_up

SEEDS = (0, 1, 2, 3)
PAIRS = list(itertools.combinations(SEEDS, 2))
METHODS = ("weights", "activations")
NETWORKS = "networks/mlp/width4"


def table(study, name):
    return list(tables.rows(study.results / "tables" / f"{name}.csv", name))


def test_levels_are_trained_one_after_another(study, tiny):
    names = ("pruning", "sparsity", "tickets")
    jobs = ["align_levels", "pruning_measure", "sparsity_measure", "train_tickets", "tickets_measure"]
    drawn = [f"{name}{what}" for name in names for what in ("", "_table", "_figure")]
    assert study.plan(*names, *study.configure(tiny)) == {"prune": 1, **dict.fromkeys([*jobs, *drawn], 1)}


def network(study, stage, epoch=3):
    return checkpoint.load(study.results / NETWORKS / stage / f"epoch{epoch}.safetensors")[0]


def mask_of(study, seed, level):
    return Mask.load(study.results / NETWORKS / f"seed{seed}/level{level}/mask.safetensors")


def test_every_level_prunes_the_smallest_of_what_remained(pruned):
    for seed in SEEDS:
        first, second = mask_of(pruned, seed, 1), mask_of(pruned, seed, 2)
        assert first.keys() == {"hidden.0.weight", "hidden.2.weight"}
        left = first.weights - rounded_up(0.5, first.weights)
        assert (first.remaining, second.remaining) == (left, left - rounded_up(0.5, left))
        full = Mask({key: torch.ones_like(kept) for key, kept in first.items()})
        assert first == prune.prune(full, network(pruned, f"seed{seed}"), 0.5)
        assert second == prune.prune(first, network(pruned, f"seed{seed}/level1"), 0.5)
        for level, mask in ((1, first), (2, second)):
            state = network(pruned, f"seed{seed}/level{level}")
            assert all(not state[key][~kept].any() and state[key][kept].all() for key, kept in mask.items())


def test_a_level_is_trained_from_the_exact_weights_of_its_rewinding(pruned, tmp_path):
    path = pruned.results / NETWORKS / "seed2/level2/epoch3.safetensors"
    expected, about = checkpoint.load(path)
    dataset = data.open_(pruned.results / "data.safetensors")
    model = models.build(**about["architecture"], width=4, image_shape=dataset.image_shape, classes=dataset.classes)
    model.load_state_dict(network(pruned, "seed2", epoch=1))
    train.train(
        model,
        dataset,
        train.Settings(**about["settings"]),
        seed_address=about["seed_address"],
        checkpoints={},
        table=tmp_path / "training.csv",
        work=tmp_path / "work",
        metadata={},
        start=1,
        mask=mask_of(pruned, 2, 2),
    )
    assert all(torch.equal(tensor, expected[key]) for key, tensor in model.state_dict().items())
    assert (
        about["seed_address"]
        == checkpoint.load(pruned.results / NETWORKS / "seed2/epoch3.safetensors")[1]["seed_address"]
    )
    epochs = [row["epoch"] for row in tables.rows(path.parent / "training.csv", "training")]
    assert epochs == [2, 3]


def test_pruning_counts_what_remains(pruned):
    rows = table(pruned, "pruning")
    layers = ["all", "hidden.0", "hidden.2"]
    assert [(r["seed"], r["level"], r["layer"]) for r in rows] == list(itertools.product(SEEDS, (0, 1, 2), layers))
    for row in rows:
        if row["level"]:
            mask = mask_of(pruned, row["seed"], row["level"])
            assert row["density"] == mask.density
            counts = {"all": (mask.remaining, mask.weights)} | {
                key.removesuffix(".weight"): found for key, found in mask.counts().items()
            }
            assert (row["remaining"], row["weights"]) == counts[row["layer"]]
        else:
            assert (row["density"], row["remaining"]) == (1, row["weights"])
        assert 0 <= row["dead_units"] <= row["units"] == (8 if row["layer"] == "all" else 4)
    ends = {(row["seed"], row["level"]): row["test_error"] for row in rows}
    sparsity = [row for row in table(pruned, "sparsity") if (row["split"], row["metric"]) == ("test", "error")]
    for row in sparsity:
        assert row["end_a"] == pytest.approx(ends[row["a"], row["level"]])
        assert row["end_b"] == pytest.approx(ends[row["b"], row["level"]])


def test_sparsity_has_a_row_for_each_pair_level_and_permutation(pruned):
    rows = table(pruned, "sparsity")
    permutations = {("none", "none"), *itertools.product(("level", "dense"), METHODS)}
    assert {(row["permutation"], row["method"]) for row in rows} == permutations
    assert len(rows) == 3 * len(permutations) * len(PAIRS) * 2 * 2
    key = ("a", "b", "split", "metric")
    curves = [
        row
        for method in ("none", *METHODS)
        for row in tables.rows_of(
            pruned.results / f"measurements/width/mlp/width4/{method}.csv", "width", rooms()["width"].measured
        )
        if row["claim"] != "strong" and row["alpha"] in (0, 0.5, 1)
    ]
    dense = {(row["method"], *(row[name] for name in key)): row["barrier"] for row in barriers(curves)}
    for row in rows:
        assert (row["level"] == 0) == (row["density"] == 1)
        if row["level"] == 0:
            assert row["barrier"] == dense[row["method"], *(row[name] for name in key)]
    for level, method in itertools.product((1, 2), METHODS):
        folder = pruned.results / "permutations/mlp/width4" / method
        found = permutation.load(folder / f"level{level}.safetensors")
        assert list(found) == PAIRS
        assert all(one.sizes == {"hidden.0": 4, "hidden.2": 4} for one in found.values())
        assert len(list(tables.rows(folder / f"level{level}.csv", "matching"))) == len(PAIRS)


def test_tickets_are_what_they_are_called(pruned):
    rows = table(pruned, "tickets")
    partner = {0: 1, 1: 0, 2: 3, 3: 2}
    assert len(rows) == len(SEEDS) * (3 + len(METHODS))
    assert all(row["source"] == (row["seed"] if row["mask"] == "own" else partner[row["seed"]]) for row in rows)
    own = {row["seed"]: row["test_loss"] for row in table(pruned, "pruning") if row["level"] == 2}
    assert all(row["test_loss"] == own[row["seed"]] for row in rows if row["mask"] == "own")
    dataset = data.open_(pruned.results / "data.safetensors")
    model = models.build("mlp", width=4, hidden=[1, 1], image_shape=dataset.image_shape, classes=dataset.classes)
    found = symmetry.discover(model, dataset.tensors("train", limit=2)[0])
    for seed, source in partner.items():
        mask = mask_of(pruned, source, 2)
        zeros = {}
        for ticket in ("unpermuted", "random", *METHODS):
            state = network(pruned, f"seed{seed}/level2/{ticket}/from{source}")
            zeros[ticket] = Mask({key: state[key] != 0 for key in mask})
        assert zeros["unpermuted"] == mask != zeros["random"]
        assert zeros["random"].counts() == mask.counts()
        for method in METHODS:
            matched = permutation.load(pruned.results / f"permutations/mlp/width4/{method}/epoch3.safetensors")
            moved = matched[seed, source] if seed < source else matched[source, seed].inverse()
            assert zeros[method] == mask.permuted(found, moved)


def guesses(study, dataset, stage):
    """The probabilities that a network gives to the classes of the test images, and their labels."""
    images, labels = dataset.tensors("test")
    model = models.build("mlp", width=4, hidden=[1, 1], image_shape=dataset.image_shape, classes=dataset.classes)
    model.load_state_dict(network(study, stage))
    with torch.no_grad():
        return model.eval()(images).softmax(1), labels


def test_two_tickets_are_compared(pruned):
    dataset = data.open_(pruned.results / "data.safetensors")
    for row in table(pruned, "tickets"):
        seed, source = row["seed"], row["source"]
        stage = f"seed{seed}/level2"
        if row["mask"] != "own":
            stage += f"/{row['method'] if row['mask'] == 'permuted' else row['mask']}/from{source}"
        # The other one of an own ticket is that of its pair.
        (one, labels), (other, _) = (
            guesses(pruned, dataset, place)
            for place in (stage, f"seed{seed ^ 1 if row['mask'] == 'own' else source}/level2")
        )
        differ = (one.argmax(1) != other.argmax(1)).double().mean().item()
        missed = ((one + other).argmax(1) != labels).double().mean().item()
        assert row["test_disagreement"] == pytest.approx(differ, abs=3e-3)
        assert row["test_ensemble_error"] == pytest.approx(missed, abs=3e-3)
        assert row["rewind"] == 1 and 0 <= row["train_disagreement"] <= 1


def test_epochs_of_rewinding_and_own_tickets_trained_again_leave_the_others_alone(pruned, tiny, tmp_path):
    place = pruned.copy(tmp_path / "copy")
    tiny["tickets"] |= {"rewind": [0], "again": True}
    place.snakemake("tickets", *place.configure(tiny))
    rows = table(place, "tickets")
    assert [row for row in rows if row["rewind"] == 1 and row["mask"] != "again"] == table(pruned, "tickets")
    assert {row["mask"] for row in rows if row["rewind"] == 0} == {"own", "again", "permuted", "unpermuted", "random"}
    assert len(rows) == 2 * len(SEEDS) * (4 + len(METHODS))
    for seed, (epoch, folder) in itertools.product(SEEDS, [(1, "level2"), (0, "rewind0/level2")]):
        mask = Mask.load(place.results / NETWORKS / f"seed{seed}/{folder}/mask.safetensors")
        states = [network(place, f"seed{seed}/{stage}") for stage in (folder, f"{folder}/again")]
        for state in states:
            assert all(not state[key][~kept].any() for key, kept in mask.items())
        assert any(not torch.equal(states[0][key], states[1][key]) for key in mask)
        abouts = [
            checkpoint.load(place.results / NETWORKS / f"seed{seed}/{stage}/epoch3.safetensors")[1]
            for stage in (folder, f"{folder}/again")
        ]
        assert [about.get("start", 0) for about in abouts] == [epoch, epoch]
        assert [about["branch"] for about in abouts] == [None, [epoch, "again"]]
    assert mask_of(place, 0, 1) == Mask.load(place.results / NETWORKS / "seed0/rewind0/level1/mask.safetensors")
    assert mask_of(place, 0, 2) != Mask.load(place.results / NETWORKS / "seed0/rewind0/level2/mask.safetensors")


def test_a_pruning_value_trains_nothing_dense_again(pruned, tiny):
    tiny["pruning"]["fraction"] = 0.4
    plan = pruned.plan("pruning", "sparsity", "tickets", *pruned.configure(tiny))
    assert plan["prune"] == 1 and not plan.keys() & {"train", "align", "width_measure"}


def test_another_level_adds_its_own_jobs(pruned, tiny):
    tiny["pruning"]["levels"] = 3
    assert pruned.plan("pruning", *pruned.configure(tiny))["prune"] == 1


def test_a_chain_killed_in_the_middle_gives_the_same_bytes(pruned, tiny, tmp_path):
    tiny["seeds_together"] = False
    place = pruned.copy(tmp_path / "copy")
    made = [f"{NETWORKS}/seed1/level{level}/{name}.safetensors" for level in (1, 2) for name in ("mask", "epoch3")]
    for name in made:
        (place.results / name).unlink()
    shutil.rmtree(place.folder / "results/.store")
    configfile = place.configure(tiny)
    targets = [f"results/tiny/{name}" for name in made]
    # The network of level 0 is there; its job alone has another name now.
    assert place.plan(*targets, *configfile) == {"train": 1, "prune": 2}
    process = subprocess.Popen(
        place.command(*targets, *configfile, "--cores", 1),
        cwd=place.folder,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    while not (place.results / made[0]).exists():
        assert process.poll() is None
        time.sleep(0.02)
    for victim in (psutil.Process(process.pid), *psutil.Process(process.pid).children(recursive=True)):
        os.kill(victim.pid, signal.SIGKILL)
    process.wait()
    assert not (place.results / made[2]).exists()
    place.snakemake("--unlock", *configfile)
    place.snakemake(*targets, *configfile)
    for name in made:
        assert (place.results / name).read_bytes() == (pruned.results / name).read_bytes(), name
