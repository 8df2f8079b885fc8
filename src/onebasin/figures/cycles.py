"""Barriers against the length of paths and cycles of matched networks, and the fixed points of cycles."""

from __future__ import annotations

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from pandas import DataFrame, Series

from onebasin.figures import style
from onebasin.figures.categories import dots, handles
from onebasin.figures.style import CONNECTED


@matplotlib.rc_context(style.STYLE)
def cycles(frame: DataFrame) -> Figure:
    """Draw table `cycles`: for each model, barriers of error and loss against the length of paths and of cycles, and
    the fixed points of cycles, at the smallest, a middle and the largest width.
    """
    style.check(frame)
    # A cycle names the network where it begins and ends twice.
    frame = frame.assign(networks=frame["networks"].map(lambda names: tuple(dict.fromkeys(map(int, names.split("-"))))))
    models = style.unique(frame["model"])
    rows = [(model, what) for model in models for what in (*style.BARRIERS, "fixed_points")]
    marks = style.method_marks(frame["method"])
    ways = sorted({*zip(frame["kind"] == "cycle", frame["length"], strict=True)})
    widths = {model: style.chosen(frame.loc[frame["model"] == model, "width"]) for model in models}
    columns = max(map(len, widths.values()))
    figure, axes = style.panels(len(rows), columns, 1.3, sharey="row", extra=0.75)
    for (model, what), line in zip(rows, axes, strict=True):
        for axis in line[len(widths[model]) :]:
            axis.set_visible(False)
        part = frame[(frame["model"] == model) & frame["width"].isin(widths[model])]
        if what == "fixed_points":
            shown = [way for way in ways if way[0]]
            # The composition is the same whatever is measured with it.
            part = part[(part["kind"] == "cycle") & (part["metric"] == "error") & (part["split"] == "train")]
            label, floor = f"{model}\nfixed points", part["chance"].min() / 3 if len(part) else 0.0
        else:
            shown, part = ways, part[part["metric"] == what]
            label, floor = f"{model}\n{style.BARRIERS[what]}", _logarithmic(line[0], part["barrier"], what)
        for axis, width in zip(line, widths[model], strict=False):
            cell = part[part["width"] == width]
            places = [shown.index(way) for way in zip(cell["kind"] == "cycle", cell["length"], strict=True)]
            dots(axis, cell, "barrier" if what != "fixed_points" else what, places, marks, floor=floor)
            if what == "error":
                axis.axhline(CONNECTED, color="black", linewidth=0.7, linestyle=(0, (6, 3)), zorder=1)
                axis.set_title(f"width {width}", pad=2)
            _lengths(axis, shown)
            if what == "fixed_points" and len(cell):
                axis.axhline(cell["chance"].iloc[0], color=style.GREY, linewidth=0.8, linestyle=(0, (2, 1)), zorder=1)
                style.log_axis(axis, floor, 1.3)
        line[0].set_ylabel(label)
    entries = handles(marks, "one path or cycle")
    entries.append(Line2D([], [], color="black", linewidth=0.7, linestyle=(0, (6, 3)), label="0.02: connected"))
    entries.append(
        Line2D([], [], color=style.GREY, linewidth=0.8, linestyle=(0, (2, 1)), label="fixed points of random orders")
    )
    style.legend(figure, entries, 4)
    figure.supxlabel("permutations composed: along paths, and around cycles (↺)", fontsize=7.5)
    return figure


def _logarithmic(axis: Axes, barriers: Series, metric: str) -> float:
    return style.barrier_axis(axis, barriers, CONNECTED if metric == "error" else None)


def _lengths(axis: Axes, ways: list[tuple[bool, int]]) -> None:
    labels = [f"{length}↺" if cycle else str(length or "none") for cycle, length in ways]
    axis.set_xticks(range(len(ways)), labels)
    axis.set_xlim(-0.5, len(ways) - 0.5)
    paths = np.sum([not cycle for cycle, _ in ways])
    if 0 < paths < len(ways):
        axis.axvline(paths - 0.5, color=style.GREY, linewidth=0.5)
