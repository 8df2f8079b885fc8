"""What jobs share, without Snakemake: what a job has in hand, how it matches, and how it goes on after a kill."""

import os
import signal
import subprocess
import sys
import textwrap
from dataclasses import replace
from types import SimpleNamespace

import pandas as pd
import pytest
from test_figures import FRAMES

from onebasin import checkpoint, data, models, seeding, tables
from onebasin.study import align
from onebasin.study.gather import figure, findings, table
from onebasin.study.job import Job
from onebasin.study.measure import measure
from onebasin.study.store import Store
from onebasin.study.study import UNPERMUTED, Method, Study

SEEDS = (0, 1, 2)
PAIRS = [(0, 1), (0, 2), (1, 2)]
ARCHITECTURE = {"family": "mlp", "hidden": [1], "norm": "none"}
WEIGHTS = {"name": "by-weights", "algorithm": "weights"}
FRAME = {"name": "merged", "algorithm": "merge_many", "similarity": "weights", "options": {}}


class Files(dict):
    """Named files, as Snakemake hands them over."""

    __getattr__ = dict.__getitem__
    __setattr__ = dict.__setitem__


def job(inputs, outputs, **params):
    wildcards = SimpleNamespace(model="net", width="4")
    target = next(iter(outputs.values()))
    store = Store((target[0] if isinstance(target, list) else target).parent / "store")
    return Job(Files(inputs), Files(outputs), SimpleNamespace(**params), wildcards, 1, {}, False, store)


@pytest.fixture
def folder(tmp_path):
    """The digits, and networks of no training whose names say nothing of what they are."""
    dataset = data.load("digits")
    data.save(dataset, tmp_path / "images")
    for name, width in (("x", 4), ("y", 4), ("z", 4), ("early-x", 4), ("narrow-x", 2)):
        model = models.build("mlp", width=width, image_shape=dataset.image_shape, classes=10, hidden=[1])
        models.initialise(model, seeding.generator("test", name))
        checkpoint.save(tmp_path / name, model.state_dict(), {})
    return tmp_path


def aligning(folder, target="found"):
    return job(
        {"data": [folder / "images"], "networks": [folder / name for name in "xyz"]},
        {"permutations": [folder / target], "tables": [folder / f"{target}.csv"]},
        architecture=ARCHITECTURE,
        data=["first"],
        networks=[{"seed": seed} for seed in SEEDS],
        methods=[WEIGHTS],
        stages=[{}],
        pairs=PAIRS,
    )


def opened(folder, **changes):
    params = {
        "experiment": "pairs",
        "architecture": ARCHITECTURE,
        "settings": {"train_images": 50, "batch_size": 50, "correction": "none", "points": 3},
        "seeds": list(SEEDS),
        "last_epoch": 5,
        "parts": ["all"],
        "levels": [],
        "pairs": PAIRS,
        "stages": [{}],
        "methods": [WEIGHTS],
        "frames": [FRAME],
        "networks": [*({"seed": seed} for seed in SEEDS), {"seed": 0, "epoch": 2}, {"seed": 0, "width": 2}],
        "masks": [],
        "permutations": [{"method": "by-weights"}],
        "data": ["first"],
        "share": (1, 1),
        "evaluations": 12,
        **changes,
    }
    inputs = {
        "data": [folder / "images"],
        "networks": [folder / name for name in ("x", "y", "z", "early-x", "narrow-x")],
        "masks": [],
        "permutations": [folder / "found"],
        "frames": [folder / "frame"],
    }
    outputs = {"tables": [folder / "measured.csv"]}
    return job(inputs, outputs, **params)


def test_a_network_is_found_by_what_it_is(folder):
    align.align(aligning(folder))
    study = Study(opened(folder))
    assert list(study.networks()) == list(study.networks(epoch=5, level=0)) == [0, 1, 2]
    early, expected = study.networks(epoch=2)[0], checkpoint.load(folder / "early-x")[0]
    assert all(early[key].equal(expected[key]) for key in expected)
    assert study.narrow_widths == [2]
    assert study.at_width(2).model.head.in_features == 2 and study.model.head.in_features == 4
    assert study.networks(epoch=3) == {}
    with pytest.raises(StopIteration):
        study.state({"seed": 9})


def test_permutations_are_found_by_method_and_stage(folder):
    align.align(aligning(folder))
    study = Study(opened(folder))
    assert list(study.permutations("by-weights")) == PAIRS == list(study.permutations("by-weights", epoch=5))
    assert study.permutations("none") == {}
    for a, b in PAIRS:
        again = study.match(study.networks()[a], study.networks()[b], study.methods["by-weights"])
        assert again == study.permutations("by-weights")[a, b]


def test_a_method_is_named_by_what_it_does():
    assert Method.of(WEIGHTS).columns == {"method": "by-weights", "algorithm": "weights", "compared": "weights"}
    assert Method.of(FRAME).columns == {"method": "merged", "algorithm": "merge_many", "compared": "weights"}
    assert Method.of({**FRAME, "similarity": "activations"}).compared == "activations"
    assert (Method.of(FRAME).is_frame, Method.of(WEIGHTS).is_frame) == (True, False)
    assert set(UNPERMUTED.columns.values()) == {"none"}


def test_shares_of_a_part_are_all_of_it(folder):
    align.align(aligning(folder))
    items = list(range(11))
    shares = [Study(opened(folder, share=(number, 3))).share(items) for number in (1, 2, 3)]
    assert [item for share in shares for item in share] == items and all(3 <= len(share) <= 4 for share in shares)


def test_a_frame_is_found_written_and_read(folder):
    frames = job(
        {"data": [folder / "images"], "networks": [folder / name for name in "xyz"]},
        {"permutations": [folder / "frame"], "tables": [folder / "frame.csv"]},
        architecture=ARCHITECTURE,
        data=["first"],
        networks=[{"seed": seed} for seed in SEEDS],
        frames=[FRAME],
    )
    align.frames(frames)
    align.align(aligning(folder))
    study = Study(opened(folder))
    assert list(study.frame("merged")) == list(SEEDS)
    assert study.match_frame(study.networks(), study.frames["merged"]) == study.frame("merged")
    rows = list(tables.rows(folder / "frame.csv", "frame"))
    assert [(row["a"], row["b"], row["method"]) for row in rows] == [(a, b, "merged") for a, b in PAIRS]


def test_an_experiment_goes_from_measurement_to_table_to_figure(folder):
    align.align(aligning(folder))
    for part in ("none", "by-weights"):
        measuring = opened(folder, experiment="width", parts=[part])
        measuring.output.tables = [folder / part]
        measure(measuring)
    parts = Files(width=[folder / "none", folder / "by-weights"])
    table(job(parts, {"tables": [folder / "width.csv"]}, experiment="width", settings={}))
    found = tables.read(folder / "width.csv", "width")
    # 3 pairs without a permutation, 3 weak, 3 strong; 2 splits and metrics of each
    assert found.groupby(["method", "claim"]).size().to_dict() == {
        ("none", "none"): 12,
        ("by-weights", "weak"): 12,
        ("by-weights", "strong"): 12,
    }
    names = {"png": "width.png", "pdf": "width.pdf", "summary": "means.csv", "finding": "width.md"}
    drawn = {kind: folder / name for kind, name in names.items()}
    figure(job({"table": folder / "width.csv"}, drawn, experiment="width", style="screen"))
    assert drawn["png"].read_bytes().startswith(b"\x89PNG") and drawn["pdf"].read_bytes().startswith(b"%PDF")
    means = pd.read_csv(drawn["summary"])
    assert means["rows"].sum() == len(found) and set(means["networks"]) == {3}
    told = drawn["finding"].read_text().strip()
    assert told.startswith("net, 3 networks a width: weak by by-weights ") and "| net: claim | " in told
    assert "net 4 itself misses ." in told
    findings(
        job({"findings": [drawn["finding"]]}, {"page": folder / "findings.md"}, experiments=["width"], study="tiny")
    )
    assert told in (folder / "findings.md").read_text()


@pytest.mark.parametrize(
    ("name", "variant", "said"),
    [("same", "rotated", "rotated digits"), ("mnist", "none", "mnist"), ("same", "none", "digits")],
)
def test_a_finding_names_the_second_data_set(tmp_path, name, variant, said):
    tables.write(tmp_path / "table.csv", "transfer", FRAMES["transfer"]().to_dict("records"))
    drawn = {kind: tmp_path / kind for kind in ("png", "pdf", "summary", "finding")}
    config = {"data": {"name": "digits"}, "transfer": {"data": {"name": name, "variant": variant}}}
    one = job({"table": tmp_path / "table.csv"}, drawn, experiment="transfer", style="screen")
    figure(replace(one, config=config))
    assert (tmp_path / "finding").read_text().count(f"the second data set ({said})") == 1


KILLED = """
import os, signal, sys
sys.path.insert(0, {here!r})
import test_study as tests
from onebasin.study import align, match

pair, seen = match.pair, []

def dying(*args, **kwargs):
    seen.append(1)
    if len(seen) == 3:
        os.kill(os.getpid(), signal.SIGKILL)
    return pair(*args, **kwargs)

match.pair = dying
align.align(tests.aligning(__import__("pathlib").Path({folder!r})))
"""


def test_a_killed_alignment_goes_on_from_its_finished_pairs_to_the_same_bytes(folder, monkeypatch):
    script = textwrap.dedent(KILLED).format(here=os.path.dirname(__file__), folder=str(folder))
    assert subprocess.run([sys.executable, "-c", script], timeout=120).returncode == -signal.SIGKILL
    assert not (folder / "found").exists() and len(list((folder / "store").glob("matching/*/*.json"))) == 2
    matched = []
    pair = align.match.pair
    monkeypatch.setattr(align.match, "pair", lambda *args: matched.append(1) or pair(*args))
    align.align(aligning(folder))
    assert len(matched) == 1
    (folder / "store").rename(folder / "another store")
    align.align(aligning(folder, "whole"))
    assert len(matched) == 4
    assert (folder / "found").read_bytes() == (folder / "whole").read_bytes()


def test_a_pair_of_other_networks_or_settings_is_matched_again(folder, monkeypatch):
    matched = []
    pair = align.match.pair
    monkeypatch.setattr(align.match, "pair", lambda *args: matched.append(1) or pair(*args))
    align.align(aligning(folder))
    assert len(matched) == 3
    renamed = aligning(folder, "renamed")
    renamed.params.methods = [{**WEIGHTS, "name": "other"}]
    align.align(renamed)
    assert len(matched) == 3
    other = aligning(folder, "other")
    other.input.networks = [folder / name for name in ("x", "y", "early-x")]
    align.align(other)
    assert len(matched) == 5
    restarted = aligning(folder, "restarted")
    restarted.params.methods = [{**WEIGHTS, "restarts": 2}]
    align.align(restarted)
    assert len(matched) == 8
