"""Sentences about what a table says: with numbers, intervals and the number of networks, computed and never written."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from onebasin import prose
from onebasin.landscape.barrier import CONNECTED
from onebasin.prose import counted, listed, number
from onebasin.summaries import VERDICTS, frames, simultaneous

if TYPE_CHECKING:
    from pandas import DataFrame, Series

UNDECIDED = "Not decided: the table has nothing to compare."
SPLITS = ("train", "test")
FRAMES = {
    "none": "no permutation",
    "first": "weak",
    "third": "strong through a third network",
    "common": "strong in a common frame",
}
"""The claims, by the frame in which two networks are (see ``summaries.frames``)."""
SECOND = "the second data set"
"""What findings call it; a table does not know its name."""


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


def estimate(value: float, low: float, high: float) -> str:
    """Write a mean with its 95 % interval, or say that there is none."""
    return prose.estimate(value, low, high) + " (no interval)" * math.isnan(low + high)


def mean(row: Series, value: str = "barrier") -> str:
    """Write the mean of a summary's row with its interval, or say that there is none."""
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


def claimed(frame: str, method: str) -> str:
    """Say which claim a barrier belongs to, and by which method it was measured."""
    return "without a permutation" if frame == "none" else f"{FRAMES[frame]} by {method}"


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
    """Say at which widths networks are connected, and at which not, on training and on test images.

    Args:
        rows: of a summary with verdicts, of one model, claim and method; one a width and split.
    """

    def told(of_split: DataFrame) -> tuple[str, str]:
        ordered = of_split.sort_values("width")
        return _reached(ordered["width"].tolist(), ordered["verdict"].tolist()), mean(ordered.iloc[-1])

    return _by_split(rows, told, f"at {rows['width'].max()}: ")


def simultaneously(rows: DataFrame, when: Callable[[Series], str]) -> str:
    """Say whether networks are simultaneously connected by one permutation, and when they are worst.

    Args:
        rows: of a summary with verdicts, of one permutation; one a moment and split.
        when: says when the moment of a row is.
    """
    words = {
        "connected": "simultaneously weakly connected",
        "not connected": "not simultaneously weakly connected",
        "not decided": "not decided whether simultaneously weakly connected",
        None: "without a verdict whether simultaneously weakly connected",
    }

    def told(of_split: DataFrame) -> tuple[str, str]:
        said, which = simultaneous(of_split["verdict"])
        moments = of_split[which] if said else of_split
        most = worst(moments)
        return words[said], f"{mean(most)} {when(most)}"

    return _by_split(rows, told, "worst: ")


def _by_split(rows: DataFrame, tell: Callable[[DataFrame], tuple[str, str]], name: str) -> str:
    """Say what is so on training and on test images, at once where it is the same, with the numbers for it."""
    told = {split: tell(of_split) for split in SPLITS if len(of_split := where(rows, split=split))}
    states = [state for state, _ in told.values()]
    if len(told) > 1 and len(set(states)) == 1:
        figures = ", ".join(f"{split} {figure}" for split, (_, figure) in told.items())
        return f"on training and test images {states[0]} ({name}{figures})"
    images = {"train": "training", "test": "test"}
    return ", ".join(f"on {images[split]} images {state} ({name}{figure})" for split, (state, figure) in told.items())


def _reached(widths: list[int], verdicts: list[str | None]) -> str:
    """Say what verdicts by ascending width come to, widths of one verdict together."""
    told = []
    for said, group in itertools.groupby(zip(widths, verdicts, strict=True), key=lambda item: item[1]):
        first, *_, last = [width for width, _ in group] * 2
        told.append(f"{said if said in VERDICTS else 'without a verdict'} at {first}{f' to {last}' * (last != first)}")
    return ", ".join(told)


@dataclass(frozen=True)
class Grid:
    """Verdicts and means of one model, to be looked up.

    Attributes:
        header: the model, and what the columns hold.
        lines: the cells.
    """

    header: list[str]
    lines: list[list[str]]

    def markdown(self) -> str:
        """Write it as a table of Markdown."""
        rows = [self.header, ["---"] * len(self.header), *self.lines]
        return "\n".join(f"| {' | '.join(row)} |" for row in rows)


MARKS = {"connected": "yes", "not connected": "no", "not decided": "?"}
LEGEND = (
    "Error barriers: whether networks are connected (yes), not connected (no) or neither is decided (?), their mean "
    "and its 95 % interval; without a word where there is no verdict."
)


def grids(rows: DataFrame, lines: str, across: str) -> list[Grid]:
    """Lay the verdicts and means of a summary out, one grid a model.

    Args:
        rows: the summary.
        lines: the keys that name a line, separated by spaces.
        across: the key that names the columns.
    """
    found, keys = [], lines.split()
    for model, part in where(rows, metric="error").groupby("model", sort=False):
        columns = sorted(part[across].unique())
        if "frame" in keys:
            part = part.sort_values("frame", key=lambda frame: frame.map(list(FRAMES).index), kind="stable")
        table = []
        for key, line in part.groupby(keys, sort=False, dropna=False):
            cells = {row[across]: _cell(row) for _, row in line.iterrows()}
            table.append([*map(_plainly, keys, key), *(cells.get(column, "") for column in columns)])
        head = ["claim" if key == "frame" else key for key in keys]
        head[0] = f"{model}: {head[0]}"
        found.append(Grid([*head, *(f"{across} {column}" for column in columns)], table))
    return found


def _cell(row: Series) -> str:
    text = prose.estimate(row["barrier"], row.get("barrier_low", math.nan), row.get("barrier_high", math.nan), least=2)
    return f"{MARKS.get(row['verdict'], '')} {text}".strip()


def _plainly(key: str, value: Any) -> str:
    return FRAMES.get(value, str(value)) if key == "frame" else str(value)


def joined(sentences: Iterable[str]) -> str:
    """Join sentences, or say that nothing is decided where there are none."""
    return " ".join(sentence for sentence in sentences if sentence) or UNDECIDED


__all__ = [
    "CONNECTED",
    "FRAMES",
    "LEGEND",
    "SECOND",
    "SPLITS",
    "UNDECIDED",
    "best",
    "by_best",
    "claimed",
    "connected",
    "counted",
    "each",
    "estimate",
    "frames",
    "grids",
    "joined",
    "listed",
    "mean",
    "number",
    "of_networks",
    "simultaneously",
    "way",
    "where",
    "widest",
    "worst",
]
