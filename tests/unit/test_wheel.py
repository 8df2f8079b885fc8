"""The wheel has the library alone, and works where nothing else is installed than what it asks for."""

import os
import re
import shutil
import subprocess
import sys
import zipfile
from importlib.metadata import Distribution, distribution
from pathlib import Path

import pytest
from packaging.requirements import Requirement

ROOT = Path(__file__).parents[2]
FOLDERS = ("src", "workflow", "profiles", "envs", "studies", "tests", "docs", "benchmarks", "examples")
FILES = ("Snakefile", "config.yaml", "pyproject.toml", "README.md", "LICENSE")
OWN = """
from torch import nn

def build():
    return nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 2))
"""
PROGRAM = """
import ast, sys
from importlib.util import find_spec
from pathlib import Path

import onebasin, torch
from own_net import build

package = Path(onebasin.__file__).parent
assert package.is_relative_to(sys.prefix)
nodes = [node for path in package.rglob("*.py") for node in ast.walk(ast.parse(path.read_text()))]
named = {alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names}
named |= {node.module for node in nodes if isinstance(node, ast.ImportFrom)}
wanted = {name.partition(".")[0] for name in named}
assert {"onebasin", "torch", "tqdm"} < wanted and not [name for name in wanted if find_spec(name) is None]
assert find_spec("snakemake") is find_spec("workflow") is find_spec("pytest") is None

assert all(getattr(onebasin, name) is not None for name in onebasin.__all__)
images = torch.randn(20, 3)
a, b = build(), build()
aligned = onebasin.align(a, [a.state_dict(), b.state_dict()], method="weights", images=images)
print(onebasin.__version__, onebasin.barrier.curve(a, *aligned.states, images, torch.zeros(20).long()).shape)
"""


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    folder = tmp_path_factory.mktemp("wheel")
    source = folder / "source"
    for name in FOLDERS:
        shutil.copytree(ROOT / name, source / name, ignore=shutil.ignore_patterns("__pycache__", "*.egg-info"))
    for name in FILES:
        shutil.copy(ROOT / name, source)
    run(folder, sys.executable, "-m", "build", "--no-isolation", "--outdir", folder, source)
    (path,) = folder.glob("*.whl")
    return path


@pytest.fixture(scope="module")
def empty(wheel):
    """An environment with the wheel, links to what it asks for, and nothing else."""
    folder = wheel.parent / "empty"
    run(wheel.parent, sys.executable, "-m", "venv", "--without-pip", folder)
    run(wheel.parent, sys.executable, "-m", "pip", "--python", folder, "install", "--no-deps", "--no-index", wheel)
    (packages,) = folder.glob("lib/python*/site-packages")
    (own,) = packages.glob("onebasin-*.dist-info")
    for name in needed(Distribution.at(own).requires):
        installed = distribution(name)
        for entry in {file.parts[0] for file in installed.files} - {"..", "__pycache__"}:
            if not (packages / entry).exists():
                (packages / entry).symlink_to(installed.locate_file(entry))
    (wheel.parent / "own_net.py").write_text(OWN)
    return folder


def needed(requirements):
    """The names of what requirements ask for, and of what that asks for in turn."""
    found, waiting = set(), [(Requirement(one), {""}) for one in requirements]
    while waiting:
        one, extras = waiting.pop()
        asked = not one.marker or any(one.marker.evaluate({"extra": extra}) for extra in extras)
        if asked and (one.name, *one.extras) not in found:
            found.add((one.name, *one.extras))
            waiting += [(Requirement(inner), {"", *one.extras}) for inner in distribution(one.name).requires or ()]
    return {name for name, *_ in found}


def run(folder, *command):
    environment = {key: value for key, value in os.environ.items() if not key.startswith("PYTHON")}
    done = subprocess.run(list(map(str, command)), cwd=folder, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_the_wheel_has_the_library_and_nothing_else(wheel):
    library = {str(path.relative_to(ROOT / "src")) for path in (ROOT / "src/onebasin").rglob("*") if path.is_file()}
    packed = {name for name in zipfile.ZipFile(wheel).namelist() if ".dist-info/" not in name}
    assert "onebasin/py.typed" in packed and packed == {name for name in library if not name.endswith(".pyc")}


def test_the_commands_run(empty):
    command = empty / "bin/onebasin"
    assert "symmetry" in run(empty.parent, command, "--help")
    assert "1 groups, 4 units" in run(empty.parent, command, "symmetry", "own_net:build", "--input", "5x3")


def test_the_library_works_without_the_workflow(empty):
    version = re.search(r'^version = "(.*)"$', (ROOT / "pyproject.toml").read_text(), re.M)[1]
    # The module of the user lies beside the program.
    (empty.parent / "program.py").write_text(PROGRAM)
    assert run(empty.parent, empty / "bin/python", "program.py") == f"{version} (25, 3)\n"
