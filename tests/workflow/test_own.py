"""Models and networks of the user's own, through Snakemake."""

import json
import shutil

import numpy as np
import pytest
import torch
import torch.nn.functional as F
import yaml
from safetensors.torch import load_file, save_file
from torch import nn

from onebasin import barrier, checkpoint, data, models, seeding, symmetry, tables
from onebasin.models import factory

NET = """
from torch import nn

from own_layers import hidden


def build(width, image_shape, classes, depth=1):
    channels, height, breadth = image_shape
    return nn.Sequential(nn.Flatten(), *hidden(channels * height * breadth, width, depth), nn.Linear(width, classes))
"""
LAYERS = """
from torch import nn


def hidden(inputs, width, depth):
    return [nn.Linear(inputs, width), nn.GELU(), nn.Dropout(0.1)] + [nn.Linear(width, width), nn.Tanh()] * (depth - 1)
"""
OWN = {
    "study": "tiny",
    "seeds": [0, 1],
    "models": [{"name": "mine", "factory": "own_net:build", "widths": [4], "options": {"depth": 2}}],
    "training": {"epochs": 2, "checkpoints": [0]},
    "matching": [{"name": "weights", "algorithm": "weights"}],
    "frames": [],
    "barrier": {"points": 5, "train_images": 100},
    "instability": {"widths": [4], "epochs": [1]},
    "correction": {"widths": [4]},
    "experiments": ["pairs"],
}


def test_a_file_beside_the_config_is_a_model(workplace, monkeypatch):
    beside = workplace.folder / "studies" / "mine"
    beside.mkdir()
    (beside / "own_net.py").write_text(NET)
    (beside / "own_layers.py").write_text(LAYERS)
    configfile = ["--configfile", "studies/mine/own.yaml"]

    def configure(**changes):
        model = {**OWN["models"][0], **changes}
        (beside / "own.yaml").write_text(yaml.safe_dump({**OWN, "models": [model]}))

    configure()
    workplace.snakemake("--cores", 1, *configfile)
    assert len(list(tables.rows(workplace.results / "tables/pairs.csv", "pairs"))) == 2 * 2 * 5

    # The network at epoch 0 is what the function gives under the seed of its address.
    state, about = checkpoint.load(workplace.results / "networks/mine/width4/seed1/epoch0.safetensors")
    assert about["architecture"]["factory"] == "own_net:build" and len(about["architecture"]["code"]) == 64
    monkeypatch.syspath_prepend(str(beside))
    with seeding.seeded("network", "mine", 4, 1, "initialisation"):
        model = factory.build("own_net:build", width=4, image_shape=(1, 8, 8), classes=10, options={"depth": 2})
    assert all(torch.equal(state[key], value) for key, value in model.state_dict().items())

    # What the function is called with, and what its code says, is trained again; what does not concern it is not.
    assert workplace.plan(*configfile) == {}
    (beside / "other.py").write_text("import own_net\n")
    assert workplace.plan(*configfile) == {}
    configure(options={"depth": 3})
    assert workplace.plan(*configfile)["train"] == 1
    configure(initialisation="kaiming")
    assert workplace.plan(*configfile)["train"] == 1
    configure()
    (beside / "own_layers.py").write_text(LAYERS.replace("0.1", "0.2"))
    assert workplace.plan(*configfile)["train"] == 1
    every = workplace.plan("methods", "instability", "correction", *configfile)
    assert {"train_children", "correction_measure", "methods_figure"} <= every.keys()


def test_a_file_that_cannot_be_a_model_is_refused_before_any_job(workplace):
    (workplace.folder / "own_net.py").write_text("def build(:")
    line = "config error: models[0].factory: 'own_net:build' cannot be read: invalid syntax (own_net.py, line 1)"
    assert line in workplace.snakemake(*workplace.configure(OWN), fails=True)
    assert list((workplace.folder / "results").iterdir()) == []


@pytest.mark.parametrize("name", ["network", "data", "train", "measure", "job"])
def test_a_file_may_have_any_name(workplace, name):
    (workplace.folder / f"{name}.py").write_text(NET)
    (workplace.folder / "own_layers.py").write_text(LAYERS)
    model = {**OWN["models"][0], "factory": f"{name}:build"}
    target = "results/tiny/networks/mine/width4/seed0/epoch2.safetensors"
    workplace.snakemake("--cores", 1, target, *workplace.configure({**OWN, "models": [model]}))
    assert checkpoint.load(workplace.folder / target)[1]["architecture"]["factory"] == f"{name}:build"


BAD = """
from torch import nn


class Branches(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.hidden, self.head = nn.Linear(64, width), nn.Linear(width, 10)

    def forward(self, x):
        h = self.hidden(x.flatten(1)).relu()
        if h.sum() > 0:
            h = 2 * h
        return self.head(h)


def raises(width):
    raise KeyError("nothing")


def narrow(width):
    return nn.Sequential(nn.Flatten(), nn.Linear(63, width), nn.Linear(width, 10))


def batch(width):
    print("of no interest")
    return nn.Sequential(nn.Flatten(), nn.Linear(64, width), nn.BatchNorm1d(width), nn.Linear(width, 10))
"""


@pytest.mark.parametrize(
    ("function", "message"),
    [
        ("Branches", "is read, as a branch does ({folder}/own_bad.py, line 12: if h.sum() > 0:)"),
        ("raises", "it fails: KeyError: 'nothing' ({folder}/own_bad.py, line 18: raise KeyError(\"nothing\"))"),
        ("narrow", "the model fails on inputs of shape [2, 1, 8, 8]: RuntimeError: "),
        ("gone", "factory 'own_bad:gone': own_bad has no 'gone'"),
        ("batch", "called with width, depth: got an unexpected keyword argument 'depth'"),
    ],
)
def test_a_model_that_cannot_be_followed_is_refused_in_the_dry_run(workplace, function, message):
    (workplace.folder / "own_bad.py").write_text(BAD)
    model = {"name": "bad", "factory": f"own_bad:{function}", "widths": [8, 4]}
    model |= {"options": {"depth": 2}} if function == "batch" else {}
    output = workplace.snakemake("-n", *workplace.configure({**OWN, "models": [model]}), fails=True)
    (line,) = [line for line in output.splitlines() if "config error: models[0].factory" in line]
    assert message.replace("{folder}", str(workplace.folder)) in line
    assert list((workplace.folder / "results").iterdir()) == []


def test_what_was_looked_at_is_not_looked_at_again(workplace):
    (workplace.folder / "own_bad.py").write_text(BAD)
    model = {"name": "mine", "factory": "own_bad:batch", "widths": [4]}
    note = "models[0] has batch norm, and barrier.correction is none"
    remembered = workplace.folder / ".snakemake/onebasin/checked"
    for changes, count in (
        ({}, 1),
        ({}, 1),
        ({"barrier": {"correction": "reset"}}, 1),
        ({"data": {"held_out": 0.1}}, 1),
    ):
        output = workplace.snakemake("-n", *workplace.configure({**OWN, "models": [model], **changes}))
        assert len(list(remembered.iterdir())) == count
        assert output.count(note) == ("correction" not in changes.get("barrier", {}))
    (workplace.folder / "own_bad.py").write_text(BAD + "\n")
    workplace.snakemake("-n", *workplace.configure({**OWN, "models": [model]}))
    assert len(list(remembered.iterdir())) == 2


@pytest.fixture
def elsewhere(study, workplace):
    """Networks of the tiny study as others would give them: trained ones, and a permuted copy of the first."""
    folder = workplace.folder / "runs"
    folder.mkdir()
    states = [
        checkpoint.load(study.results / f"networks/mlp/width8/seed{seed}/epoch3.safetensors")[0] for seed in range(2)
    ]
    model = models.build("mlp", width=8, image_shape=(1, 8, 8), classes=10, hidden=[1, 1])
    found = symmetry.discover(model, torch.rand(2, 1, 8, 8, generator=seeding.generator("images")))
    copy = found.apply(found.random(seeding.generator("copy")), states[0])
    save_file(states[0], folder / "a-8.safetensors")
    torch.save({"epoch": 3, "state_dict": {f"module.{key}": value for key, value in copy.items()}}, folder / "copy.pt")
    torch.save(states[1], folder / "b.pth")
    torch.save(nn.Sequential(nn.Linear(2, 2)), folder / "pickle.pt")
    torch.save(
        models.build("mlp", width=9, image_shape=(1, 8, 8), classes=10, hidden=[1, 1]).state_dict(), folder / "wide.pt"
    )
    return workplace


def networks(*files):
    return {
        "study": "tiny",
        "networks": [f"runs/{file}" for file in files],
        "models": [{"name": "mlp", "family": "mlp", "widths": [8], "hidden": [1, 1]}],
        "frames": [],
        "barrier": {"points": 5, "train_images": 100},
        "experiments": ["pairs", "width"],
    }


def test_networks_from_elsewhere_are_measured_and_a_permuted_copy_is_recovered(elsewhere):
    configfile = elsewhere.configure(networks("a-{width}.safetensors", "copy.pt", "b.pth"))
    elsewhere.snakemake("--cores", 1, *configfile)
    barriers = {
        (row["method"], row["claim"], row["split"], row["metric"]): row["barrier"]
        for row in tables.rows(elsewhere.results / "tables/width.csv", "width")
        if (row["a"], row["b"]) == (0, 1)
    }
    assert barriers["none", "none", "train", "loss"] > 0.01
    for method in ("weights", "activations"):
        for split in ("train", "test"):
            assert barriers[method, "weak", split, "error"] == 0
            assert barriers[method, "weak", split, "loss"] == pytest.approx(0, abs=1e-6)
    about = checkpoint.load(elsewhere.results / "networks/mlp/width8/seed1/imported.safetensors")[1]
    assert about["source"]["file"] == "runs/copy.pt" and len(about["source"]["sha256"]) == 64
    assert (elsewhere.results / "figures/width.png").is_file()

    assert elsewhere.plan(*configfile) == {}
    assert "config error: networks: 'instability' trains networks" in elsewhere.snakemake(
        "instability", *configfile, fails=True
    )

    # What does not fit is refused in one line, and the networks of before stay as they are.
    before = {path: path.read_bytes() for path in (elsewhere.results / "networks").rglob("*.safetensors")}
    for file, message in (
        ("pickle.pt", "runs/pickle.pt is a pickle that needs torch.nn.modules.container.Sequential"),
        (
            "wide.pt",
            "runs/wide.pt does not fit the model: hidden.0.weight has shape [9, 64], the model's [8, 64]",
        ),
    ):
        configfile = elsewhere.configure(networks("a-{width}.safetensors", "copy.pt", file))
        assert f"config error: networks[2]: {message}" in elsewhere.snakemake("-n", *configfile, fails=True)
        assert before == {path: path.read_bytes() for path in (elsewhere.results / "networks").rglob("*.safetensors")}


def test_a_network_is_read_again_when_one_of_its_shards_is_another(elsewhere):
    runs = elsewhere.folder / "runs"
    shards = {"first.safetensors": {}, "second.safetensors": {}}
    for number, (key, tensor) in enumerate(load_file(runs / "a-8.safetensors").items()):
        shards["first.safetensors" if number % 2 else "second.safetensors"][key] = tensor
    for name, tensors in shards.items():
        save_file(tensors, runs / name)
    index = {"weight_map": {key: name for name, tensors in shards.items() for key in tensors}}
    (runs / "index.json").write_text(json.dumps(index))
    configfile = elsewhere.configure({**networks("index.json", "b.pth"), "experiments": ["pairs"]})
    made = "results/tiny/networks/mlp/width8/seed0/imported.safetensors"
    elsewhere.snakemake("--cores", 1, made, *configfile)
    before = checkpoint.load(elsewhere.folder / made)[0]
    assert elsewhere.plan(made, *configfile) == {}

    key, tensor = next(iter(shards["first.safetensors"].items()))
    save_file({**shards["first.safetensors"], key: tensor + 1}, runs / "first.safetensors")
    assert elsewhere.plan(made, *configfile) == {"import_networks": 1}
    elsewhere.snakemake("--cores", 1, made, *configfile)
    after = checkpoint.load(elsewhere.folder / made)[0]
    assert torch.equal(after[key], before[key] + 1)
    assert all(torch.equal(after[other], before[other]) for other in before if other != key)


def test_a_model_with_other_outputs_is_refused(workplace):
    (workplace.folder / "own_net.py").write_text(NET)
    (workplace.folder / "own_layers.py").write_text(LAYERS)
    model = {**OWN["models"][0], "options": {"classes": 7}}
    output = workplace.snakemake("-n", *workplace.configure({**OWN, "models": [model]}), fails=True)
    assert "models[0].factory: factory 'own_net:build': for 2 images the model gives [2, 7], expected [2, 10]" in output
    assert list((workplace.folder / "results").iterdir()) == []


@pytest.fixture(scope="module")
def sixteenths(tmp_path_factory):
    """Two networks with batch norm that somebody trained on digits over 16, and these digits in a file."""
    folder = tmp_path_factory.mktemp("sixteenths")
    digits = data.load("digits", seed=3)
    parts = {
        f"{split}_{part}": tensor / 16 if part == "images" else tensor
        for split in ("train", "test")
        for part, tensor in zip(("images", "labels"), digits.raw(split), strict=True)
    }
    np.savez(folder / "digits.npz", **{key: tensor.numpy() for key, tensor in parts.items()})
    for seed in range(2):
        torch.manual_seed(seed)
        model = models.build("cnn", width=8, norm="batch", image_shape=(1, 8, 8), classes=10)
        optimizer = torch.optim.Adam(model.parameters(), 0.01)
        for _ in range(10):
            for batch in torch.randperm(len(parts["train_labels"])).split(64):
                loss = F.cross_entropy(model(parts["train_images"][batch]), parts["train_labels"][batch])
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
        torch.save(model.state_dict(), folder / f"{seed}.pt")
    return folder, model, parts


def test_networks_see_the_inputs_that_they_were_trained_on(sixteenths, workplace):
    """What the study measures of networks from elsewhere is what the library measures of them, on their own inputs."""
    folder, model, parts = sixteenths
    beside = workplace.folder / "studies" / "mine"
    shutil.copytree(folder, beside)
    config = {
        **OWN,
        "networks": ["0.pt", "1.pt"],
        "experiments": ["errors", "pairs", "width"],
        "data": {"name": "file", "path": "digits.npz", "normalise": "none"},
        "models": [{"name": "cnn", "family": "cnn", "widths": [8], "norm": "batch"}],
    }
    (beside / "study.yaml").write_text(yaml.safe_dump(config))
    configfile = ["--configfile", "studies/mine/study.yaml"]
    workplace.snakemake("--cores", 1, *configfile)
    states = [torch.load(folder / f"{seed}.pt") for seed in range(2)]
    images, labels = parts["test_images"].float(), parts["test_labels"]
    expected = barrier.curve(model, *states, images, labels, 5)
    rows = list(tables.rows(workplace.results / "tables/pairs.csv", "pairs"))
    found = {row["alpha"]: row for row in rows if (row["split"], row["method"]) == ("test", "none")}
    assert [found[alpha]["error"] for alpha in expected["alpha"]] == pytest.approx(list(expected["error"]))
    assert [found[alpha]["loss"] for alpha in expected["alpha"]] == pytest.approx(list(expected["loss"]), rel=1e-4)
    assert expected["error"].iloc[[0, -1]].max() < 0.1 < expected["error"].max()
    errors = {
        row["seed"]: row
        for row in tables.rows(workplace.results / "tables/errors.csv", "errors")
        if row["split"] == "test"
    }
    assert [errors[seed]["error"] for seed in range(2)] == pytest.approx(list(expected["error"].iloc[[0, -1]]))
    assert [row["remark"] for row in errors.values()] == [None, None]
    claims = {row["claim"] for row in tables.rows(workplace.results / "tables/width.csv", "width")}
    assert claims == {"none", "weak"}  # two networks are enough for these
    log = (workplace.results / "logs/import_networks/cnn/width8.log").read_text()
    assert f"seed 1: test loss {expected['loss'].iloc[-1]:.4f} error {expected['error'].iloc[-1]:.4f}" in log

    # Other inputs are another data set; the place of the file says nothing, its contents do.
    assert workplace.plan(*configfile) == {}
    (beside / "digits.npz").rename(workplace.folder / "moved.npz")
    config["data"]["path"] = "moved.npz"
    (beside / "study.yaml").write_text(yaml.safe_dump(config))
    assert workplace.plan(*configfile) == {}
    config["data"]["normalise"] = {"mean": [0.5], "std": [0.01]}
    (beside / "study.yaml").write_text(yaml.safe_dump(config))
    assert {"data", "align", "width_measure"} <= workplace.plan(*configfile).keys()

    # What is wrong with the file is said before any job.
    np.savez(
        workplace.folder / "moved.npz", images=np.random.default_rng(0).random((40, 8, 8, 3)), labels=np.arange(40)
    )
    output = workplace.snakemake("-n", *configfile, fails=True)
    assert "config error: data: moved.npz: images have shape [40, 8, 8, 3], channels last" in output
    shutil.copy(folder / "digits.npz", workplace.folder / "moved.npz")

    # Other inputs than in their training: somebody is told.
    output = workplace.snakemake("--cores", 1, "errors", *configfile)
    warning = "import_networks: warning: cnn, width 8, seed 0: test error 0."
    assert warning in output and "are the model, the file and data.normalise those of its training?" in output
    remarks = [row["remark"] for row in tables.rows(workplace.results / "tables/errors.csv", "errors")]
    assert any("near that of a guess" in remark for remark in remarks if remark)
