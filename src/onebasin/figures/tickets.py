"""Networks that were trained again under their own mask and under those of others, against density."""

from __future__ import annotations

from typing import Any

import matplotlib
from matplotlib.figure import Figure
from pandas import DataFrame

from onebasin.figures import style
from onebasin.figures.style import Mark

TITLES = {
    ("test", "error"): "test accuracy",
    ("train", "error"): "train accuracy",
    ("test", "loss"): "test loss (nats)",
    ("train", "loss"): "train loss (nats)",
}


@matplotlib.rc_context(style.STYLE)
def tickets(frame: DataFrame) -> Figure:
    """Draw table `tickets`: one row of panels per model; accuracy and loss, test and train."""
    style.check(frame)
    frame = frame.assign(
        **{f"{split}_accuracy": 1 - frame[f"{split}_error"] for split in style.SPLITS},
    )
    models = style.unique(zip(frame["model"], frame["width"], strict=True))
    marks = _marks(frame)
    figure, axes = style.panels(len(models), len(TITLES), 2.0)
    for (model, width), line in zip(models, axes, strict=True):
        part = frame[(frame["model"] == model) & (frame["width"] == width)]
        for axis, (split, metric) in zip(line, TITLES, strict=True):
            style.density_axis(axis, part["density"])
            column = f"{split}_accuracy" if metric == "error" else f"{split}_loss"
            for slot, ((mask, method), mark) in enumerate(marks.items()):
                series = part[(part["mask"] == mask) & (part["method"] == method)]
                networks = ["seed"] if mask == "own" else ["source", "seed"]
                if len(series):
                    place: Any = {"slot": slot, "slots": len(marks), "against": "density", "networks": networks}
                    style.strip(axis, series, column, mark, **place)
            if metric == "loss":
                style.from_zero(axis)
        line[0].set_ylabel(f"{model}, width {width}")
    for top, bottom, title in zip(axes[0], axes[-1], TITLES.values(), strict=True):
        top.set_title(title)
        bottom.set_xlabel("density")
    handles = [mark.handle() for mark in marks.values()]
    style.legend(figure, [*handles, *style.strip_handles("one network under one mask")], 3)
    return figure


def _marks(frame: DataFrame) -> dict[tuple[str, str], Mark]:
    """One mark per mask; a permuted one has the colour of its method."""
    marks = {("own", "none"): Mark("own mask", "black", marker="^")}
    for method, mark in style.method_marks(frame["method"]).items():
        if method != "none":
            marks["permuted", method] = Mark(f"another's, {mark.label}", mark.colour, mark.marker)
    marks["unpermuted", "none"] = Mark("another's, not permuted", style.GREY, "D", line=(0, (1, 1)))
    marks["random", "none"] = Mark("random", style.OKABE_ITO[3], "X", False, (0, (5, 1, 1, 1)))
    return marks
