"""Tables: documented columns, exact round trips, errors, barriers from curves."""

import math
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from onebasin import tables
from onebasin.files import FileError

DOCUMENT = Path(__file__).resolve().parents[2] / "docs/tables.md"
PATH = {"model": "mlp", "width": 16, "method": "weights", "claim": "weak", "reference": None, "a": 0, "b": 1}


def curve(losses, errors, alphas=None, **changes):
    alphas = alphas or [i / (len(losses) - 1) for i in range(len(losses))]
    path = {**PATH, "split": "train", **changes}
    return [
        {**path, "alpha": alpha, "loss": loss, "error": error, "loss_calibrated": None}
        for alpha, loss, error in zip(alphas, losses, errors, strict=True)
    ]


def test_importing_tables_needs_neither_torch_nor_pandas():
    code = "import sys, onebasin.tables; print(sorted({'torch', 'pandas', 'numpy'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


FILES = {
    name: f"tables/{name}.csv"
    for name in (
        "pairs",
        "width",
        "scaling",
        "simplex",
        "consensus",
        "methods",
        "instability",
        "pruning",
        "sparsity",
        "tickets",
    )
} | {
    "correction": "tables/correction.csv",
    "cycles": "tables/cycles.csv",
    "transfer": "tables/transfer.csv",
    "transfer_masks": "tables/transfer_masks.csv",
    "embedding": "tables/embedding.csv",
    "fixed_points": "tables/fixed_points.csv",
    **{name: f"tables/{name}.csv" for name in ("trajectory", "stability", "layers", "superposition")},
    "frame": "frames/<model>/width<W>/<frame>/frame.csv",
    "training": "networks/<model>/width<W>/seed<S>/training.csv",
    "measurements": "measurements/<model>/width<W>/<method>.csv",
    "matching": "permutations/<model>/width<W>/<method>/matching.csv",
}


@pytest.mark.parametrize("name", tables.COLUMNS)
def test_the_document_has_the_columns(name):
    sections = re.split(r"^#+ ", DOCUMENT.read_text(encoding="utf-8"), flags=re.MULTILINE)
    [section] = [section for section in sections if f"`{FILES[name]}`" in section.split("\n")[0]]
    assert re.findall(r"^\| `(\w+)` \| (.*?) \|$", section, re.MULTILINE) == list(tables.COLUMNS[name].items())


def test_every_column_has_a_meaning():
    for columns in tables.COLUMNS.values():
        assert all(len(meaning) > 10 and "|" not in meaning for meaning in columns.values())


def test_rows_come_back_exactly(tmp_path):
    rows = curve([0.1, 1 / 3, 1e-300], [0.0, 5e-324, 1.0], model='a,"b"\nc') + curve([1.5, math.inf], [0.25, 0.5])
    tables.write(tmp_path / "t.csv", "pairs", rows)
    assert list(tables.rows(tmp_path / "t.csv", "pairs")) == rows


def test_numpy_values_and_any_order_of_keys_make_the_same_bytes(tmp_path):
    rows = curve([0.1, 0.25], [0.5, 1.0])
    other = [
        {key: np.float64(value) if isinstance(value, float) else value for key, value in reversed(row.items())}
        for row in rows
    ]
    for row in other:
        row["width"] = np.int64(row["width"])
    tables.write(tmp_path / "1.csv", "pairs", rows)
    tables.write(tmp_path / "2.csv", "pairs", iter(other))
    assert (tmp_path / "1.csv").read_bytes() == (tmp_path / "2.csv").read_bytes()
    assert (tmp_path / "1.csv").read_text().splitlines() == [
        "model,width,method,claim,reference,a,b,split,alpha,loss,error,loss_calibrated",
        "mlp,16,weights,weak,,0,1,train,0.0,0.1,0.5,",
        "mlp,16,weights,weak,,0,1,train,1.0,0.25,1.0,",
    ]


def test_read_keeps_types_and_the_names_that_pandas_takes_for_empty(tmp_path):
    rows = curve([0.1, math.nan], [0.1, 0.2], model="NA", method="None", claim="none")
    rows += curve([0.1, 0.2], [0.1, 0.2], claim="strong", reference=3)
    tables.write(tmp_path / "t.csv", "measurements", rows)
    frame = tables.read(tmp_path / "t.csv", "measurements")
    assert list(frame.columns) == list(tables.COLUMNS["measurements"])
    assert frame["model"].tolist() == ["NA", "NA", "mlp", "mlp"]
    assert frame["method"].tolist() == ["None", "None", "weights", "weights"]
    assert frame["reference"].isna().tolist() == [True, True, False, False]
    assert frame["reference"].tolist()[2:] == [3, 3]
    assert frame["width"].dtype == "int64" and frame["loss"].dtype == "float64"
    assert math.isnan(frame["loss"][1]) and frame["loss"][3] == 0.2


def test_an_empty_table_has_columns_and_types(tmp_path):
    tables.write(tmp_path / "t.csv", "width", [])
    frame = tables.read(tmp_path / "t.csv", "width")
    assert frame.empty and list(frame.columns) == list(tables.COLUMNS["width"])


@pytest.mark.parametrize(
    "change, error",
    [
        ({"extra": 1}, ValueError),
        ({"width": 16.5}, TypeError),
        ({"width": None}, TypeError),
        ({"width": True}, TypeError),
        ({"loss": "0.1"}, TypeError),
        ({"model": 3}, TypeError),
        ({"model": ""}, TypeError),
    ],
)
def test_a_row_that_does_not_fit_leaves_no_file(tmp_path, change, error):
    row = {**curve([0.1, 0.2], [0.1, 0.2])[0], **change}
    with pytest.raises(error, match=next(iter(change))):
        tables.write(tmp_path / "t.csv", "pairs", [row])
    assert list(tmp_path.iterdir()) == []


def test_a_row_without_a_column_is_refused(tmp_path):
    row = curve([0.1, 0.2], [0.1, 0.2])[0]
    del row["loss"]
    with pytest.raises(ValueError, match=r"missing columns \['loss'\]"):
        tables.write(tmp_path / "t.csv", "pairs", [row])


HEADER = ",".join(tables.COLUMNS["pairs"])


@pytest.mark.parametrize(
    "content, match",
    [
        ("", "not a table of pairs"),
        ("model,width\nmlp,3\n", "not a table of pairs"),
        (HEADER + "\nmlp,16,weights,weak,,0,1,tr", "line 2 has 8 cells"),
        (HEADER + "\nmlp,16,weights,weak,,0,1,train,0.0,0.1,x,\n", "column error: 'x'"),
        (HEADER + "\nmlp,,weights,weak,,0,1,train,0.0,0.1,0.1,\n", "column width: ''"),
        (HEADER + "\n,16,weights,weak,,0,1,train,0.0,0.1,0.1,\n", "column model: ''"),
        (b"\x93\x00\xff\xfe", "cannot be read"),
    ],
)
def test_a_foreign_or_damaged_file_is_named(tmp_path, content, match):
    path = tmp_path / "t.csv"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(FileError, match=match) as caught:
        tables.read(path, "pairs")
    assert str(path) in str(caught.value) and "\n" not in str(caught.value)


def test_a_missing_file_and_a_folder_are_named(tmp_path):
    with pytest.raises(FileError, match="no such table"):
        tables.read(tmp_path / "absent.csv", "pairs")
    with pytest.raises(FileError, match="cannot be read"):
        tables.read(tmp_path, "pairs")


def test_gather_keeps_order_and_selects(tmp_path):
    weak, strong = curve([0.1, 0.2], [0.1, 0.2]), curve([0.3, 0.4], [0.1, 0.2], claim="strong", reference=2)
    tables.write(tmp_path / "1.csv", "measurements", strong + weak)
    tables.write(tmp_path / "2.csv", "measurements", curve([0.5, 0.6], [0.1, 0.2], a=1, b=2))
    parts = [tmp_path / "2.csv", tmp_path / "1.csv"]
    tables.gather(tmp_path / "all.csv", "measurements", parts)
    tables.gather(tmp_path / "pairs.csv", "pairs", parts, keep=lambda row: row["claim"] != "strong")
    assert [row["loss"] for row in tables.rows(tmp_path / "all.csv", "measurements")] == [0.5, 0.6, 0.3, 0.4, 0.1, 0.2]
    assert [row["loss"] for row in tables.rows(tmp_path / "pairs.csv", "pairs")] == [0.5, 0.6, 0.1, 0.2]


def test_gather_of_a_missing_part_leaves_no_table(tmp_path):
    with pytest.raises(FileError, match="absent"):
        tables.gather(tmp_path / "all.csv", "pairs", [tmp_path / "absent.csv"])
    assert list(tmp_path.iterdir()) == []


def test_barriers_from_curves_by_hand():
    # loss: baseline 1, 1.5, 2, 2.5, 3; rises 0, .5, 2, 1, 0. error: baseline .2 throughout; rises 0, .6, .3, 0, 0.
    rows = curve([1.0, 2.0, 4.0, 3.5, 3.0], [0.2, 0.8, 0.5, 0.2, 0.2])
    loss, error = tables.barriers(rows)
    path = {**PATH, "split": "train"}
    assert loss == {**path, "metric": "loss", "barrier": 2.0, "alpha": 0.5, "end_a": 1.0, "end_b": 3.0}
    assert error.pop("barrier") == pytest.approx(0.6)
    assert error == {**path, "metric": "error", "alpha": 0.25, "end_a": 0.2, "end_b": 0.2}


def test_barriers_of_calibrated_losses_where_they_were_measured():
    rows = curve([1.0, 2.0, 1.0], [0.0, 0.0, 0.0])
    for row, value in zip(rows, [0.5, 0.75, 0.5], strict=True):
        row["loss_calibrated"] = value
    loss, error, calibrated = tables.barriers(rows)
    assert (loss["metric"], error["metric"]) == ("loss", "error")
    assert calibrated == {**loss, "metric": "loss_calibrated", "barrier": 0.25, "end_a": 0.5, "end_b": 0.5}


def test_baseline_is_the_line_between_the_ends_not_their_mean():
    straight, _ = tables.barriers(curve([1.0, 2.0, 3.0], [0.0, 0.0, 0.0]))
    assert straight["barrier"] == 0.0
    below, _ = tables.barriers(curve([1.0, 0.5, 3.0], [0.0, 0.0, 0.0]))
    assert below["barrier"] == 0.0


def test_barriers_keep_paths_apart_and_take_points_in_any_order():
    train, test = curve([0.0, 1.0, 0.0], [0.0] * 3), curve([0.0, 2.0, 0.0], [0.0] * 3, split="test")
    strong = curve([0.0, 3.0, 0.0], [0.0] * 3, claim="strong", reference=2)
    mixed = [row for group in zip(strong, reversed(train), test, strict=True) for row in group]
    found = [row for row in tables.barriers(mixed) if row["metric"] == "loss"]
    assert [(row["split"], row["claim"], row["reference"], row["barrier"]) for row in found] == [
        ("train", "strong", 2, 3.0),
        ("train", "weak", None, 1.0),
        ("test", "weak", None, 2.0),
    ]
    assert all(row.keys() == tables.COLUMNS["width"].keys() for row in found)


def test_a_value_that_is_not_a_number_is_not_hidden():
    loss, error = tables.barriers(curve([1.0, math.nan, 1.0], [0.1, 0.4, 0.1]))
    assert math.isnan(loss["barrier"]) and loss["alpha"] == 0.5
    assert error["barrier"] == pytest.approx(0.3)


@pytest.mark.parametrize("alphas", [[0.0, 0.5], [0.5, 1.0], [0.0, 0.5, 0.5, 1.0]])
def test_a_curve_without_ends_or_with_a_point_twice_is_refused(alphas):
    with pytest.raises(ValueError, match="each alpha once"):
        list(tables.barriers(curve([1.0] * len(alphas), [0.1] * len(alphas), alphas=alphas)))


MATCHED = {"model": "mlp", "width": 16, "method": "weights", "a": 0, "b": 1}
REACHED = {"objective": 12.5, "similarity": 0.75, "memory": 3.5}
MATCHING = {**MATCHED, **REACHED, "sweeps": 4, "seconds": 0.01}
FRAME = {**MATCHED, **REACHED, "method": "merge", "iterations": 3, "seconds": 0.6}


def test_methods_join_matchings_and_frames_with_their_barriers(tmp_path):
    paths = curve([0.0, 1.0, 0.0], [0.0, 0.5, 0.0]) + curve(
        [0.0, 9.0, 0.0], [0.0, 0.9, 0.0], claim="strong", reference=2
    )
    paths += curve([0.0, 8.0, 0.0], [0.0, 0.9, 0.0], claim="none", method="none")
    paths += curve([0.0, 2.0, 0.0], [0.0, 0.6, 0.0], claim="strong", method="merge")
    paths += curve([0.0, 3.0, 0.0], [0.0, 0.7, 0.0], claim="strong", method="merge", b=2)
    rows = list(tables.methods([MATCHING], [FRAME, {**FRAME, "b": 2}], tables.barriers(paths)))
    weak = {**MATCHED, **REACHED, "claim": "weak", "steps": 4, "seconds": 0.01, "split": "train"}
    strong = {**weak, "method": "merge", "claim": "strong", "steps": 3, "seconds": 0.3}
    assert rows == [
        {**weak, "metric": "loss", "barrier": 1.0},
        {**weak, "metric": "error", "barrier": 0.5},
        {**strong, "metric": "loss", "barrier": 2.0},
        {**strong, "metric": "error", "barrier": 0.6},
        {**strong, "b": 2, "metric": "loss", "barrier": 3.0},
        {**strong, "b": 2, "metric": "error", "barrier": 0.7},
    ]
    tables.write(tmp_path / "methods.csv", "methods", rows)
    assert list(tables.rows(tmp_path / "methods.csv", "methods")) == rows


def test_methods_without_a_partner_are_refused():
    weak = list(tables.barriers(curve([0.0, 1.0, 0.0], [0.0] * 3)))
    with pytest.raises(ValueError, match="has no matching"):
        list(tables.methods([], [], weak))
    with pytest.raises(ValueError, match="has no barrier"):
        list(tables.methods([MATCHING, {**MATCHING, "b": 2}], [], weak))
    with pytest.raises(ValueError, match="has no barrier"):
        list(tables.methods([MATCHING], [FRAME], weak))
