"""Barriers between wide networks and padded narrow ones, against the width before padding."""

from __future__ import annotations

import matplotlib
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from pandas import DataFrame

from onebasin.figures import style
from onebasin.figures.style import CONNECTED


@matplotlib.rc_context(style.STYLE)
def embedding(frame: DataFrame) -> Figure:
    """Draw table `embedding`: one row of panels per metric and model, train and test side by side, logarithmic axes."""
    style.check(frame)
    models = style.unique(frame["model"])
    splits = [split for split in style.SPLITS if split in set(frame["split"])]
    rows = [(metric, model) for metric in style.BARRIERS for model in models if metric in set(frame["metric"])]
    marks = style.method_marks(frame["method"])
    # A wide and a narrow network of the same seed are two networks: the interval must tell them apart.
    drawn = frame.assign(wide=frame["width"], width=frame["narrow"], b=frame["b"] + frame["a"].max() + 1)
    figure, axes = style.panels(len(rows), len(splits), 1.6, sharey="row")
    low = 0
    for (metric, model), line in zip(rows, axes, strict=True):
        part = drawn[(drawn["metric"] == metric) & (drawn["model"] == model)]
        floor = style.barrier_axis(line[0], part["barrier"], CONNECTED if metric == "error" else None)
        for axis, split in zip(line, splits, strict=True):
            style.width_axis(axis, sorted(part["width"].unique()))
            for slot, (method, mark) in enumerate(marks.items()):
                series = part[(part["split"] == split) & (part["method"] == method)]
                if len(series):
                    low += style.strip(axis, series, "barrier", mark, slot=slot, slots=len(marks), floor=floor)
            if metric == "error":
                axis.axhline(CONNECTED, color="black", linewidth=0.7, linestyle=(0, (6, 3)), zorder=1)
        line[0].set_ylabel(f"{model}, in width {part['wide'].iloc[0]}\n{style.BARRIERS[metric]}")
    for top, bottom, split in zip(axes[0], axes[-1], splits, strict=True):
        top.set_title(split)
        bottom.set_xlabel("width of the padded network")
    handles = [mark.handle() for mark in marks.values()]
    handles.append(Line2D([], [], color="black", linewidth=0.7, linestyle=(0, (6, 3)), label="0.02: connected"))
    handles += style.strip_handles("one wide and one padded network")
    if low:
        handles.append(style.clip_handle())
    style.legend(figure, handles, 3)
    return figure
