"""What is measured on a GPU runs to its end without one."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torchvision.transforms.functional import to_pil_image

from onebasin import seeding

ROOT = Path(__file__).parents[2]
SECTIONS = ["The card", "Tests", "Training", "Evaluation", "Matching", "The study cifar10-quick"]


@pytest.fixture
def checkout(workplace):
    """A workplace with all that `benchmarks/gpu.sh` uses."""
    (workplace.folder / "pyproject.toml").write_bytes((ROOT / "pyproject.toml").read_bytes())
    shutil.copytree(ROOT / "benchmarks", workplace.folder / "benchmarks")
    for name in ("src", "tests"):
        (workplace.folder / name).symlink_to(ROOT / name)
    return workplace.folder


def gpu(checkout, *arguments):
    environment = {**os.environ, "PYTHON": sys.executable, "CUDA_VISIBLE_DEVICES": ""}
    command = ["bash", checkout / "benchmarks/gpu.sh", *arguments]
    return subprocess.run(command, env=environment, capture_output=True, text=True)


def images(folder):
    generator = seeding.generator("pictures")
    for split, count in (("train", 16), ("test", 4)):
        for name in ("cat", "dog"):
            (folder / split / name).mkdir(parents=True)
            for index in range(count):
                pixels = torch.randint(256, (3, 16, 16), generator=generator, dtype=torch.uint8)
                to_pil_image(pixels).save(folder / split / name / f"{index}.png")
    return folder


def rows(section):
    """The cells of the tables of a section, without their heads."""
    lines = [line.strip("| ").split(" | ") for line in section.splitlines() if line.startswith("| ")]
    return lines[1:]


def test_all_parts_run_on_a_cpu(checkout, tmp_path):
    done = gpu(checkout, "--tiny", "--images", images(tmp_path / "images"), "--out", tmp_path / "report.md")
    assert done.returncode == 0, done.stdout + done.stderr
    report = (tmp_path / "report.md").read_text()
    titles, parts = zip(*re.findall(r"^## (.+)\n((?:(?!## ).*\n)*)", report, re.M), strict=True)
    assert list(titles) == SECTIONS
    card, tests, training, evaluation, matching, study = map(rows, parts)
    assert {"card", "driver", "torch", "date"} <= {row[0] for row in card}
    [[outcome, count]] = tests
    assert outcome == "skipped: no CUDA device" and int(count) > 50
    assert {(way, at_once) for _, way, at_once, *_ in training} == {
        ("plain", "1"),
        ("bfloat16", "1"),
        ("bfloat16", "2"),
    }
    assert len(training) == 9 and len(evaluation) == 3 and len(matching) == 4
    numbers = [cell for row in training for cell in row[3:]]
    numbers += [cell for row in evaluation for cell in row[1:-1]]
    numbers += [cell for row in matching for cell in row[2:-1]]
    assert all(0 <= float(number.rstrip("%")) < float("inf") for number in numbers)
    assert all(row[-1] == "yes" for row in matching)
    assert [row[:2] for row in study] == [["vgg16 width2", "3"]]
    assert "`width`" in parts[-1] and "failed" not in report and "Not " not in report


def test_without_a_card_one_line_says_so(checkout):
    done = gpu(checkout)
    assert done.returncode == 1
    assert done.stderr == "error: PyTorch finds no CUDA device here; --tiny runs the same parts on the CPU\n"


def test_a_part_that_fails_is_reported_and_the_others_go_on(checkout, tmp_path):
    (checkout / "benchmarks/weight_matching.py").write_text("raise OSError('broken')\n")
    done = gpu(checkout, "--tiny", "--out", tmp_path / "report.md")
    assert done.returncode == 1
    report = (tmp_path / "report.md").read_text()
    assert "Not as it should be: the card, training, evaluation, matching." in report
    assert report.count("This part failed: OSError: broken") == 4
    assert "skipped: no CUDA device" in report
    assert "no folder of images was given" in report
