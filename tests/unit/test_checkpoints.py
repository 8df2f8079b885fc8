"""Files of networks through the command line, from two files to what other programs read again."""

import json
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import nn

from onebasin import data, networks, permutation
from onebasin.__main__ import main
from onebasin.commands import align, arguments, files, progress

ROOT = Path(__file__).parents[2]

OWN = """
import torch
from torch import nn
from torch.nn import functional


def build(width=6):
    return nn.Sequential(
        nn.Conv2d(1, width, 3, padding=1), nn.BatchNorm2d(width), nn.ReLU(), nn.Flatten(), nn.Linear(64 * width, 10)
    )


class Block(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.norm, self.qkv, self.proj = nn.LayerNorm(width), nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.mlp = nn.Sequential(nn.LayerNorm(width), nn.Linear(width, 9), nn.GELU(), nn.Linear(9, width))

    def forward(self, x):
        q, k, v = self.qkv(self.norm(x)).unflatten(2, (3, 2, -1)).permute(2, 0, 3, 1, 4)
        x = x + self.proj(functional.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2))
        return x + self.mlp(x)


class ViT(nn.Module):
    def __init__(self, classes, image_shape, width):
        super().__init__()
        self.patches = nn.Conv2d(image_shape[0], width, 4, stride=4)
        self.cls_token = nn.Parameter(torch.randn(1, 1, width))
        self.pos_embed = nn.Parameter(torch.randn(1, 1 + image_shape[1] * image_shape[2] // 16, width))
        self.blocks = nn.Sequential(Block(width), Block(width))
        self.norm, self.head = nn.LayerNorm(width), nn.Linear(width, classes)

    def forward(self, x):
        x = self.patches(x).flatten(2).transpose(1, 2)
        x = torch.cat([self.cls_token.expand(len(x), -1, -1), x], 1) + self.pos_embed
        return self.head(self.norm(self.blocks(x))[:, 0])


def vit(classes, image_shape, width=8):
    return ViT(classes, image_shape, width)


def images():
    return torch.rand(40, 3, 32, 32), torch.arange(40) % 4


def broken():
    raise RuntimeError("no data today")
"""


def train(model, images, labels, seed, steps=40):
    """Train a network for a moment."""
    torch.manual_seed(seed)
    model.train()
    optimizer = torch.optim.Adam(model.parameters(), 5e-3)
    for _ in range(steps):
        some = torch.randint(len(labels), (64,))
        optimizer.zero_grad()
        nn.functional.cross_entropy(model(images[some]), labels[some]).backward()
        optimizer.step()
    return model.eval()


@pytest.fixture(scope="module")
def walk(tmp_path_factory):
    """A folder with a model, data, and two checkpoints as training scripts leave them."""
    folder = tmp_path_factory.mktemp("walk")
    (folder / "own_net.py").write_text(OWN)
    dataset = data.load("digits")
    (images, labels), (other, expected) = ((raw / 16, y) for raw, y in map(dataset.raw, ("train", "test")))
    names = ("train_images", "train_labels", "test_images", "test_labels")
    torch.save(dict(zip(names, (images, labels, other, expected), strict=True)), folder / "own_data.pt")
    flat, hot = images[:60, 0], torch.eye(10, dtype=torch.int64)[labels[:60]]
    torch.save({"images": flat, "labels": labels[:60]}, folder / "flat.pt")
    torch.save({"images": images[:60], "labels": hot}, folder / "onehot.pt")
    sys.path.insert(0, str(folder))
    import own_net

    for seed, name in enumerate("abc"):
        torch.manual_seed(seed)
        model = train(own_net.build(), images, labels, seed)
        state = {f"module.{key}": value for key, value in model.state_dict().items()}
        torch.save({"epoch": 3, "state_dict": state, "optimizer": {"lr": 0.1}}, folder / f"{name}.pt")
        torch.manual_seed(seed)
        torch.save(own_net.vit(10, (1, 8, 8)).bfloat16().state_dict(), folder / f"vit-{name}.pt")
    yield folder
    sys.path.remove(str(folder))
    sys.modules.pop("own_net", None)


@pytest.fixture
def there(walk, monkeypatch):
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.chdir(walk)
    return walk


def run(*words, json_too=True):
    """Run a command in this process; return what it printed as JSON."""
    assert main([*words, "--json"]) == 0
    return words


def loaded(path, build, inputs, prefix="module."):
    """What a script that knows nothing of onebasin makes of a file."""
    content = load_file(path) if str(path).endswith(".safetensors") else torch.load(path, weights_only=True)
    state = content.get("state_dict", content)
    model = build()
    model.load_state_dict({key.removeprefix(prefix): value for key, value in state.items()})
    with torch.no_grad():
        return model.eval()(inputs)


def test_the_readme_walks_from_two_checkpoints_to_a_merged_one(there, tmp_path, capsys, monkeypatch):
    """Every command of the section, as it stands there, on files of one's own."""
    for name in ("own_net.py", "own_data.pt", "a.pt", "b.pt"):
        (tmp_path / name).write_bytes((there / name).read_bytes())
    monkeypatch.chdir(tmp_path)
    section = (ROOT / "README.md").read_text().partition("## Two checkpoints")[2].partition("\n## ")[0]
    commands = [line.split("#")[0].split() for line in re.findall(r"^ {4}(onebasin .*)$", section, re.M)]
    assert [words[1] for words in commands] == ["diagnose", "barrier", "align", "merge"]
    for words in commands:
        assert main(words[1:]) == 0, words
    text = capsys.readouterr().out
    assert "next: " in text and "0-1, activations" in text and "the same, reset" in text
    assert (tmp_path / "curve.png").read_bytes().startswith(b"\x89PNG")
    import own_net

    content = torch.load(there / "own_data.pt", weights_only=True)
    inputs, labels = content["test_images"], content["test_labels"]
    before, after = (loaded(folder / "b.pt", own_net.build, inputs) for folder in (there, tmp_path / "aligned"))
    assert torch.allclose(before, after, atol=1e-4)
    moved = torch.load(tmp_path / "aligned/b.pt", weights_only=True)["state_dict"]
    assert not torch.equal(
        moved["module.0.weight"], torch.load("b.pt", weights_only=True)["state_dict"]["module.0.weight"]
    )
    merged = loaded("merged.pt", own_net.build, inputs)
    error = float((merged.argmax(1) != labels).double().mean())
    assert f"{error:.4f}" in next(line for line in text.splitlines() if line.startswith("the same, reset"))


def test_three_in_one_frame_with_a_simplex_and_every_point_as_csv(there, tmp_path, capsys):
    words = ["own_net:build", "a.pt", "b.pt", "c.pt", "--data", "own_data.pt", "--align", "weights", "--points", "5"]
    assert main(["barrier", *words, "--csv", str(tmp_path / "points.csv"), "--json"]) == 0
    result = json.loads(capsys.readouterr().out)
    assert result["networks"] == {"0": "a.pt", "1": "b.pt", "2": "c.pt"}
    rows = {(row["path"], row["method"], row["split"], row["metric"]): row for row in result["barriers"]}
    assert len(rows) == 4 * 2 * 2 * 2
    points = pd.read_csv(tmp_path / "points.csv")
    line = points[(points.path == "0-2") & (points.method == "weights") & (points.split == "test")]
    straight = line.error.iloc[0] + line.alpha * (line.error.iloc[-1] - line.error.iloc[0])
    assert rows["0-2", "weights", "test", "error"]["barrier"] == pytest.approx((line.error - straight).max())


def test_a_transformer_in_half_precision_keeps_keys_and_types(there, tmp_path, capsys):
    import own_net

    paths = [str(there / f"vit-{name}.pt") for name in "abc"]
    out = tmp_path / "aligned"
    assert main(["align", "own_net:vit", "width=8", *paths, "--data", "own_data.pt", "--out", str(out)]) == 0
    inputs = torch.load("own_data.pt", weights_only=True)["test_images"][:20].bfloat16()
    for name in "abc":
        before, after = (torch.load(folder / f"vit-{name}.pt", weights_only=True) for folder in (there, out))
        assert list(before) == list(after) and {value.dtype for value in after.values()} == {torch.bfloat16}
        old, new = (
            loaded(folder / f"vit-{name}.pt", lambda: own_net.vit(10, (1, 8, 8)).bfloat16(), inputs)
            for folder in (there, out)
        )
        assert torch.allclose(old.float(), new.float(), atol=0.05)
    assert (out / "vit-a.pt").is_file() and torch.equal(before["head.bias"], after["head.bias"])
    found = permutation.load(out / "permutations.safetensors")
    assert set(found) == {(0,), (1,), (2,)} and set(found[0,].fixed_points().values()) == {1.0}
    target = tmp_path / "merged.safetensors"
    words = ["own_net:vit", "width=8", *paths[:2], "--data", "own_data.pt", "--weights", "3,1", "--out", str(target)]
    assert main(["merge", *words, "--json"]) == 0
    assert json.loads(capsys.readouterr().out.split("\n", 0)[-1].partition("{")[2].join("{ "))["weights"] == [
        0.75,
        0.25,
    ]
    assert {value.dtype for value in load_file(target).values()} == {torch.bfloat16}


def test_a_model_of_torchvision_with_data_from_a_function(there, tmp_path, capsys):
    from torchvision import models

    def build():
        return models.mobilenet_v2(num_classes=4, width_mult=0.1)

    for seed in (0, 1):
        torch.manual_seed(seed)
        torch.save({"model": build().state_dict(), "epoch": 1}, tmp_path / f"tv{seed}.pth")
    paths = [str(tmp_path / f"tv{seed}.pth") for seed in (0, 1)]
    model = ["torchvision.models:mobilenet_v2", "num_classes=4", "width_mult=0.1"]
    out = tmp_path / "out"
    assert main(["align", *model, *paths, "--data", "own_net:images", "--method", "weights", "--out", str(out)]) == 0
    inputs = torch.rand(8, 3, 32, 32)
    old, new = (torch.load(folder / "tv1.pth", weights_only=True) for folder in (tmp_path, out))
    assert list(new) == ["model"] and list(new["model"]) == list(old["model"])
    assert torch.equal(
        new["model"]["features.0.1.num_batches_tracked"], old["model"]["features.0.1.num_batches_tracked"]
    )
    outputs = []
    for content in (old, new):
        network = build().eval()
        network.load_state_dict(content["model"])
        outputs.append(network(inputs))
    assert torch.allclose(*outputs, atol=1e-5)
    capsys.readouterr()
    assert main(["diagnose", *model, *paths, "--data", "own_net:images", "--images", "16", "--json"]) == 0
    findings = {finding["name"]: finding for finding in json.loads(capsys.readouterr().out)["findings"]}
    assert findings["share"]["numbers"]["groups"] > 10 and "--normalise" in " ".join(findings["ends"]["advice"])


def test_a_language_model_on_a_folder_of_texts(there, tmp_path, capsys, monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / "studies/text"))
    import nanogpt

    (tmp_path / "texts").mkdir()
    (tmp_path / "texts/one.txt").write_text("The quick brown fox jumps over the lazy dog. " * 40)
    for seed in (0, 1):
        torch.manual_seed(seed)
        state = nanogpt.build(8, context=16, classes=256).state_dict()
        save_file({key: value.clone() for key, value in state.items()}, tmp_path / f"lm{seed}.safetensors")
    paths = [str(tmp_path / f"lm{seed}.safetensors") for seed in (0, 1)]
    words = ["nanogpt:build", "width=8", *paths, "--data", str(tmp_path / "texts"), "--context", "16", "--points", "3"]
    assert main(["barrier", *words, "--align", "activations", "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)["barriers"]
    assert {row["method"] for row in rows} == {"none", "activations"} and all(row["barrier"] >= 0 for row in rows)
    sys.modules.pop("nanogpt", None)


ERRORS = [
    (["barrier", "a.pt"], "give at least 2 files of networks after the model, not 1"),
    (["diagnose", "a.pt", "b.pt", "c.pt"], "give 2 files of networks after the model, not 3"),
    (["barrier", "a.pt", "missing.pt"], "missing.pt cannot be read"),
    (["barrier", "width=8", "a.pt", "b.pt"], "a.pt does not fit the model"),
    (["barrier", "depth=8", "a.pt", "b.pt"], "unexpected keyword argument 'depth'"),
    (["barrier", "a.pt", "b.pt", "--data", "nothing"], "--data 'nothing' is no file and no folder"),
    (["barrier", "a.pt", "b.pt", "--data", "own_net:broken"], "--data 'own_net:broken': RuntimeError: no data today"),
    (["barrier", "a.pt", "b.pt", "--data", "own_net:build"], "own_net:build"),
    (["barrier", "a.pt", "b.pt", "--normalise", "half"], "--normalise 'half': give channels, none, or MEAN/STD"),
    (["barrier", "a.pt", "b.pt", "--normalise", "1,2/1,2"], "normalise.mean has 2 numbers, the images have 1 channels"),
    (["barrier", "a.pt", "b.pt", "--images", "0"], "--images 0: give a number of at least 1"),
    (["barrier", "a.pt", "b.pt", "--plot", "x.foo"], "--plot x.foo: give a name that ends in .png, .pdf, .svg"),
    (["barrier", "a.pt", "b.pt", "--data", "flat.pt"], "is the axis of channels missing (images[:, None])?"),
    (["barrier", "a.pt", "b.pt", "--data", "onehot.pt"], "labels have shape [60, 10]: give one class an image"),
    (["barrier", "a.pt", "b.pt", "--points", "1"], "a curve needs at least 2 points, not 1"),
    (["barrier", "a.pt", "b.pt", "--device", "nowhere"], "--device nowhere"),
    (["barrier", "a.pt", "b.pt", "--csv", "a.pt"], "a.pt is a file that was read"),
    (["align", "a.pt", "b.pt", "--out", "."], "a.pt is a file that was read"),
    (["align", "a.pt", "b.pt", "c.pt", "--out", "out", "--method", "moments"], "'moments' takes two networks"),
    (["merge", "a.pt", "b.pt", "--out", "./b.pt"], "b.pt is a file that was read"),
    (["merge", "a.pt", "b.pt", "--out", "m.pt", "--weights", "one,two"], "--weights 'one,two': give a number for each"),
    (["merge", "a.pt", "b.pt", "--out", "m.pt", "--weights", "1,1,1"], "give one of at least 0 for each of 2 networks"),
]


@pytest.mark.parametrize(("words", "message"), ERRORS)
def test_mistakes_get_one_line_and_leave_no_file(there, capsys, words, message):
    before = {path.name: path.read_bytes() for path in there.iterdir() if path.is_file()}
    data_given = [] if "--data" in words else ["--data", "own_data.pt"]
    assert main([words[0], "own_net:build", *words[1:], *data_given]) == 1
    printed = capsys.readouterr()
    assert message in printed.err and printed.err.count("\n") == 1 and not printed.out
    assert {path.name: path.read_bytes() for path in there.iterdir() if path.is_file()} == before


def test_a_wrong_command_line_has_its_own_status(capsys):
    for words in (["align", "own_net:build", "a.pt", "b.pt"], ["merge"], ["nonsense"]):
        with pytest.raises(SystemExit) as caught:
            main(words)
        assert caught.value.code == 2


def test_options_end_where_files_begin(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("epoch=3.ckpt").touch()
    assert arguments.split(["width=4", "norm=batch", "epoch=3.ckpt", "step=1.ckpt"]) == (
        {"width": 4, "norm": "batch"},
        [Path("epoch=3.ckpt"), Path("step=1.ckpt")],
    )


def test_the_commands_know_the_methods_of_the_library():
    assert set(align.METHODS) == set(networks.METHODS)


def test_files_of_one_name_are_told_apart():
    paths = [Path("runs/a/last.pt"), Path("runs/b/last.pt"), Path("runs/model.safetensors.index.json")]
    assert files.targets(paths, Path("out")) == [
        Path("out/0-last.pt"),
        Path("out/1-last.pt"),
        Path("out/model.safetensors"),
    ]


@pytest.mark.parametrize("kind", ["pair", "pairs", "datasets", "dataset", "loaders", "names", "numpy", "own"])
def test_what_a_function_returns_is_a_data_set(there, kind, monkeypatch):
    from torch.utils.data import DataLoader, TensorDataset

    from onebasin.commands import data as given_data

    images, labels = torch.rand(30, 1, 8, 8), torch.arange(30) % 3
    train_part, test_part = TensorDataset(images[:20], labels[:20]), TensorDataset(images[20:], labels[20:])
    returned = {
        "pair": lambda: (images, labels),
        "pairs": lambda: ((images[:20], labels[:20]), (images[20:], labels[20:])),
        "datasets": lambda: (train_part, test_part),
        "dataset": lambda: TensorDataset(images, labels),
        "loaders": lambda: (DataLoader(train_part, 7), DataLoader(test_part, 7)),
        "names": lambda: {"images": images, "labels": labels},
        "numpy": lambda: (images.numpy(), labels.numpy().astype(np.uint8)),
        "own": lambda: data.load("digits"),
    }[kind]
    monkeypatch.setattr("own_net.returned", returned, raising=False)
    given = type("Given", (), {"data": "own_net:returned", "image_size": None, "context": None, "normalise": None})
    dataset = given_data.find(given)
    if kind == "own":
        assert dataset.name == "digits"
        return
    assert len(dataset.train_labels) + len(dataset.test_labels) == 30 and dataset.image_shape == (1, 8, 8)
    if kind in ("pairs", "datasets", "loaders"):
        assert torch.equal(dataset.raw("test")[0], images[20:])


def test_data_of_a_study_keeps_its_split(there, tmp_path, capsys):
    data.save(data.load("digits"), tmp_path / "data.safetensors")
    words = ["own_net:build", "a.pt", "b.pt", "--points", "2", "--normalise", "0/0.0627450980"]
    shown = []
    for source in (str(tmp_path / "data.safetensors"), "digits"):
        assert main(["barrier", *words, "--data", source, "--json"]) == 0
        shown.append(json.loads(capsys.readouterr().out)["barriers"])
    assert shown[0] == shown[1]


def test_progress_is_shown_once_it_takes_long(there, capsys, monkeypatch):
    words = ["barrier", "own_net:build", "a.pt", "b.pt", "--data", "own_data.pt", "--points", "2", "--align", "weights"]
    assert main(words) == 0
    assert capsys.readouterr().err == ""
    monkeypatch.setattr(progress, "QUIET_SECONDS", -1.0)
    assert main(words) == 0
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 3 and all(re.match(r"\[ +\d+ s\] (matching|measuring) ", line) for line in lines)


def test_planted_permutations_are_checked_for_any_model(there, capsys):
    words = ["symmetry", "own_net:build", "width=4", "--input", "2x1x8x8", "--check", "--noise", "0,50"]
    assert main(words) == 0
    rows = [line.split() for line in capsys.readouterr().out.splitlines()[-4:]]
    assert [row[:3] for row in rows[:2]] == [["0,", "weights", "100.0%"], ["0,", "activations", "100.0%"]]
    assert main([*words, "--json"]) == 0
    assert [row["units"] for row in json.loads(capsys.readouterr().out)["check"]][:2] == [1.0, 1.0]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "it was 1x3x224x224: give its shape, such as --input 2x1x28x28"),
        (["--input", "2x1x8x8", "--check", "--noise", "-1"], "--noise '-1': give numbers of at least 0"),
        (["--input", "2x1x8x8", "--check", "--methods", "magic"], "--methods 'magic': give names out of weights"),
        (["--input", "2x1x8x8", "--input", "2x3", "--check"], "own_net"),
    ],
)
def test_what_symmetry_cannot_do_is_one_line(there, capsys, words, message):
    assert main(["symmetry", "own_net:build", *words]) == 1
    printed = capsys.readouterr().err
    assert (message in printed or message == "own_net") and printed.count("\n") == 1


def test_commands_say_what_they_do_without_importing_torch():
    code = "import sys, onebasin.__main__ as it\ntry: it.main(['--help'])\nfinally: assert 'torch' not in sys.modules"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0 and all(
        name in done.stdout for name in ("align", "barrier", "merge", "diagnose", "symmetry")
    )
