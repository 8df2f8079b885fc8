"""A checkout may lie in a folder whose name has blanks and brackets, with its interpreter."""

import sys

import pytest

from onebasin import data
from workflow import interpreter

NAME = "my 'studies' (new) [a]"


def test_a_study_runs_in_a_folder_with_blanks_and_brackets(workplace, monkeypatch):
    folder = workplace.folder.with_name(NAME)
    workplace.folder.rename(folder)
    workplace.folder = folder
    (folder / ".venv").symlink_to(sys.prefix)
    monkeypatch.setattr(sys, "executable", str(folder / ".venv/bin/python"))
    workplace.snakemake("data")
    assert data.open_(folder / "results/digits/data.safetensors").classes == 10


def test_of_an_interpreter_elsewhere_one_line_says_why_it_cannot_be_called(tmp_path, monkeypatch):
    python = tmp_path / NAME / "bin/python"
    python.parent.mkdir(parents=True)
    python.touch()
    monkeypatch.chdir(tmp_path)
    assert interpreter.plain("/usr/bin/python3.12") == "/usr/bin/python3.12"
    with pytest.raises(
        SystemExit, match="^Python lies at .* cannot call .*: run it in the folder that holds .venv, or move"
    ):
        interpreter.plain(str(python))
    monkeypatch.chdir(tmp_path / NAME)
    assert interpreter.plain(str(python)) == "./bin/python"
