"""The workflow as a part of another one: the example of docs/running.md."""

import os
import re
import subprocess
import sys
from pathlib import Path

from onebasin import tables

ROOT = Path(__file__).parents[2]


def snakemake(folder, *arguments):
    environment = {key: value for key, value in os.environ.items() if not key.startswith("PYTEST")}
    command = [sys.executable, "-m", "snakemake", "--cores", "1", *arguments]
    done = subprocess.run(
        command, cwd=folder, env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def test_the_example_of_the_documents_plans_and_runs(workplace):
    example = re.search(r"^    module onebasin:\n(?:(?:    .*)?\n)*", (ROOT / "docs/running.md").read_text(), re.M)[0]
    folder = workplace.folder.with_name("mine")
    folder.mkdir()
    workplace.folder.rename(folder / "onebasin")
    (folder / "Snakefile").write_text(re.sub("^    ", "", example, flags=re.M))
    plan = snakemake(folder, "--dry-run")
    assert re.search(r"^onebasin_train +1$", plan, re.M) and re.search(r"^onebasin_width_table +1$", plan, re.M)
    snakemake(folder)
    rows = list(tables.rows(folder / "results/mine/tables/width.csv", "width"))
    assert {(row["model"], row["width"]) for row in rows} == {("mlp", 8)}
    assert (folder / "widest.txt").read_text().startswith("mlp,8,")
    assert "Nothing to be done" in snakemake(folder)
