"""Barriers against width: without permutation, weak, strong."""

from __future__ import annotations

import matplotlib
from matplotlib.figure import Figure
from pandas import DataFrame

from onebasin.figures import style


@matplotlib.rc_context(style.STYLE)
def width(frame: DataFrame) -> Figure:
    """Draw table `width`: one row of panels per metric and model; weak and strong, train and test side by side.

    Both axes are logarithmic. Barriers without a permutation stand beside the weak and beside the strong ones.
    """
    style.check(frame)
    splits = [split for split in style.SPLITS if split in set(frame["split"])]
    claims = [claim for claim in ("weak", "strong") if claim in set(frame["claim"])] or ["none"]
    columns = [(claim, split) for claim in claims for split in splits]
    methods = style.method_marks(frame["method"])
    figure, rows = style.barrier_panels(frame, [f"{claim}, {split}" for claim, split in columns], "width")
    low = 0
    for metric, part, line in rows:
        floor = style.barrier_axis(line[0], part["barrier"], style.CONNECTED if metric == "error" else None)
        for axis, (claim, split) in zip(line, columns, strict=True):
            cells = part[(part["split"] == split) & part["claim"].isin(["none", claim])]
            widths = sorted(part["width"].unique())
            style.width_axis(axis, widths, every=2 if len(widths) > 4 and len(columns) > 2 else 1)
            marks = {name: mark for name, mark in methods.items() if name in set(cells["method"])}
            for slot, (method, mark) in enumerate(marks.items()):
                series = cells[cells["method"] == method]
                low += style.strip(axis, series, "barrier", mark, slot=slot, slots=len(marks), floor=floor)
            if metric == "error":
                style.connected(axis)
    handles = [*(mark.handle() for mark in methods.values()), style.connected_handle()]
    handles += style.strip_handles("one path")
    if low:
        handles.append(style.clip_handle())
    style.legend(figure, handles, 3)
    return figure
