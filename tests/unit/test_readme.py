"""What the README shows of the library does what it says."""

import re
import subprocess
import sys
from pathlib import Path

import matplotlib
import pandas as pd
import pytest

import onebasin
from onebasin import checkpoint, data, models, seeding

README = (Path(__file__).parents[2] / "README.md").read_text(encoding="utf-8")


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


def test_the_code_of_the_library_section_runs(results, capsys):
    section = re.search(r"^## The library\n(.*?)^## ", README, re.M | re.S)[1]
    notebook, networks, corrected, frames = re.findall(r"(?:^ {4}.*\n|^\n(?= {4}))+", section, re.M)
    names = {}
    for block in (networks, notebook, corrected, frames):
        exec("\n".join(line[4:] for line in block.splitlines()), names)
    assert len([line for line in notebook.splitlines() if line.strip()]) <= 10
    barriers = {name: onebasin.barrier.barrier(curve, "error") for name, curve in names["curves"].items()}
    assert float(capsys.readouterr().out) == barriers["weight matching"]
    assert all(list(curve) == ["alpha", "loss", "error"] and len(curve) == 25 for curve in names["curves"].values())
    assert len(names["measured"].loss) == 25
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


def test_the_package_alone_imports_nothing_heavy_and_has_all_that_it_says():
    code = "import sys, onebasin; assert not {'torch', 'numpy', 'pandas'} & sys.modules.keys(); print(*dir(onebasin))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert set(onebasin.__all__) <= set(done.stdout.split())
    for name in onebasin.__all__:
        assert getattr(onebasin, name) is not None
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = onebasin.nothing
