"""Legends: what the marks of a figure mean, how many networks it shows, and that an interval goes on beyond an axis."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping, Sequence

from matplotlib.artist import Artist
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from pandas import DataFrame

from onebasin.figures.intervals import goes_on, mark_ends
from onebasin.figures.panels import grow


def legend(figure: Figure, handles: Sequence[Artist], columns: int) -> None:
    """Put a legend above all panels, where it covers no data; it is the last thing that is drawn.

    Args:
        figure: whose intervals that leave their axes get an arrow, which the legend then explains.
        handles: the entries.
        columns: at most, fewer where they would be wider than the figure.
    """
    entries = [*handles, *([goes_on()] if mark_ends(figure) else [])]
    for count in range(columns, 0, -1):
        drawn = figure.legend(
            handles=entries,
            loc="outside upper center",
            ncols=count,
            handlelength=2.2,
            columnspacing=1.4,
            labelspacing=0.35,
        )
        box = drawn.get_window_extent()
        if count == 1 or box.width < 0.97 * figure.bbox.width:
            grow(figure, box.height / figure.dpi)
            return
        drawn.remove()


def some(table: DataFrame, shown: Mapping[str, Sequence[int]]) -> list[Line2D]:
    """Return legend entries that say of which models not all widths are drawn.

    Args:
        table: with the columns model and width.
        shown: of each model the widths that are drawn.
    """
    counts = {model: table.loc[table["model"] == model, "width"].nunique() for model in shown}
    return [
        Line2D([], [], linestyle="none", label=f"{model}: {len(widths)} of {counts[model]} widths are drawn")
        for model, widths in shown.items()
        if 0 < len(widths) < counts[model]
    ]


def networks(table: DataFrame, columns: Sequence[str] = ("a", "b"), by: Sequence[str] = ("model", "width")) -> str:
    """Return how many networks each configuration has, such as "4 networks".

    Args:
        table: the measurements that are drawn.
        columns: that name networks.
        by: what a configuration is.
    """
    counts = [
        len({name for column in columns if column in rows for name in rows[column].dropna()})
        for rows in _parts(table, by)
    ]
    return _number(counts, "network")


def paths(table: DataFrame, by: Sequence[str] = ("model", "width")) -> str:
    """Return how many pairs and triples of how many networks each configuration has.

    Args:
        table: with the columns a and b, and reference where there may be triples.
        by: what a configuration is.
    """
    found = []
    third = table["reference"].notna() if "reference" in table else table["a"].isna()
    for part, columns, name in ((table[~third], ["a", "b"], "pair"), (table[third], ["a", "b", "reference"], "triple")):
        if len(part):
            found.append(_number([len(distinct(rows, columns)) for rows in _parts(part, by)], name))
    return f"{' and '.join(found)} of {networks(table, ('a', 'b', 'reference'), by)}"


def distinct(table: DataFrame, columns: Sequence[str]) -> set[tuple[Hashable, ...]]:
    """Return the different rows that some columns have."""
    return set(table[list(columns)].itertuples(index=False, name=None))


def _parts(table: DataFrame, by: Sequence[str]) -> list[DataFrame]:
    return [rows for _, rows in table.groupby(list(by), sort=False)]


def _number(counts: Iterable[int], name: str) -> str:
    low, high = min(counts := list(counts)), max(counts)
    number = f"{high:,}" if low == high else f"{low:,} to {high:,}"
    return f"{number} {name}{'' if high == 1 else 's'}"
