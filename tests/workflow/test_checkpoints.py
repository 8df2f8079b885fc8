"""The study that the README shows of two checkpoints has the numbers of the command line."""

import json
import re
import sys
from pathlib import Path

import pytest
import torch
from torch import nn
from torch.nn import functional

from onebasin import data, tables
from onebasin.__main__ import main

README = (Path(__file__).parents[2] / "README.md").read_text()

NET = """
from torch import nn


def build():
    return nn.Sequential(nn.Flatten(), nn.Linear(64, 24), nn.BatchNorm1d(24), nn.ReLU(), nn.Linear(24, 10))
"""


@pytest.fixture
def checkpoints(workplace, monkeypatch):
    """Two networks with batch norm, their data, and the study of the README."""
    monkeypatch.chdir(workplace.folder)
    monkeypatch.setattr(sys, "path", list(sys.path))
    dataset = data.load("digits")
    parts = {}
    for split in ("train", "test"):
        images, labels = dataset.raw(split)
        parts |= {f"{split}_images": images / 16, f"{split}_labels": labels}
    torch.save(parts, "own_data.pt")
    Path("own_net.py").write_text(NET)
    for seed, name in enumerate("ab"):
        torch.manual_seed(seed)
        model = nn.Sequential(nn.Flatten(), nn.Linear(64, 24), nn.BatchNorm1d(24), nn.ReLU(), nn.Linear(24, 10))
        optimizer = torch.optim.Adam(model.parameters(), 5e-3)
        for _ in range(60):
            some = torch.randint(len(parts["train_labels"]), (64,))
            optimizer.zero_grad()
            functional.cross_entropy(model(parts["train_images"][some]), parts["train_labels"][some]).backward()
            optimizer.step()
        torch.save(model.state_dict(), f"{name}.pt")
    section = README.partition("## Two checkpoints")[2].partition("\n## ")[0]
    study = re.search(r"^ {4}study: elsewhere\n(?:^ {4}.*\n)+", section, re.M)[0]
    Path("two.yaml").write_text("\n".join(line[4:] for line in study.splitlines()) + "\n")
    yield workplace
    sys.modules.pop("own_net", None)  # other tests have modules of this name


def test_a_study_of_two_checkpoints_has_the_numbers_of_the_command_line(checkpoints, capsys):
    checkpoints.snakemake("--cores", 1, "--configfile", "two.yaml")
    table = tables.read(checkpoints.folder / "results/elsewhere/tables/pairs.csv", "pairs")
    words = [
        "own_net:build",
        "a.pt",
        "b.pt",
        "--data",
        "own_data.pt",
        "--align",
        "activations",
        "--correction",
        "reset",
    ]
    assert main(["barrier", *words, "--csv", "points.csv", "--json"]) == 0
    found = {
        (row["method"], row["metric"]): row
        for row in json.loads(capsys.readouterr().out)["barriers"]
        if row["split"] == "test"
    }
    for method in ("none", "activations"):
        curve = table[(table["method"] == method) & (table["split"] == "test")].sort_values("alpha")
        assert len(curve) == 25
        for metric in ("error", "loss"):
            values = curve[metric].to_numpy()
            straight = values[0] + curve["alpha"].to_numpy() * (values[-1] - values[0])
            row = found[method, metric]
            assert row["barrier"] == pytest.approx((values - straight).max(), abs=1e-5)
            assert row["ends"] == pytest.approx([values[0], values[-1]], abs=1e-5)
        assert curve["error"].iloc[[0, -1]].max() < 0.2
