"""What the README and docs/library.md show of the library does what it says."""

import re
import subprocess
import sys
from pathlib import Path

import matplotlib
import pandas as pd
import pytest

import onebasin
from onebasin import checkpoint, data, models, permutation, seeding, tables

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
LIBRARY = (ROOT / "docs/library.md").read_text(encoding="utf-8")

WIDTH = {
    **{"model": "mlp", "width": 64, "method": "none", "algorithm": "none", "compared": "none", "claim": "none"},
    **{"reference": None, "a": 0, "b": 1, "split": "test", "metric": "error", "barrier": 0.5, "alpha": 0.5},
    **{"end_a": 0.1, "end_b": 0.1},
}


@pytest.fixture
def results(tmp_path, monkeypatch):
    """The files of the default study that the README opens, with networks of no training."""
    matplotlib.use("Agg")
    monkeypatch.chdir(tmp_path)
    dataset = data.load("digits")
    data.save(dataset, "results/digits/data.safetensors")
    for seed in (0, 1):
        model = models.build("mlp", width=64, image_shape=dataset.image_shape, classes=dataset.classes)
        models.initialise(model, seeding.generator("readme", seed))
        path = f"results/digits/networks/mlp/width64/seed{seed}/epoch20.safetensors"
        checkpoint.save(path, model.state_dict(), {})
    states = [checkpoint.load(path.replace("seed1", f"seed{seed}"))[0] for seed in (0, 1)]
    symmetry = onebasin.discover(model, dataset.tensors("test")[0][:2])
    found = {(0, 1): onebasin.match.weights(symmetry, *states).permutation}
    permutation.save("results/digits/permutations/mlp/width64/weights/epoch20.safetensors", found, {})
    tables.write_columns("results/digits/tables/width.csv", "width", tables.columns_of("width"), [WIDTH])


def blocks(text):
    return re.findall(r"(?:^ {4}.*\n|^\n(?= {4}))+", text, re.M)


def test_the_code_of_the_documents_runs(results, capsys):
    (notebook,) = blocks(re.search(r"^## The library in ten lines\n(.*?)^## ", README, re.M | re.S)[1])
    networks, methods, corrected, drawn, permuted, frames = blocks(LIBRARY.partition("## Permutation groups")[0])
    names = {}
    for block in (networks, notebook, methods, corrected, drawn, permuted, frames):
        exec("\n".join(line[4:] for line in block.splitlines()), names)
    assert len([line for line in notebook.splitlines() if line.strip()]) <= 10
    barriers = {name: onebasin.barrier.barrier(curve, "error") for name, curve in names["curves"].items()}
    printed = list(map(float, capsys.readouterr().out.split()))
    assert printed == [barriers["weight matching"], onebasin.barrier.barrier(names["corrected"], "error")]
    assert all(list(curve) == ["alpha", "loss", "error"] and len(curve) == 25 for curve in names["curves"].values())
    for found in ("by_activations", "learned"):
        assert names[found].permutation.sizes == names["match"].permutation.sizes
    assert names["found"][0, 1] == names["match"].permutation
    assert names["figure"].axes
    assert names["moved"].keys() == {0, 1} and names["frame"].objectives.keys() == {(0, 1)}


def test_the_plot_shows_curves_and_barriers():
    matplotlib.use("Agg")
    from matplotlib import pyplot

    curve = pd.DataFrame({"alpha": [0, 0.5, 1], "loss": [0.0, 1.0, 0.5], "error": [0.1, 0.6, 0.3]})
    axes = onebasin.plot({"one": curve, "two": curve}, metric="loss")
    assert [text.get_text() for text in axes.get_legend().get_texts()] == ["one: barrier 0.75", "two: barrier 0.75"]
    assert axes.get_ylabel() == "loss (nats)"
    assert onebasin.plot(curve, ax=axes) is axes
    pyplot.close(axes.figure)
    for wrong in ({"metric": "accuracy"}, {"curves": {}}):
        with pytest.raises(ValueError):
            onebasin.plot(**{"curves": curve, **wrong})


@pytest.mark.parametrize("heights", [(0.2, 0.6), (0.6, 0.2)])
def test_curves_on_a_shared_axis_are_not_cut_off(heights):
    from matplotlib.figure import Figure

    panels = Figure().subplots(1, 2, sharey=True)
    for axes, height in zip(panels, heights, strict=True):
        onebasin.plot(pd.DataFrame({"alpha": [0, 0.5, 1], "error": [0.0, height, 0.0]}), ax=axes)
    assert all(axes.get_ylim()[0] == 0 and axes.get_ylim()[1] > 0.6 for axes in panels)


def test_the_package_alone_imports_nothing_heavy_and_has_all_that_it_says():
    code = "import sys, onebasin; assert not {'torch', 'numpy', 'pandas'} & sys.modules.keys(); print(*dir(onebasin))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert set(onebasin.__all__) <= set(done.stdout.split())
    for name in onebasin.__all__:
        assert getattr(onebasin, name) is not None
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = onebasin.nothing
