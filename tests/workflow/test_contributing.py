"""The recipes of CONTRIBUTING.md, followed literally in a copy of the repository."""

import os
import re
import shutil
import struct
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import yaml

ROOT = Path(__file__).parents[2]
FOLDERS = ("src", "workflow", "profiles", "envs", "studies", "tests", "docs")
FILES = ("Snakefile", "config.yaml", "pyproject.toml", "README.md", "CONTRIBUTING.md", "Makefile")
FENCE = re.compile(r"^```(\w+)\n(.*?)^```\n", re.M | re.S)


def run(folder, *command):
    environment = {key: value for key, value in os.environ.items() if not key.startswith("PYTEST")}
    environment["PYTHONPATH"] = str(folder / "src")
    done = subprocess.run(
        [sys.executable, *command],
        cwd=folder,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert done.returncode == 0, done.stdout
    return done.stdout


def follow(folder, recipe):
    """Write the files and make the changes of a recipe; a block of code is the file that was named last before it."""
    made = []
    for block in FENCE.finditer(recipe):
        language, text = block.groups()
        if language == "diff":
            command = ["git", "apply", "--recount", "-"]
            done = subprocess.run(command, cwd=folder, input=text, capture_output=True, text=True)
            assert done.returncode == 0, done.stderr + text
        else:
            named = re.findall(r"`((?:src|tests)/\S+\.py)`", recipe[: block.start()])
            path = folder / named[-1]
            assert not path.exists()
            path.write_text(text)
            made.append(named[-1])
    return made


@pytest.fixture(scope="module")
def repository(tmp_path_factory):
    folder = tmp_path_factory.mktemp("repository")
    skipped = shutil.ignore_patterns("__pycache__", "*.egg-info", ".mypy_cache")
    for name in FOLDERS:
        shutil.copytree(ROOT / name, folder / name, ignore=skipped)
    for name in FILES:
        shutil.copy(ROOT / name, folder)
    (folder / "results").mkdir()
    text = (folder / "CONTRIBUTING.md").read_text()
    recipes = dict(re.findall(r"^## (.*?)\n(.*?)(?=^## |\Z)", text, re.M | re.S))
    assert set(recipes) == {"An experiment", "A model", "A data set", "A matching method"}
    return folder, {title: follow(folder, recipe) for title, recipe in recipes.items()}


def test_the_recipes_make_the_files_that_they_say_and_pass_the_checks(repository):
    folder, made = repository
    assert made["An experiment"] == ["src/onebasin/experiments/distance.py", "tests/workflow/test_distance.py"]
    assert made["A data set"] == []
    files = [path for paths in made.values() for path in paths]
    run(folder, "-m", "ruff", "check", "--no-cache", *files)
    run(folder, "-m", "ruff", "format", "--check", "--no-cache", *files)
    run(folder, "docs/generate.py")
    assert "`distance`" in (folder / "README.md").read_text()
    assert "| `distance` | How far apart are two networks" in (folder / "docs/experiments.md").read_text()
    assert "tables/distance.csv" in (folder / "docs/tables.md").read_text()


def test_the_test_of_the_new_experiment_passes(repository):
    folder, _ = repository
    assert "1 passed" in run(folder, "-m", "pytest", "-q", "-p", "no:cacheprovider", "tests/workflow/test_distance.py")


def test_the_new_model_data_set_and_method_go_into_a_study(repository):
    folder, _ = repository
    raw = folder / "data/KMNIST/raw"
    raw.mkdir(parents=True)
    rng = np.random.default_rng(0)
    for name, count in (("train", 200), ("t10k", 50)):
        labels = np.arange(count, dtype=np.uint8) % 10
        images = (rng.integers(0, 100, (count, 28, 28)) + 15 * labels[:, None, None]).astype(np.uint8)
        (raw / f"{name}-labels-idx1-ubyte").write_bytes(struct.pack(">II", 2049, count) + labels.tobytes())
        (raw / f"{name}-images-idx3-ubyte").write_bytes(struct.pack(">IIII", 2051, count, 28, 28) + images.tobytes())
    config = {
        "study": "new",
        "seeds": [0, 1],
        "data": {"name": "kmnist", "data_dir": "data"},
        "models": [{"name": "line", "family": "linear", "widths": [8]}],
        "training": {"epochs": 1},
        "matching": [{"name": "by-norm", "algorithm": "norms"}, {"name": "weights", "algorithm": "weights"}],
        "frames": [],
        "experiments": ["distance"],
    }
    (folder / "new.yaml").write_text(yaml.safe_dump(config))
    run(folder, "-m", "snakemake", "--cores", "1", "distance", "--configfile", "new.yaml")
    rows = (folder / "results/new/tables/distance.csv").read_text().splitlines()
    assert rows[0] == "model,width,method,algorithm,compared,a,b,distance"
    assert [row.split(",")[2:4] for row in rows[1:]] == [["none", "none"], ["by-norm", "norms"], ["weights", "weights"]]
