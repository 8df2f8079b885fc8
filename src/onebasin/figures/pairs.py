"""Interpolation curves of every pair, before and after matching."""

from __future__ import annotations

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from pandas import DataFrame

from onebasin.figures import style
from onebasin.figures.style import GREY, Mark


@matplotlib.rc_context(style.STYLE)
def pairs(frame: DataFrame) -> Figure:
    """Draw table `pairs`: one row of panels per model and metric; train and test of the smallest, a middle and the
    largest width as columns; each pair thin, the mean over pairs bold.

    Args:
        frame: the table, as ``tables.read`` gives it.

    Raises:
        ValueError: for a table without rows.
    """
    frame = frame[frame["claim"].isin(["none", "weak"])]
    style.check(frame)
    models = style.unique(frame["model"])
    splits = [split for split in style.SPLITS if split in set(frame["split"])]
    widths = {model: style.chosen(frame.loc[frame["model"] == model, "width"]) for model in models}
    rows = [(model, metric) for model in models for metric in style.METRICS]
    marks = style.method_marks(frame["method"])
    columns = max(map(len, widths.values())) * len(splits)
    figure, axes = style.panels(len(rows), columns, 1.35, sharey="row")
    for (model, metric), line in zip(rows, axes, strict=True):
        cells = [(width, split) for width in widths[model] for split in splits]
        for axis in line[len(cells) :]:
            axis.set_visible(False)
        for axis, (width, split) in zip(line, cells, strict=False):
            part = frame[(frame["model"] == model) & (frame["width"] == width) & (frame["split"] == split)]
            for method, mark in marks.items():
                _draw(axis, part[part["method"] == method], metric, mark)
            axis.set_xlim(0, 1)
            axis.set_xticks([0, 0.5, 1], ["0", "½", "1"])
            if metric == next(iter(style.METRICS)):
                axis.set_title(f"width {width}, {split}")
        line[0].set_ylim(bottom=0)
        line[0].set_ylabel(f"{model}\n{style.METRICS[metric]}")
    for axis in axes[-1]:
        axis.set_xlabel("α")
    handles = [mark.handle(marker="", linewidth=1.6) for mark in marks.values()]
    handles.append(Line2D([], [], color=GREY, linewidth=0.5, alpha=0.6, label="one pair (bold: mean)"))
    style.legend(figure, handles, len(handles))
    return figure


def _draw(axis: Axes, part: DataFrame, metric: str, mark: Mark) -> None:
    if part.empty:
        return
    curves = part.pivot(index="alpha", columns=["a", "b"], values=metric)
    axis.plot(curves.index, curves.to_numpy(), color=mark.colour, linewidth=0.5, alpha=0.45, gid="measurement")
    axis.plot(curves.index, curves.mean(axis=1), color=mark.colour, linewidth=1.6, linestyle=mark.line, zorder=3)
