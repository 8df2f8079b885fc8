"""Matching methods against width: similarity reached, time, memory, barrier left."""

from __future__ import annotations

from dataclasses import replace

import matplotlib
from matplotlib.figure import Figure
from pandas import DataFrame

from onebasin.figures import style

LEAST: dict[str, float] = {"seconds": 1e-6, "memory": 0.1}
"""Costs under these are not told apart."""


@matplotlib.rc_context(style.STYLE)
def methods(frame: DataFrame) -> Figure:
    """Draw table `methods`: one row per model; similarity, seconds, memory, and the error barrier on train and test.

    Methods for two networks leave a weak barrier, with filled marks, methods for n networks a strong one, open.
    """
    style.check(frame)
    models = style.unique(frame["model"])
    splits = [split for split in style.SPLITS if split in set(frame["split"])]
    marks = style.method_marks(frame["method"])
    for method in style.unique(frame.loc[frame["claim"] == "strong", "method"]):
        marks[method] = replace(marks[method], filled=False, label=f"{marks[method].label} (strong)")
    titles = ["similarity (cosine)", "seconds per pair", "memory (MB)"]
    titles += [f"error barrier, {split}" for split in splits]
    figure, axes = style.panels(len(models), len(titles), 1.7)
    errors = frame[frame["metric"] == "error"]
    low = 0
    for model, line in zip(models, axes, strict=True):
        part = errors[errors["model"] == model]
        matched = part[part["split"] == splits[0]]
        shown = [(matched, "similarity"), (matched, "seconds"), (matched[matched["memory"].notna()], "memory")]
        shown += [(part[part["split"] == split], "barrier") for split in splits]
        for axis, (cells, column) in zip(line, shown, strict=True):
            style.width_axis(axis, sorted(part["width"].unique()), every=2 if part["width"].nunique() > 4 else 1)
            floor = None
            if column == "barrier":
                floor = style.barrier_axis(axis, part["barrier"])
            elif column != "similarity" and len(cells):
                floor = LEAST[column]
                cost = cells[column].clip(lower=floor)
                style.log_axis(axis, cost.min() / 1.4, cost.max() * 1.4)
            for slot, (method, mark) in enumerate(marks.items()):
                series = cells[cells["method"] == method]
                if len(series):
                    hidden = style.strip(axis, series, column, mark, slot=slot, slots=len(marks), floor=floor)
                    low += hidden if column == "barrier" else 0
        line[0].set_ylabel(model)
    for top, bottom, title in zip(axes[0], axes[-1], titles, strict=True):
        top.set_title(title)
        bottom.set_xlabel("width")
    handles = [mark.handle() for mark in marks.values()] + style.strip_handles("one pair")
    if low:
        handles.append(style.clip_handle())
    style.legend(figure, handles, 4 if len(handles) == 4 else 3)
    return figure
