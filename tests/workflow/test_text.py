"""A language model of the user's own, on text of the user's own, through Snakemake."""

import os
import sys

import pandas
import pytest
import torch
import yaml
from torch.nn import functional

from onebasin import checkpoint, data, tables
from onebasin.data import text
from onebasin.models import factory

STUDY = {
    "study": "tiny",
    "data": {"name": "text_folder", "data_dir": "mine", "context": 8},
    "models": [
        {"name": "gpt", "factory": "nanogpt:build", "widths": [8], "options": {"layers": 1, "heads": 2}},
    ],
    "training": {"epochs": 2, "lr": 0.01},
    "matching": [
        {"name": "weights", "algorithm": "weights"},
        {"name": "activations", "algorithm": "activations", "n_images": 100},
    ],
    "frames": [],
    "barrier": {"points": 3, "train_images": 50},
    "experiments": ["pairs", "width", "simplex"],
    "simplex": {"widths": [8], "resolution": 2},
}


@pytest.fixture
def finished(workplace):
    (workplace.folder / "mine").mkdir()
    whole = text.python()
    for index, name in enumerate(("a.txt", "b.txt")):
        (workplace.folder / "mine" / name).write_bytes(whole[5000 * index : 5000 * (index + 1)] + b"\xff\xfe")
    # Beside the example's model.
    configfile = "studies/text/tiny.yaml"
    (workplace.folder / configfile).write_text(yaml.safe_dump(STUDY))
    workplace.snakemake("--cores", 1, "--configfile", configfile)
    return workplace, ["--configfile", configfile]


def test_a_language_model_goes_through_pairs_width_and_simplex(finished, monkeypatch):
    workplace, configfile = finished
    curves, barriers, triangles = (
        pandas.DataFrame(tables.rows(workplace.results / f"tables/{name}.csv", name))
        for name in ("pairs", "width", "simplex")
    )
    # Six pairs, without a permutation and by two methods, three points, two splits.
    assert len(curves) == 6 * 3 * 3 * 2 and set(barriers["claim"]) == {"none", "weak", "strong"}
    assert {"none", "weights", "activations"} == set(curves["method"]) == set(triangles["method"])
    assert curves["loss"].between(1, 5.6).all() and curves["error"].between(0.3, 1).all()

    # The losses of the ends are means over all bytes, in nats, and a permutation leaves them as they are.
    dataset = data.open_(workplace.results / "data.safetensors")
    assert (dataset.context, dataset.classes) == (8, 256)
    monkeypatch.syspath_prepend(str(workplace.folder / "studies" / "text"))
    monkeypatch.delitem(sys.modules, "nanogpt", raising=False)
    model = factory.build("nanogpt:build", width=8, context=8, classes=256, options={"layers": 1, "heads": 2})
    inputs, labels = dataset.tensors("test")
    for seed in range(4):
        model.load_state_dict(
            checkpoint.load(workplace.results / f"networks/gpt/width8/seed{seed}/epoch2.safetensors")[0]
        )
        logits = model(inputs).detach().mT.reshape(-1, 256)
        loss = float(functional.cross_entropy(logits, labels.flatten()))
        error = float((logits.argmax(1) != labels.flatten()).double().mean())
        ends = curves[(curves["a"] == seed) & (curves["alpha"] == 0) & (curves["split"] == "test")]
        ends = pandas.concat(
            [ends, curves[(curves["b"] == seed) & (curves["alpha"] == 1) & (curves["split"] == "test")]]
        )
        assert len(ends) == 3 * 3
        torch.testing.assert_close(torch.tensor(ends["loss"].to_list()), torch.full((9,), loss), rtol=1e-4, atol=0)
        torch.testing.assert_close(torch.tensor(ends["error"].to_list()), torch.full((9,), error), rtol=0, atol=2e-3)
    for name in ("pairs", "width", "simplex"):
        assert (workplace.results / f"figures/{name}.png").is_file()

    # What the text says is what the study is made from, not when it was written.
    file = workplace.folder / "mine" / "a.txt"
    os.utime(file)
    assert workplace.plan(*configfile) == {}
    (workplace.folder / "mine").rename(workplace.folder / "moved")
    moved = yaml.safe_dump({**STUDY, "data": {**STUDY["data"], "data_dir": "moved"}})
    (workplace.folder / configfile[1]).write_text(moved)
    assert workplace.plan(*configfile) == {}
    file = workplace.folder / "moved" / "a.txt"
    file.write_bytes(file.read_bytes()[::-1])
    assert workplace.plan(*configfile)["data"] == workplace.plan(*configfile)["train"] == 1
