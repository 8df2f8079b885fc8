"""Matching methods against width: similarity reached, time, barrier left."""

from __future__ import annotations

import matplotlib
from matplotlib.figure import Figure
from pandas import DataFrame

from onebasin.figures import style


@matplotlib.rc_context(style.STYLE)
def methods(frame: DataFrame) -> Figure:
    """Draw table `methods`: one row per model; similarity, seconds, and the error barrier on train and test."""
    style.check(frame)
    models = style.unique(frame["model"])
    splits = [split for split in style.SPLITS if split in set(frame["split"])]
    marks = style.method_marks(frame["method"])
    titles = ["similarity (cosine)", "seconds per pair", *(f"error barrier, {split}" for split in splits)]
    figure, axes = style.panels(len(models), len(titles), 1.7)
    errors = frame[frame["metric"] == "error"]
    low = 0
    for model, line in zip(models, axes, strict=True):
        part = errors[errors["model"] == model]
        matched = part[part["split"] == splits[0]]
        shown = [(matched, "similarity"), (matched, "seconds")]
        shown += [(part[part["split"] == split], "barrier") for split in splits]
        for axis, (cells, column) in zip(line, shown, strict=True):
            style.width_axis(axis, sorted(part["width"].unique()), every=2 if part["width"].nunique() > 4 else 1)
            floor = None
            if column == "barrier":
                floor = style.barrier_axis(axis, part["barrier"])
            elif column == "seconds":
                seconds = cells["seconds"].clip(lower=1e-6)
                style.log_axis(axis, seconds.min() / 1.4, seconds.max() * 1.4)
            for slot, (method, mark) in enumerate(marks.items()):
                series = cells[cells["method"] == method]
                if len(series):
                    low += style.strip(axis, series, column, mark, slot=slot, slots=len(marks), floor=floor)
        line[0].set_ylabel(model)
    for top, bottom, title in zip(axes[0], axes[-1], titles, strict=True):
        top.set_title(title)
        bottom.set_xlabel("width")
    handles = [mark.handle() for mark in marks.values()] + style.strip_handles("one pair")
    if low:
        handles.append(style.clip_handle())
    style.legend(figure, handles, 4 if len(handles) == 4 else 3)
    return figure
