"""The one way to draw measurements: each small, their mean large, its interval as a bar."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from pandas import DataFrame

from onebasin.figures.intervals import bars
from onebasin.figures.panels import step
from onebasin.figures.style import GREY, SPLITS, Mark, size
from onebasin.summaries import interval

ROOM = 0.8
"""Share of the distance between two places that the series at one place take together."""


def beside(axis: Axes, places: Any, slot: int, slots: int, room: float = ROOM) -> tuple[np.ndarray, float]:
    """Move places so that several series stand side by side.

    Args:
        axis: its x axis is linear, with places 1 apart, or logarithmic, with a tick at each place.
        places: on the x axis.
        slot: number of the series, from 0.
        slots: number of series.
        room: share of the distance between places that all series take together.

    Returns:
        The moved places, and how far measurements may spread about them.
    """
    at, shift = np.asarray(places, dtype=float), slot - (slots - 1) / 2
    if axis.get_xscale() == "linear":
        return at + shift * room / slots, 0.76 * room / slots
    distance = room * step(axis.get_xticks().tolist()) / slots * (-1 if axis.xaxis_inverted() else 1)
    return at * 2 ** (shift * distance), 0.76 * distance


def series(
    axis: Axes,
    table: DataFrame,
    column: str,
    mark: Mark,
    places: tuple[Any, float],
    networks: Any,
    *,
    floor: float | None = None,
    joined: bool = True,
) -> int:
    """Draw one series; values that are not finite are counted in a note.

    Args:
        axis: where to draw.
        table: the measurements, one a row; rows at the same place have one mean.
        column: what is drawn; in a column `barrier` the intervals are those of barriers.
        mark: how.
        places: the x of each row, and how far measurements spread about it, as ``beside`` gives them.
        networks: the columns that name the networks of a measurement, or the networks themselves, [rows, k].
        floor: values under it are drawn there, as triangles, as a logarithmic axis needs it.
        joined: whether a line joins the means.

    Returns:
        How many values were drawn at the floor.
    """
    values, (at, spread) = table[column].to_numpy(dtype=float), places
    if not len(values):
        return 0
    at = np.asarray(at, dtype=float)
    named = isinstance(networks, Sequence) and all(isinstance(name, str) for name in networks)
    members = table[list(networks)].to_numpy(dtype=int) if named else np.asarray(networks)
    finite, least = np.isfinite(values), -np.inf if floor is None else floor
    clipped = finite & (values < least)
    crowd = len(values) / len(np.unique(at))
    _measurements(axis, _apart(axis, at, spread), values, finite & ~clipped, clipped, least, mark, crowd)
    if not finite.all():
        axis.annotate(
            f"{(~finite).sum()} × {mark.label}: not finite", (at.mean(), 0.9),
            xycoords=("data", "axes fraction"), fontsize=size("small"), color=mark.colour, ha="center",
        )  # fmt: skip
    centres = np.unique(at[finite])
    groups = [finite & (at == centre) for centre in centres]
    means = [values[group].mean() for group in groups]
    bounds = [interval(table[group], column, members[group]) for group in groups]
    low, high = np.reshape(bounds, (-1, 2)).T
    above = high > least
    bars(axis, centres[above], low[above], high[above], mark.colour, whole=False)
    axis.plot(
        centres, np.maximum(means, least), color=mark.colour, linestyle=mark.line if joined else "none", linewidth=1.0,
        marker=mark.marker, markersize=5.0 if mark.marker == "*" else 3.6,
        markerfacecolor=mark.colour if mark.filled else "white",
        markeredgecolor="white" if mark.filled else mark.colour, markeredgewidth=0.4 if mark.filled else 0.7, zorder=4,
    )  # fmt: skip
    return int(clipped.sum())


def _apart(axis: Axes, at: np.ndarray, spread: float) -> np.ndarray:
    """Spread the measurements of one place evenly, in the order of the table."""
    moved = at.copy()
    for place in np.unique(at):
        rows = np.flatnonzero(at == place)
        offsets = np.linspace(-0.5, 0.5, len(rows)) * spread if len(rows) > 1 else np.zeros(1)
        moved[rows] = place + offsets if axis.get_xscale() == "linear" else place * 2**offsets
    return moved


def _measurements(
    axis: Axes,
    at: np.ndarray,
    values: np.ndarray,
    shown: np.ndarray,
    clipped: np.ndarray,
    floor: float,
    mark: Mark,
    crowd: float,
) -> None:
    size, alpha = (4, 0.55) if crowd <= 30 else (2.5, 0.3) if crowd <= 100 else (1.5, 0.2)
    faint: dict[str, Any] = {"s": size, "linewidths": 0.4, "alpha": alpha, "zorder": 2, "gid": "measurement"}
    face = mark.colour if mark.filled else "none"
    axis.scatter(at[shown], values[shown], marker=mark.marker, facecolors=face, edgecolors=mark.colour, **faint)
    if clipped.any():
        floors = np.full(clipped.sum(), floor)
        axis.scatter(at[clipped], floors, marker="v", facecolors="none", edgecolors=mark.colour, **faint)


def handles(what: str, clipped: int = 0) -> list[Line2D]:
    """Return the legend entries that explain ``series``.

    Args:
        what: one measurement, such as "one pair".
        clipped: how many values were drawn at a floor.
    """
    bar: dict[str, Any] = {"color": GREY, "marker": "|", "markersize": 8, "linestyle": "none"}
    found = [
        Line2D([], [], color=GREY, marker="o", markersize=2, linestyle="none", alpha=0.7, label=what),
        Line2D([], [], **{**bar, "label": "mean: 95 % interval"}),
    ]
    if clipped:
        low = {"color": GREY, "marker": "v", "markersize": 2.5, "markerfacecolor": "none", "linestyle": "none"}
        found.append(Line2D([], [], **low, label="one path too low for the axis (≤)"))  # type: ignore[arg-type]
    return found


def split_handles() -> list[Line2D]:
    """Return the legend entries for train and test where they differ in filling alone."""
    grey: dict[str, Any] = {"color": GREY, "marker": "o", "linestyle": "none", "markersize": 4}
    return [
        Line2D([], [], **grey, label="train"),
        Line2D([], [], **grey, markerfacecolor="white", label="test"),
    ]


def columns_of(
    axis: Axes,
    table: DataFrame,
    column: str,
    places: Sequence[int],
    networks: Sequence[tuple[int, ...]],
    marks: Mapping[str, Mark],
    *,
    floor: float | None = None,
) -> int:
    """Draw categories that stand side by side, in each of them every method, train filled and test open.

    Args:
        axis: where to draw.
        table: the measurements, with the columns method and split.
        column: what is drawn.
        places: for each row its category, a place on the x axis; categories are 1 apart.
        networks: of each row.
        marks: for each method its mark.
        floor: as for ``series``.

    Returns:
        How many values were drawn at the floor.
    """
    at, members, clipped = np.asarray(places), pd.Series(list(networks), dtype=object), 0
    splits = [split for split in SPLITS if split in set(table["split"])]
    for place in np.unique(at):
        here = at == place
        methods = [method for method in marks if method in set(table["method"][here])]
        slots = [(method, split) for method in methods for split in splits]
        for slot, (method, split) in enumerate(slots):
            chosen = here & ((table["method"] == method) & (table["split"] == split)).to_numpy()
            mark = replace(marks[method], filled=split == splits[0])
            room = ROOM * len(slots) / max(len(slots), 4)
            centres = beside(axis, at[chosen], slot, len(slots), room)
            clipped += series(
                axis,
                table[chosen],
                column,
                mark,
                centres,
                np.array(members[chosen].tolist()),
                floor=floor,
                joined=False,
            )
    return clipped
