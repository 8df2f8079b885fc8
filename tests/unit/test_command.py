"""The command line prints groups, and one line on errors."""

import os
import subprocess
import sys

import pytest

from onebasin import permutation
from onebasin.__main__ import main
from onebasin.permutation import Permutation

OWN = """
from torch import nn

def build(width=4, norm=True):
    return nn.Sequential(nn.Linear(3, width), nn.BatchNorm1d(width) if norm else nn.ReLU(), nn.Linear(width, 2))

def tokens():
    return nn.Sequential(nn.Embedding(11, 6), nn.Linear(6, 2))

def random():
    class Dice(nn.Module):
        def forward(self, x):
            return x + x.new_empty(3).uniform_()
    return Dice()

def number():
    return 3
"""


@pytest.fixture
def own(tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "own_command_net.py").write_text(OWN)
    yield "own_command_net"
    sys.modules.pop("own_command_net", None)


def test_the_table_is_printed(own, capsys):
    assert main(["symmetry", f"{own}:build", "width=6", "norm=False", "--input", "5x3"]) == 0
    text = capsys.readouterr().out
    assert text.splitlines()[1].split() == ["0", "6", "1", "-", "0.weight[0],", "0.bias[0],", "2.weight[1]"]
    assert "model input" in text and text.splitlines()[-1].startswith("1 groups, 6 units")


def test_integers_and_training(own, capsys):
    assert main(["symmetry", f"{own}:tokens", "--input", "2x4:11", "--all-axes"]) == 0
    assert main(["symmetry", f"{own}:build", "--input", "5x3", "--training"]) == 0
    assert "1 groups, 4 units" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["build", "--input", "5y3"], "--input '5y3': give a shape such as 1x3x224x224"),
        (["build", "--input", "5x4"], "mat1 and mat2 shapes cannot be multiplied"),
        (["build", "width"], "argument 'width': give KEY=VALUE"),
        (["build", "depth=2"], "unexpected keyword argument 'depth'"),
        (["number"], "it returned a int, not a torch.nn.Module"),
        (["random", "--input", "5x3"], "operation aten.uniform_.default is random"),
        (["missing"], "own_command_net has no 'missing'"),
    ],
)
def test_errors_are_one_line(own, capsys, arguments, message):
    name, *rest = arguments
    assert main(["symmetry", f"{own}:{name}", *rest]) == 1
    text = capsys.readouterr().err
    assert text.startswith("onebasin: ") and message in text and text.count("\n") == 1


def test_the_package_is_a_command(own, tmp_path):
    command = [sys.executable, "-m", "onebasin", "symmetry", f"{own}:build", "--input", "5x3"]
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, env=dict(os.environ))
    assert done.returncode == 0 and "1 groups, 4 units" in done.stdout


@pytest.fixture
def file(tmp_path):
    found = {
        (0, 1): Permutation({"hidden.0": [0, 2, 1, 3], "hidden.2": [1, 0]}),
        (0, 2): Permutation({"hidden.0": [3, 2, 1, 0], "hidden.2": [0, 1]}),
    }
    permutation.save(tmp_path / "epoch2.safetensors", found, {"model": "mlp"})
    return str(tmp_path / "epoch2.safetensors")


def test_permutations_are_listed(file, capsys):
    assert main(["permutations", file]) == 0
    rows = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert rows == [["networks", "groups", "units", "fixed"], ["0-1", "2", "6", "0.333"], ["0-2", "2", "6", "0.333"]]


def test_one_permutation_is_printed_whole_or_by_group(file, capsys):
    assert main(["permutations", file, "0-1"]) == 0
    assert capsys.readouterr().out == "hidden.0: 0 2 1 3\nhidden.2: 1 0\n"
    assert main(["permutations", file, "0-2", "--group", "hidden.2"]) == 0
    assert capsys.readouterr().out == "hidden.2: 0 1\n"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["1-2"], "has no permutation '1-2': give one of 0-1, 0-2"),
        (["0-1", "--group", "head"], "there is no group 'head': give one of hidden.0, hidden.2"),
    ],
)
def test_a_permutation_that_is_not_there_gets_one_line(file, capsys, arguments, message):
    assert main(["permutations", file, *arguments]) == 1
    printed = capsys.readouterr()
    assert not printed.out and message in printed.err and printed.err.count("\n") == 1


def test_a_file_that_is_no_file_of_permutations_gets_one_line(tmp_path, capsys):
    (tmp_path / "none.safetensors").write_bytes(b"nothing")
    for path in (tmp_path / "none.safetensors", tmp_path / "missing.safetensors"):
        assert main(["permutations", str(path)]) == 1
        printed = capsys.readouterr()
        assert path.name in printed.err and printed.err.count("\n") == 1
