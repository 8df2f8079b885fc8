"""Tidy CSV tables: how they are written and read.

Only the standard library is imported here, so that a job that merely gathers tables starts at once; `read` imports
pandas when it is called. Floats are written by `repr` and come back exactly; equal rows make equal bytes.
"""

from __future__ import annotations

import csv
import functools
import numbers
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from onebasin.columns import CONFIGURATION, MEMORY, METHOD, NUMBER, PAIR, REACHED, TEXT, WHOLE, Column, Columns
from onebasin.experiments import rooms
from onebasin.files import FileError, atomic

if TYPE_CHECKING:
    import pandas

Row = dict[str, Any]

TRAINING: Columns = (
    Column("epoch", WHOLE, "number of the epoch, from 1"),
    Column("lr", NUMBER, "learning rate of the last step of the epoch"),
    Column("train_loss", NUMBER, "mean cross-entropy on the epoch's own batches, while training, nats"),
    Column("train_error", NUMBER, "fraction of labels missed in the epoch's own batches, while training, 0 to 1"),
    Column("test_loss", NUMBER, "mean cross-entropy on the test data, after the epoch, nats"),
    Column("test_error", NUMBER, "fraction of labels missed in the test data, after the epoch, 0 to 1"),
    Column("seconds", NUMBER, "wall time of the epoch, s"),
)
MATCHING: Columns = (
    *CONFIGURATION,
    *METHOD,
    *PAIR,
    *REACHED,
    Column("sweeps", WHOLE, "solutions of a group over the number of groups, rounded up; 1 where each is solved once"),
    Column("seconds", NUMBER, "wall time of the matching, s"),
    MEMORY,
)
FRAME: Columns = (
    *CONFIGURATION,
    *METHOD,
    *PAIR,
    *REACHED,
    Column("iterations", WHOLE, "steps of the method, for all networks together"),
    Column("seconds", NUMBER, "wall time of the method, for all networks together, s"),
    MEMORY,
)


@functools.cache
def tables() -> dict[str, Columns]:
    """Return the columns of every table, in order, by its name."""
    of_experiments = {name: columns for room in rooms().values() for name, columns in room.tables.items()}
    return {**of_experiments, "training": TRAINING, "matching": MATCHING, "frame": FRAME}


def columns_of(name: str) -> Columns:
    """Return the columns of a table.

    Raises:
        ValueError: if there is no table of that name.
    """
    if name not in tables():
        raise ValueError(f"there is no table {name!r}: give one of {', '.join(tables())}")
    return tables()[name]


def write(path: Path | str, name: str, rows: Iterable[Mapping[str, Any]]) -> None:
    """Write the rows of table `name` as CSV; arguments and errors as for ``write_columns``."""
    write_columns(path, name, columns_of(name), rows)


def write_columns(path: Path | str, name: str, columns: Columns, rows: Iterable[Mapping[str, Any]]) -> None:
    """Write rows as CSV; the file appears only when it is complete.

    Args:
        path: the file.
        name: what it is called in errors.
        columns: its columns, in order.
        rows: with exactly these columns, in any order; None becomes an empty cell where the column may have one.

    Raises:
        ValueError: for a row with other columns.
        TypeError: for a value that does not fit its column.
        FileError: if the file cannot be written.
    """
    names = [column.name for column in columns]
    with atomic(Path(path)) as temporary, open(temporary, "w", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(names)
        for number, row in enumerate(rows, start=1):
            if row.keys() != set(names):
                missing, unknown = sorted(set(names) - row.keys()), sorted(row.keys() - set(names))
                raise ValueError(f"table {name}, row {number}: missing columns {missing}, unknown columns {unknown}")
            writer.writerow([_format(column, row[column.name]) for column in columns])


def rows(path: Path | str, name: str) -> Iterator[Row]:
    """Yield the rows of table `name` with text, int, float or (empty cell) None values.

    Raises:
        FileError: when the file is missing or is not such a table.
    """
    return rows_of(path, name, columns_of(name))


def rows_of(path: Path | str, name: str, columns: Columns) -> Iterator[Row]:
    """Yield the rows of a file with these columns; `name` is what it is called in errors.

    Raises:
        FileError: when the file is missing or does not have these columns.
    """
    path = Path(path)
    try:
        with open(path, newline="", encoding="utf-8") as stream:
            reader = csv.reader(stream)
            _check_header(path, name, columns, next(reader, []))
            for cells in reader:
                if len(cells) != len(columns):
                    raise FileError(
                        f"{path}: line {reader.line_num} has {len(cells)} cells in place of {len(columns)}; "
                        "delete the file and run the workflow again"
                    )
                yield {
                    column.name: _parse(path, reader.line_num, column, cell)
                    for column, cell in zip(columns, cells, strict=True)
                }
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise _unreadable(path, name, error) from error


def read(path: Path | str, name: str) -> pandas.DataFrame:
    """Read table `name` into a data frame: text, int64, float64; nullable Int64 where a whole number may be missing.

    Raises:
        FileError: when the file is missing or is not such a table.
    """
    import pandas

    columns = columns_of(name)
    values: dict[str, list[Any]] = {column.name: [] for column in columns}
    for row in rows(path, name):
        for column, value in row.items():
            values[column].append(value)
    return pandas.DataFrame({c.name: pandas.Series(values[c.name], dtype=_dtype(c)) for c in columns})


def _format(column: Column, value: Any) -> str:
    if value is None and column.optional:
        return ""
    if column.type == TEXT:
        if not isinstance(value, str) or value == "":
            raise TypeError(f"column {column.name} holds text, not {value!r}")
        return value
    if isinstance(value, bool) or not isinstance(value, numbers.Real):
        raise TypeError(f"column {column.name} holds numbers, not {value!r}")
    if column.type == NUMBER:
        return repr(float(value))
    if not isinstance(value, numbers.Integral):
        raise TypeError(f"column {column.name} holds whole numbers, not {value!r}")
    return str(int(value))


def _dtype(column: Column) -> str:
    if column.type == TEXT:
        return "str"
    if column.type == NUMBER:
        return "float64"
    return "Int64" if column.optional else "int64"


def _parse(path: Path, line: int, column: Column, cell: str) -> str | int | float | None:
    if cell == "" and column.optional:
        return None
    try:
        if column.type == TEXT and cell:
            return cell
        return int(cell) if column.type == WHOLE else float(cell)
    except ValueError:
        raise FileError(
            f"{path}: line {line}, column {column.name}: {cell!r} does not fit; "
            "delete the file and run the workflow again"
        ) from None


def _check_header(path: Path, name: str, columns: Columns, header: list[str]) -> None:
    expected = [column.name for column in columns]
    if header != expected:
        raise FileError(
            f"{path}: not a table of {name}: its columns are {','.join(header) or 'none'}, expected "
            f"{','.join(expected)}; delete the file and run the workflow again"
        )


def _unreadable(path: Path, name: str, error: Exception) -> FileError:
    if isinstance(error, FileNotFoundError):
        return FileError(f"{path}: no such table of {name}; run the workflow that makes it")
    reason = error.strerror if isinstance(error, OSError) else str(error)
    return FileError(
        f"{path}: cannot be read as a table of {name} ({reason}); delete the file and run the workflow again"
    )
