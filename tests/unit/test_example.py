"""The notebook runs from its checkpoints to its picture, and alignment lowers the barrier."""

import re
from pathlib import Path

import nbclient
import nbformat
import pytest

NOTEBOOK = Path(__file__).parents[2] / "examples/two_networks.ipynb"


@pytest.fixture(scope="module")
def cells(tmp_path_factory):
    folder = tmp_path_factory.mktemp("example")
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    nbclient.NotebookClient(notebook, timeout=300, resources={"metadata": {"path": folder}}).execute()
    return folder, [cell for cell in notebook.cells if cell.cell_type == "code"]


def printed(cells, pattern):
    text = "".join(output.get("text", "") for cell in cells for output in cell.outputs)
    return [float(number) for number in re.findall(pattern, text)]


def test_alignment_lowers_the_barrier_and_the_error_of_the_mean(cells):
    _, cells = cells
    before, after = printed(cells, r"error barrier, .*: (\S+)")
    assert after < before / 2
    a, b, plain, merged = printed(cells, r"test error, .*: (\S+)")
    assert max(a, b) < 0.1 and merged < plain / 2


def test_a_picture_and_files_come_out(cells):
    folder, cells = cells
    pictures = [output for cell in cells for output in cell.outputs if "image/png" in output.get("data", {})]
    assert len(pictures) == 1
    assert {path.name for path in folder.glob("two_networks/*")} == {"a.pt", "b.pt", "curves.png", "merged.pt"}


def test_a_sentence_stands_before_each_cell_and_no_output_is_kept():
    cells = nbformat.read(NOTEBOOK, as_version=4).cells
    assert [cell.cell_type for cell in cells] == ["markdown", "code"] * (len(cells) // 2)
    assert not any(cell.get("outputs") or cell.get("execution_count") for cell in cells)
