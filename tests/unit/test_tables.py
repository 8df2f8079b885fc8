"""Tables: documented columns, exact round trips, errors, barriers from curves."""

import math
import subprocess
import sys

import numpy as np
import pytest

from onebasin import tables
from onebasin.columns import Column
from onebasin.experiments import methods, pruning, sparsity, superposition
from onebasin.files import FileError
from onebasin.landscape.barrier import barriers

PATH = {"model": "mlp", "width": 16, "method": "weights", "algorithm": "weights", "compared": "weights"}
PATH |= {"claim": "weak", "reference": None, "a": 0, "b": 1}


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


def names_of(name):
    return [column.name for column in tables.columns_of(name)]


def test_every_column_has_a_meaning():
    for columns in tables.tables().values():
        assert len({column.name for column in columns}) == len(columns)
        assert all(len(column.meaning) > 10 and "|" not in column.meaning for column in columns)


def test_a_column_has_a_type_that_is_known():
    with pytest.raises(ValueError, match="none of text, whole, number"):
        Column("a", "integer", "a whole number")


def test_an_unknown_table_is_refused():
    with pytest.raises(ValueError, match="give one of errors, pairs, width"):
        tables.columns_of("widht")


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
        "model,width,method,algorithm,compared,claim,reference,a,b,split,alpha,loss,error,loss_calibrated",
        "mlp,16,weights,weights,weights,weak,,0,1,train,0.0,0.1,0.5,",
        "mlp,16,weights,weights,weights,weak,,0,1,train,1.0,0.25,1.0,",
    ]


def test_read_keeps_types_and_the_names_that_pandas_takes_for_empty(tmp_path):
    rows = curve([0.1, math.nan], [0.1, 0.2], model="NA", method="None", claim="none")
    rows += curve([0.1, 0.2], [0.1, 0.2], claim="strong", reference=3)
    tables.write(tmp_path / "t.csv", "pairs", rows)
    frame = tables.read(tmp_path / "t.csv", "pairs")
    assert list(frame.columns) == names_of("pairs")
    assert frame["model"].tolist() == ["NA", "NA", "mlp", "mlp"]
    assert frame["method"].tolist() == ["None", "None", "weights", "weights"]
    assert frame["reference"].isna().tolist() == [True, True, False, False]
    assert frame["reference"].tolist()[2:] == [3, 3]
    assert frame["width"].dtype == "int64" and frame["loss"].dtype == "float64"
    assert math.isnan(frame["loss"][1]) and frame["loss"][3] == 0.2


def test_an_empty_table_has_columns_and_types(tmp_path):
    tables.write(tmp_path / "t.csv", "width", [])
    frame = tables.read(tmp_path / "t.csv", "width")
    assert frame.empty and list(frame.columns) == names_of("width")


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


HEADER = ",".join(names_of("pairs"))


@pytest.mark.parametrize(
    "content, match",
    [
        ("", "not a table of pairs"),
        ("model,width\nmlp,3\n", "not a table of pairs"),
        (HEADER + "\nmlp,16,weights,weights,weights,weak,,0,1,tr", "line 2 has 10 cells"),
        (HEADER + "\nmlp,16,weights,weights,weights,weak,,0,1,train,0.0,0.1,x,\n", "column error: 'x'"),
        (HEADER + "\nmlp,,weights,weights,weights,weak,,0,1,train,0.0,0.1,0.1,\n", "column width: ''"),
        (HEADER + "\n,16,weights,weights,weights,weak,,0,1,train,0.0,0.1,0.1,\n", "column model: ''"),
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


def test_barriers_from_curves_by_hand():
    # loss: baseline 1, 1.5, 2, 2.5, 3; rises 0, .5, 2, 1, 0. error: baseline .2 throughout; rises 0, .6, .3, 0, 0.
    rows = curve([1.0, 2.0, 4.0, 3.5, 3.0], [0.2, 0.8, 0.5, 0.2, 0.2])
    loss, error = barriers(rows)
    path = {**PATH, "split": "train"}
    assert loss == {**path, "metric": "loss", "barrier": 2.0, "alpha": 0.5, "end_a": 1.0, "end_b": 3.0}
    assert error.pop("barrier") == pytest.approx(0.6)
    assert error == {**path, "metric": "error", "alpha": 0.25, "end_a": 0.2, "end_b": 0.2}


def test_barriers_of_calibrated_losses_where_they_were_measured():
    rows = curve([1.0, 2.0, 1.0], [0.0, 0.0, 0.0])
    for row, value in zip(rows, [0.5, 0.75, 0.5], strict=True):
        row["loss_calibrated"] = value
    loss, error, calibrated = barriers(rows)
    assert (loss["metric"], error["metric"]) == ("loss", "error")
    assert calibrated == {**loss, "metric": "loss_calibrated", "barrier": 0.25, "end_a": 0.5, "end_b": 0.5}


def test_baseline_is_the_line_between_the_ends_not_their_mean():
    straight, _ = barriers(curve([1.0, 2.0, 3.0], [0.0, 0.0, 0.0]))
    assert straight["barrier"] == 0.0
    below, _ = barriers(curve([1.0, 0.5, 3.0], [0.0, 0.0, 0.0]))
    assert below["barrier"] == 0.0


def test_barriers_keep_paths_apart_and_take_points_in_any_order():
    train, test = curve([0.0, 1.0, 0.0], [0.0] * 3), curve([0.0, 2.0, 0.0], [0.0] * 3, split="test")
    strong = curve([0.0, 3.0, 0.0], [0.0] * 3, claim="strong", reference=2)
    mixed = [row for group in zip(strong, reversed(train), test, strict=True) for row in group]
    found = [row for row in barriers(mixed) if row["metric"] == "loss"]
    assert [(row["split"], row["claim"], row["reference"], row["barrier"]) for row in found] == [
        ("train", "strong", 2, 3.0),
        ("train", "weak", None, 1.0),
        ("test", "weak", None, 2.0),
    ]
    assert all(row.keys() == set(names_of("width")) for row in found)


def test_a_value_that_is_not_a_number_is_not_hidden():
    loss, error = barriers(curve([1.0, math.nan, 1.0], [0.1, 0.4, 0.1]))
    assert math.isnan(loss["barrier"]) and loss["alpha"] == 0.5
    assert error["barrier"] == pytest.approx(0.3)


@pytest.mark.parametrize("alphas", [[0.0, 0.5], [0.5, 1.0], [0.0, 0.5, 0.5, 1.0]])
def test_a_curve_without_ends_or_with_a_point_twice_is_refused(alphas):
    with pytest.raises(ValueError, match="each alpha once"):
        list(barriers(curve([1.0] * len(alphas), [0.1] * len(alphas), alphas=alphas)))


WEIGHTS = {"method": "weights", "algorithm": "weights", "compared": "weights"}
MERGE = {"method": "merge", "algorithm": "merge_many", "compared": "weights"}
MATCHED = {"model": "mlp", "width": 16, **WEIGHTS, "a": 0, "b": 1}
REACHED = {"objective": 12.5, "similarity": 0.75, "memory": 3.5}
MATCHING = {**MATCHED, **REACHED, "sweeps": 4, "seconds": 0.01}
FRAME = {**MATCHED, **REACHED, **MERGE, "iterations": 3, "seconds": 0.6}


def joined(matchings, frames, curves):
    return methods.table({"matching": matchings, "frame": frames, "width": curves}, {})


def test_methods_join_matchings_and_frames_with_their_barriers(tmp_path):
    paths = curve([0.0, 1.0, 0.0], [0.0, 0.5, 0.0]) + curve(
        [0.0, 9.0, 0.0], [0.0, 0.9, 0.0], claim="strong", reference=2
    )
    paths += curve([0.0, 8.0, 0.0], [0.0, 0.9, 0.0], claim="none", method="none")
    paths += curve([0.0, 2.0, 0.0], [0.0, 0.6, 0.0], claim="strong", **MERGE)
    paths += curve([0.0, 3.0, 0.0], [0.0, 0.7, 0.0], claim="strong", b=2, **MERGE)
    rows = list(joined([MATCHING], [FRAME, {**FRAME, "b": 2}], paths))
    weak = {**MATCHED, **REACHED, "claim": "weak", "steps": 4, "seconds": 0.01, "split": "train"}
    strong = {**weak, **MERGE, "claim": "strong", "steps": 3, "seconds": 0.3}
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
    weak = curve([0.0, 1.0, 0.0], [0.0] * 3)
    with pytest.raises(ValueError, match="has no matching"):
        list(joined([], [], weak))
    # A pair that was matched for the sake of other paths is left out.
    assert {(row["a"], row["b"]) for row in joined([MATCHING, {**MATCHING, "b": 2}], [], weak)} == {(0, 1)}
    with pytest.raises(ValueError, match="has no barrier"):
        list(joined([MATCHING], [FRAME], weak))


def test_level_zero_of_sparsity_takes_every_second_point_and_both_permutations():
    rows = curve([0.0, 9.0, 1.0, 9.0, 0.0], [0.0] * 5) + curve([0.0, 9.0, 2.0, 9.0, 0.0], [0.0] * 5, claim="none")
    found = [row for row in sparsity.level_zero(rows, 3) if row["metric"] == "loss"]
    assert [(row["permutation"], row["barrier"], row["level"]) for row in found] == [
        ("level", 1.0, 0),
        ("dense", 1.0, 0),
        ("none", 2.0, 0),
    ]


def test_superposition_has_single_checkpoints_too():
    single = {"found": None, "epoch": 3}, {"found": 0, "epoch": 3}
    rows = list(superposition.table({"trajectory": single, "superposition": [{"matched": "1+3", "epoch": 3}]}, {}))
    assert rows == [{"epoch": 3, "matched": name} for name in ("none", "0", "1+3")]


def test_layers_of_pruning_come_after_their_sum():
    counts = {"a.weight": (2, 4), "b.weight": (1, 6)}
    rows = list(pruning.layers(counts, {"a": 3, "c": 5}, {"a": 1, "c": 2}))
    assert rows == [
        {"layer": "all", "weights": 10, "remaining": 3, "units": 8, "dead_units": 3},
        {"layer": "a", "weights": 4, "remaining": 2, "units": 3, "dead_units": 1},
        {"layer": "b", "weights": 6, "remaining": 1, "units": 0, "dead_units": 0},
    ]
