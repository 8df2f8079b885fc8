"""Barriers between networks that share their first epochs, against the number of these epochs."""

from __future__ import annotations

import matplotlib
from matplotlib.figure import Figure
from pandas import DataFrame

from onebasin.figures import style
from onebasin.figures.style import Mark


@matplotlib.rc_context(style.STYLE)
def instability(frame: DataFrame) -> Figure:
    """Draw table `instability`: one row of panels per metric and model, train and test side by side."""
    style.check(frame)
    splits = [split for split in style.SPLITS if split in set(frame["split"])]
    epochs = sorted(frame["shared"].unique())
    widths = sorted(frame["width"].unique())
    marks = {
        width: Mark(f"width {width}", style.OKABE_ITO[index % 6], "osP*hd"[index % 6], line=style.LINES[index % 6])
        for index, width in enumerate(widths)
    }
    figure, rows = style.barrier_panels(frame, splits, "shared epochs")
    for metric, part, line in rows:
        for axis, split in zip(line, splits, strict=True):
            shown = sorted(part["width"].unique())
            for slot, width in enumerate(shown):
                series = part[(part["split"] == split) & (part["width"] == width)]
                places = series["shared"].map(epochs.index) + 0.5 * ((slot + 0.5) / len(shown) - 0.5)
                style.places_strip(axis, series, "barrier", places, series[["seed"]].to_numpy(), marks[width])
            if metric == "error":
                style.connected(axis)
            axis.set_xticks(range(len(epochs)), [str(epoch) for epoch in epochs])
            axis.set_xlim(-0.5, len(epochs) - 0.5)
            axis.set_ylim(bottom=0)
    handles = [*(mark.handle() for mark in marks.values()), style.connected_handle()]
    style.legend(figure, [*handles, *style.strip_handles("one network and its child")], 3)
    return figure
