"""Barriers against width: without permutation, weak, strong."""

from __future__ import annotations

import matplotlib
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from pandas import DataFrame

from onebasin.figures import style
from onebasin.figures.style import Mark

CONNECTED = 0.02
"""Error barrier under which two networks count as linearly connected (Sharma et al. 2024)."""


@matplotlib.rc_context(style.STYLE)
def width(frame: DataFrame) -> Figure:
    """Draw table `width`: one row of panels per metric and model, train and test side by side, logarithmic axes."""
    style.check(frame)
    models = style.unique(frame["model"])
    splits = [split for split in style.SPLITS if split in set(frame["split"])]
    rows = [(metric, model) for metric in style.BARRIERS for model in models if metric in set(frame["metric"])]
    marks = _marks(frame)
    figure, axes = style.panels(len(rows), len(splits), 1.6, sharey="row")
    low = 0
    for (metric, model), line in zip(rows, axes, strict=True):
        part = frame[(frame["metric"] == metric) & (frame["model"] == model)]
        floor = style.barrier_axis(line[0], part["barrier"], CONNECTED if metric == "error" else None)
        for axis, split in zip(line, splits, strict=True):
            style.width_axis(axis, sorted(part["width"].unique()))
            for slot, ((method, claim), mark) in enumerate(marks.items()):
                series = part[(part["split"] == split) & (part["method"] == method) & (part["claim"] == claim)]
                if len(series):
                    low += style.strip(axis, series, "barrier", mark, slot=slot, slots=len(marks), floor=floor)
            if metric == "error":
                axis.axhline(CONNECTED, color="black", linewidth=0.7, linestyle=(0, (6, 3)), zorder=1)
        line[0].set_ylabel(f"{model}\n{style.BARRIERS[metric]}")
    for top, bottom, split in zip(axes[0], axes[-1], splits, strict=True):
        top.set_title(split)
        bottom.set_xlabel("width")
    handles = [mark.handle() for mark in marks.values()]
    handles.append(Line2D([], [], color="black", linewidth=0.7, linestyle=(0, (6, 3)), label="0.02: connected"))
    handles += style.strip_handles("one path")
    if low:
        handles.append(style.clip_handle())
    style.legend(figure, handles, 3)
    return figure


def _marks(frame: DataFrame) -> dict[tuple[str, str], Mark]:
    """One mark per method and claim: the method gives colour and shape; weak is filled, strong open and dashed."""
    marks = {}
    for method, mark in style.method_marks(frame["method"]).items():
        if method == "none":
            marks[method, "none"] = mark
            continue
        marks[method, "weak"] = Mark(f"weak, {mark.label}", mark.colour, mark.marker)
        marks[method, "strong"] = Mark(f"strong, {mark.label}", mark.colour, mark.marker, False, (0, (4, 1.5)))
    return marks
