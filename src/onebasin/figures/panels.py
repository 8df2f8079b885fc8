"""Panels and their axes: grids of panels, scales of width, density and barriers, the threshold of connection."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FixedLocator, FuncFormatter, LogLocator, NullFormatter, NullLocator
from pandas import DataFrame, Series

from onebasin.figures.style import BARRIERS, STYLE, WIDTH, unique
from onebasin.landscape.barrier import CONNECTED

FLOOR = 1e-3
"""No barrier is drawn lower than this on a logarithmic axis."""

_CONNECTED: dict[str, Any] = {"color": "black", "linewidth": 0.7, "linestyle": (0, (6, 3))}


def grid(rows: int, columns: int, row_height: float, *, extra: float = 0.45, **kwargs: Any) -> tuple[Figure, Any]:
    """Return a figure with a grid of axes [rows, columns].

    Args:
        rows: of panels.
        columns: of panels.
        row_height: inches.
        extra: inches for legend and titles.
        kwargs: of ``Figure.subplots``.
    """
    figure = Figure(figsize=(WIDTH, rows * row_height + extra), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots(rows, columns, squeeze=False, **kwargs)
    for axis in axes.flat:
        # Ticks are made when they are drawn, which may be outside the style.
        axis.tick_params(labelsize=STYLE["xtick.labelsize"], width=STYLE["xtick.major.width"])
    return figure, axes


def barriers(
    table: DataFrame, columns: Sequence[str], xlabel: str, **kwargs: Any
) -> tuple[Figure, list[tuple[str, DataFrame, Any]]]:
    """Return a figure of barriers: one row of panels for each metric and model of the table, and titled columns.

    Returns:
        The figure and, for each row, its metric, its part of the table, and its axes, which share their y axis.
    """
    models = unique(table["model"])
    rows = [(metric, model) for metric in BARRIERS for model in models if metric in set(table["metric"])]
    figure, axes = grid(len(rows), len(columns), 1.6, sharey="row", **kwargs)
    for top, bottom, title in zip(axes[0], axes[-1], columns, strict=True):
        top.set_title(title)
        bottom.set_xlabel(xlabel)
    parts = []
    for (metric, model), line in zip(rows, axes, strict=True):
        line[0].set_ylabel(f"{model}\n{BARRIERS[metric]}")
        parts.append((metric, table[(table["metric"] == metric) & (table["model"] == model)], line))
    return figure, parts


def connected(axis: Axes) -> None:
    """Draw the error barrier under which two networks count as connected."""
    axis.axhline(CONNECTED, zorder=1, **_CONNECTED)


def connected_handle() -> Line2D:
    """Return its legend entry."""
    return Line2D([], [], label=f"{CONNECTED}: connected", **_CONNECTED)


def step(values: Sequence[float]) -> float:
    """Return the smallest distance between neighbours on a logarithmic axis, in powers of two."""
    logs = np.log2(np.unique(np.asarray(values, dtype=float)))
    return float(np.diff(logs).min()) if len(logs) > 1 else 1.0


def width_axis(axis: Axes, widths: Sequence[int], *, every: int = 1) -> None:
    """Make the x axis logarithmic, with a tick at every width, and a number at every `every`-th, the largest too."""
    numbered = set(list(widths)[::-1][::every])
    axis.set_xscale("log", base=2)
    axis.xaxis.set_major_locator(FixedLocator(list(widths)))
    axis.xaxis.set_minor_locator(NullLocator())
    axis.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}" if value in numbered else ""))
    margin = 2 ** (0.6 * step(widths))
    axis.set_xlim(min(widths) / margin, max(widths) * margin)


def density_axis(axis: Axes, densities: Series, *, labels: int = 5) -> None:
    """Make the x axis logarithmic, from dense to sparse, with a tick at every density and at most `labels` numbers."""
    ordered = sorted(densities.unique())
    numbered = ordered[:: -(-len(ordered) // labels)]
    axis.set_xscale("log", base=2)
    axis.xaxis.set_major_locator(FixedLocator(ordered))
    axis.xaxis.set_minor_locator(NullLocator())
    axis.xaxis.set_major_formatter(
        FuncFormatter(lambda value, _: f"{value:.2g}".lstrip("0") if value in numbered else "")
    )
    margin = 2 ** (0.6 * step(ordered))
    axis.set_xlim(max(ordered) * margin, min(ordered) / margin)


def from_zero(axis: Axes) -> None:
    """Let the y axis begin at 0, with room above what is drawn."""
    axis.set_ylim(0, 1.05 * axis.get_ylim()[1])


def log_axis(axis: Axes, low: float, high: float, *, floor: float | None = None) -> None:
    """Make the y axis logarithmic from `low` to `high`, with plain numbers; the tick at `floor` is marked as ≤."""
    axis.set_yscale("log")
    axis.set_ylim(low, high)
    decades = np.log10(high / low)
    steps = (1.0, 2.0, 5.0) if decades < 1.7 else (1.0, 3.0) if decades < 2.7 else (1.0,)
    axis.yaxis.set_major_locator(LogLocator(subs=steps, numticks=50))
    axis.yaxis.set_minor_locator(LogLocator(subs=range(2, 10), numticks=50))
    axis.yaxis.set_minor_formatter(NullFormatter())
    axis.yaxis.set_major_formatter(
        FuncFormatter(lambda value, _: f"≤ {value:g}" if floor and np.isclose(value, floor) else f"{value:g}")
    )


def barrier_axis(axis: Axes, barriers: Series, metric: str = "") -> float:
    """Make the y axis logarithmic, for barriers; for those of the error, 0.02 is in the picture.

    Returns:
        Its floor, at which what lies below, 0 too, is to be drawn: the power of ten under all barriers of at least
        `FLOOR` where smaller ones have to be drawn there, and the end of the axis otherwise.
    """
    values = barriers[np.isfinite(barriers)].to_numpy(dtype=float)
    above = [*values[values >= FLOOR], *([CONNECTED] if metric == "error" else [])] or [1.0]
    floor = 10.0 ** np.floor(np.log10(min(above)) + 1e-9)
    hidden = bool((values < floor).any())
    end = (floor if hidden else min(above)) / 1.4
    log_axis(axis, end, max(above) * 1.4, floor=floor if hidden else None)
    return float(floor if hidden else end)
