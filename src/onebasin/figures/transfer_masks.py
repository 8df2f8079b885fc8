"""Networks of the second data set that were trained dense and under masks found on the first."""

from __future__ import annotations

import matplotlib
import pandas as pd
from matplotlib.figure import Figure
from pandas import DataFrame

from onebasin.figures import style
from onebasin.figures.categories import dots, handles
from onebasin.figures.style import Mark


@matplotlib.rc_context(style.STYLE)
def transfer_masks(frame: DataFrame) -> Figure:
    """Draw table `transfer_masks`: for each model and width, accuracy and loss on the second data set by mask."""
    style.check(frame)
    marks = _marks(frame)
    networks = [(b,) if mask == "none" else (a, b) for mask, a, b in frame[["mask", "source", "seed"]].to_numpy()]
    named = frame["mask"].where(frame["mask"] != "permuted", frame["method"])
    frame = frame.assign(networks=pd.Series(networks, index=frame.index), method=named.replace("none", "dense"))
    cells = style.unique(zip(frame["model"], frame["width"], strict=True))
    figure, axes = style.panels(len(cells), 2, 1.9, extra=0.6)
    for (model, width), line in zip(cells, axes, strict=True):
        part = frame[(frame["model"] == model) & (frame["width"] == width)]
        for axis, metric in zip(line, ("error", "loss"), strict=True):
            long = pd.concat(part.assign(split=split, value=part[f"{split}_{metric}"]) for split in style.SPLITS)
            if metric == "error":
                long["value"] = 1 - long["value"]
            dots(axis, long, "value", long["method"].map(list(marks).index), marks)
            axis.set_xticks(range(len(marks)), list(marks))
            axis.set_xlim(-0.5, len(marks) - 0.5)
            axis.axvline(0.5, color=style.GREY, linewidth=0.5)
            if metric == "loss":
                style.from_zero(axis)
        sparse = part.loc[part["mask"] != "none", "density"].iloc[0]
        line[0].set_ylabel(f"{model}, width {width}\ndensity {sparse:.2g}")
    for axis, title in zip(axes[0], ("accuracy", "loss (nats)"), strict=True):
        axis.set_title(title)
    style.legend(figure, handles(marks, "one network under one mask"), 3)
    figure.supxlabel("mask from the first data set, under which a network is trained on the second", fontsize=7.5)
    return figure


def _marks(frame: DataFrame) -> dict[str, Mark]:
    """One mark per mask, by its name on the axis; a permuted one has the colour of its method."""
    marks = {"dense": Mark("no mask: dense", "black", "^")}
    for method, mark in style.method_marks(frame["method"]).items():
        if method != "none":
            marks[method] = Mark(f"another's, {mark.label}", mark.colour, mark.marker)
    marks["unpermuted"] = Mark("another's, not permuted", style.GREY, "D")
    marks["random"] = Mark("random", style.OKABE_ITO[3], "X")
    return marks
