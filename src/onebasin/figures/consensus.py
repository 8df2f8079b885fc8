"""Networks in one frame, against their number: barriers between and among them, and the accuracy of their mean."""

from __future__ import annotations

import matplotlib
import numpy as np
from matplotlib.figure import Figure
from pandas import DataFrame

from onebasin.figures import style

QUANTITIES = {"line": "pairs", "simplex": "simplex", "mean": "mean"}
"""What is mixed, in the order of the rows, to its name."""


@matplotlib.rc_context(style.STYLE)
def consensus(frame: DataFrame) -> Figure:
    """Draw table `consensus`: error barriers of pairs and simplices, and the accuracy of the mean, on the test images.

    One row of panels per model and quantity; columns are the smallest, a middle and the largest width, each under every
    correction.
    """
    style.check(frame)
    frame = frame[(frame["split"] == "test") & (frame["metric"] == "error")]
    frame = frame.assign(accuracy=1 - frame["value"])
    models = style.unique(frame["model"])
    corrections = style.unique(frame["correction"])
    widths = {model: style.chosen(frame.loc[frame["model"] == model, "width"]) for model in models}
    columns = max(map(len, widths.values())) * len(corrections)
    marks = style.method_marks(frame["method"])
    counts = sorted(frame["count"].unique())
    rows = [(model, over) for model in models for over in QUANTITIES]
    figure, axes = style.panels(len(rows), columns, 1.25, sharey="row", sharex=True)
    for (model, over), line in zip(rows, axes, strict=True):
        cells = [(width, correction) for width in widths[model] for correction in corrections]
        for axis in line[len(cells) :]:
            axis.set_visible(False)
        part = frame[(frame["model"] == model) & (frame["over"] == over)]
        for axis, (width, correction) in zip(line, cells, strict=False):
            shown = part[(part["width"] == width) & (part["correction"] == correction)]
            for slot, (method, mark) in enumerate(marks.items()):
                series = shown[shown["method"] == method]
                places = series["count"] + 0.7 * ((slot + 0.5) / len(marks) - 0.5)
                # Sets of networks do not all have as many; what is unknown is a network of its own.
                members = np.array([[*map(int, text.split("-")), -1, -1][:2] for text in series["mixed"]])
                column = "accuracy" if over == "mean" else "barrier"
                bars = members if over == "line" else np.arange(len(series))[:, None]
                style.places_strip(axis, series, column, places, bars, mark)
            axis.set_xticks(counts)
            axis.tick_params(labelbottom=True)
            if over == "line":
                name = "uncorrected" if correction == "none" else correction
                axis.set_title(f"width {width}" + (f"\n{name}" if len(corrections) > 1 else ""))
            if over == "mean":
                axis.set_xlabel("networks")
            else:
                style.connected(axis)
        label = "test accuracy" if over == "mean" else "error barrier"
        line[0].set_ylabel(f"{model}, {QUANTITIES[over]}\n{label}")
        line[0].set_ylim(0, 1.02 if over == "mean" else None)
    handles = [*(mark.handle() for mark in marks.values()), style.connected_handle()]
    style.legend(figure, [*handles, *style.strip_handles("one measurement")], 4)
    return figure
