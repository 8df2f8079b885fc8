"""Barriers between networks that share their first epochs, against the number of these epochs."""

from __future__ import annotations

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from pandas import DataFrame

from onebasin.figures import style
from onebasin.figures.interval import bootstrap
from onebasin.figures.style import Mark
from onebasin.figures.width import CONNECTED


@matplotlib.rc_context(style.STYLE)
def instability(frame: DataFrame) -> Figure:
    """Draw table `instability`: one row of panels per metric and model, train and test side by side."""
    style.check(frame)
    models = style.unique(frame["model"])
    splits = [split for split in style.SPLITS if split in set(frame["split"])]
    rows = [(metric, model) for metric in style.BARRIERS for model in models if metric in set(frame["metric"])]
    epochs = sorted(frame["shared"].unique())
    widths = sorted(frame["width"].unique())
    marks = {
        width: Mark(f"width {width}", style.OKABE_ITO[index % 6], "osP*hd"[index % 6], line=style.LINES[index % 6])
        for index, width in enumerate(widths)
    }
    figure, axes = style.panels(len(rows), len(splits), 1.6, sharey="row")
    for (metric, model), line in zip(rows, axes, strict=True):
        part = frame[(frame["metric"] == metric) & (frame["model"] == model)]
        for axis, split in zip(line, splits, strict=True):
            shown = sorted(part["width"].unique())
            for slot, width in enumerate(shown):
                series = part[(part["split"] == split) & (part["width"] == width)]
                _strip(axis, series, epochs, marks[width], 0.5 * ((slot + 0.5) / len(shown) - 0.5))
            if metric == "error":
                axis.axhline(CONNECTED, color="black", linewidth=0.7, linestyle=(0, (6, 3)), zorder=1)
            axis.set_xticks(range(len(epochs)), [str(epoch) for epoch in epochs])
            axis.set_xlim(-0.5, len(epochs) - 0.5)
            axis.set_ylim(bottom=0)
        line[0].set_ylabel(f"{model}\n{style.BARRIERS[metric]}")
    for top, bottom, split in zip(axes[0], axes[-1], splits, strict=True):
        top.set_title(split)
        bottom.set_xlabel("shared epochs")
    handles = [mark.handle() for mark in marks.values()]
    handles.append(Line2D([], [], color="black", linewidth=0.7, linestyle=(0, (6, 3)), label="0.02: connected"))
    style.legend(figure, [*handles, *style.strip_handles("one network and its child")], 3)
    return figure


def _strip(axis: Axes, frame: DataFrame, epochs: list[int], mark: Mark, shift: float) -> None:
    """Draw one series against the shared epochs, evenly spaced: each barrier small, their mean large, its interval."""
    finite = frame[np.isfinite(frame["barrier"])]
    if len(finite) < len(frame):
        axis.annotate(
            f"{len(frame) - len(finite)} × {mark.label}: not finite", (0.5 + shift, 0.9),
            xycoords="axes fraction", fontsize=6, color=mark.colour, ha="center",
        )  # fmt: skip
    places = finite["shared"].map(epochs.index) + shift
    axis.scatter(
        places, finite["barrier"], s=4, color=mark.colour, marker=mark.marker, alpha=0.6, linewidths=0.4,
        gid="measurement",
    )  # fmt: skip
    groups = finite.groupby(places)
    bars = [bootstrap(group["barrier"].to_numpy(), group[["seed"]].to_numpy()) for _, group in groups]
    axis.vlines(list(groups.groups), *np.reshape(bars, (-1, 2)).T, color=mark.colour, linewidth=1.0)
    axis.plot(
        groups["barrier"].mean(), color=mark.colour, linestyle=mark.line, linewidth=1.0, marker=mark.marker,
        markersize=3.6, markeredgecolor="white", markeredgewidth=0.4,
    )  # fmt: skip
