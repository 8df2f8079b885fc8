"""Layers and prefixes of networks through Snakemake; fixed entries of weights; frames of merged pairs."""

import pytest

from onebasin import checkpoint, tables
from onebasin.models import asymmetric, build

CONFIG = {
    "study": "tiny",
    "seeds": [0, 1, 2],
    "models": [
        {"name": "mlp", "family": "mlp", "widths": [8], "hidden": [1, 1], "asymmetric": {"share": 0.5}},
        {"name": "resnet", "family": "resnet20", "widths": [2]},
    ],
    "training": {"epochs": 1, "batch_size": 256, "weight_decay": 0.01},
    "matching": [{"name": "activations", "algorithm": "activations", "n_images": 100}],
    "frames": [
        {"name": "tree", "algorithm": "hierarchical", "similarity": "activations", "options": {"n_images": 100}}
    ],
    "barrier": {"points": 3, "train_images": 100},
    "layerwise": {"widths": [2, 8], "points": 3, "limit": 3},
    "paths": {"weak": "disjoint"},
    "experiments": ["width", "layerwise"],
}


def test_layers_and_blocks(workplace):
    workplace.snakemake("--cores", 1, *workplace.configure(CONFIG))
    rows = list(tables.rows(workplace.results / "tables/layerwise.csv", "layerwise"))
    named = ("model", "method", "part", "layer", "split", "metric")
    found = {tuple(row[name] for name in named): row for row in rows}
    assert len(found) == len(rows) and {(row["a"], row["b"]) for row in rows} == {(0, 1)}
    whole = {
        (row["model"], row["method"], row["split"], row["metric"]): row
        for row in tables.rows(workplace.results / "tables/width.csv", "width")
        if row["claim"] in ("none", "weak")
    }
    for (model, method, split, metric), expected in whole.items():
        layers = {"mlp": 3, "resnet": 22}[model]

        def row(part, layer, of=(model, method, split, metric)):
            return found[*of[:2], part, layer, *of[2:]]

        last = row("prefix", layers)
        for column in ("barrier", "alpha", "end_a", "end_b"):
            assert last[column] == pytest.approx(expected[column], abs=1e-6)
        assert row("one", 1)["excess"] == row("prefix", 1)["excess"]
        assert all(
            row(part, layer)["end_a"] == expected["end_a"] for part in ("one", "prefix") for layer in (1, layers)
        )
        has_blocks = (model, method, "blocks", layers, split, metric) in found
        assert has_blocks == (model == "resnet" and method != "none")
        if has_blocks:
            # At its ends are the networks themselves, though their blocks are permuted apart.
            assert row("blocks", layers)["end_b"] == pytest.approx(expected["end_b"], abs=2e-3)
    assert (workplace.results / "figures/layerwise.png").exists()
    workplace.measured_after_a_kill(CONFIG, "layerwise", parts=4)
    frames = [row for row in tables.rows(workplace.results / "tables/width.csv", "width") if row["method"] == "tree"]
    assert {row["algorithm"] for row in frames} == {"hierarchical"}

    # Entries of the asymmetric model are the same in all networks, trained ones not.
    model = build("mlp", width=8, image_shape=(1, 8, 8), classes=10, hidden=[1, 1])
    asymmetric.declare(model, share=0.5)
    files = sorted((workplace.results / "networks/mlp/width8").rglob("epoch1.safetensors"))
    states = [checkpoint.load(path)[0] for path in files]
    assert len(states) == 3
    for key, (places, values) in asymmetric.fixed(model).items():
        assert all((state[key][places] == values[places]).all() for state in states)
        assert (states[0][key] != states[1][key])[~places].all()
