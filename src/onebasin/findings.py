"""Sentences about what a table says: with numbers, intervals and the number of networks, computed and never written."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any

from onebasin.landscape.barrier import CONNECTED
from onebasin.prose import counted, estimate, listed, number
from onebasin.summaries import VERDICTS

if TYPE_CHECKING:
    from pandas import DataFrame, Series

UNDECIDED = "Not decided: the table has nothing to compare."
SPLITS = ("train", "test")


def where(rows: DataFrame, **wanted: Any) -> DataFrame:
    """Return the rows with these values; of a list, with one of them."""
    for column, value in wanted.items():
        if column in rows:
            rows = rows[rows[column].isin(value if isinstance(value, list) else [value])]
    return rows


def widest(rows: DataFrame) -> Iterator[tuple[str, DataFrame]]:
    """Yield what each model is called at its largest width, such as "mlp 512", and the rows of that."""
    for model, part in rows.groupby("model", sort=False):
        width = part["width"].max()
        yield f"{model} {width}", part[part["width"] == width]


def mean(row: Series, value: str = "barrier") -> str:
    """Write the mean of a summary's row with its interval."""
    return estimate(row[value], row.get(f"{value}_low", float("nan")), row.get(f"{value}_high", float("nan")))


def each(rows: DataFrame, by: str | Callable[[Series], str], value: str = "barrier") -> str:
    """Write the mean of every row behind its name, joined as a sentence does.

    Args:
        rows: of a summary.
        by: the column that names a row, or what makes its name.
        value: what is told.
    """
    named = [(str(row[by]) if isinstance(by, str) else by(row), mean(row, value)) for _, row in rows.iterrows()]
    return listed(f"{figure} {name}" for name, figure in named)


def way(row: Series) -> str:
    """Say by which permutation a row was measured."""
    return "without a permutation" if row["method"] == "none" else f"by {row['method']}"


def best(rows: DataFrame, value: str = "barrier") -> Series:
    """Return the row with the least mean."""
    return rows.iloc[int(rows[value].argmin())]


def worst(rows: DataFrame, value: str = "barrier") -> Series:
    """Return the row with the greatest mean."""
    return rows.iloc[int(rows[value].argmax())]


def by_best(rows: DataFrame, value: str = "barrier") -> DataFrame:
    """Return the rows of the method with the least mean over all of them."""
    return rows[rows["method"] == rows.groupby("method", sort=False)[value].mean().idxmin()]


def of_networks(rows: DataFrame) -> str:
    """Say how many networks stand behind rows of a summary."""
    few, many = int(rows["networks"].min()), int(rows["networks"].max())
    return counted(many, "network") if few == many else f"{few} to {counted(many, 'network')}"


def connected(rows: DataFrame) -> str:
    """Say from which width on networks are connected, or up to which they are not, on training and on test images.

    Args:
        rows: of a summary with verdicts, of one model, claim and method; one a width and split.
    """
    told = {}
    for split in SPLITS:
        of_split = where(rows, split=split).sort_values("width")
        if len(of_split):
            told[split] = _reached(of_split["width"].tolist(), of_split["verdict"].tolist()), mean(of_split.iloc[-1])
    last = rows["width"].max()
    states = [state for state, _ in told.values()]
    if len(set(states)) == 1:
        figures = ", ".join(f"{figure} {split}" for split, (_, figure) in told.items())
        return f"{states[0]} (at {last} {figures})"
    return ", ".join(f"on {split} {state} ({figure} at {last})" for split, (state, figure) in told.items())


def _reached(widths: list[int], verdicts: list[str]) -> str:
    """Say what verdicts by ascending width come to."""
    is_connected, not_connected, _ = VERDICTS
    if verdicts[-1] == is_connected:
        start = len(verdicts) - 1
        while start and verdicts[start - 1] == is_connected:
            start -= 1
        return f"connected at {widths[start]}" + (" and above" if start + 1 < len(widths) else "")
    apart = [width for width, verdict in zip(widths, verdicts, strict=True) if verdict == not_connected]
    if not apart:
        return "not decided at any width" if len(widths) > 1 else "not decided"
    return f"not connected up to {apart[-1]}" + (", not decided above" if apart[-1] != widths[-1] else "")


def joined(sentences: Iterable[str]) -> str:
    """Join sentences, or say that nothing is decided where there are none."""
    return " ".join(sentence for sentence in sentences if sentence) or UNDECIDED


__all__ = [
    "CONNECTED",
    "SPLITS",
    "UNDECIDED",
    "best",
    "by_best",
    "connected",
    "counted",
    "each",
    "estimate",
    "joined",
    "mean",
    "number",
    "of_networks",
    "way",
    "where",
    "widest",
    "worst",
]
