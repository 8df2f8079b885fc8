"""Barriers under permutations that were matched on several checkpoints at once."""

from __future__ import annotations

from typing import Any

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from pandas import DataFrame

from onebasin.figures import style
from onebasin.figures.style import GREY, LINES, OKABE_ITO, Mark
from onebasin.figures.trajectory import strip_at


@matplotlib.rc_context(style.STYLE)
def superposition(frame: DataFrame) -> Figure:
    """Draw table `superposition`: the error barrier on training images, one row of panels per model and width.

    First the end of training for single checkpoints and several at once, every pair drawn; then, for each method, means
    over pairs along training.
    """
    style.check(frame)
    frame = frame[(frame["metric"] == "error") & (frame["split"] == style.SPLITS[0]) & np.isfinite(frame["barrier"])]
    rows = style.unique(zip(frame["model"], frame["width"], strict=True))
    marks = style.method_marks(frame["method"])
    methods = [method for method in marks if method != "none"]
    figure, axes = style.panels(
        len(rows), 1 + len(methods), 1.9, sharey="row", width_ratios=[1.4] + [1.0] * len(methods)
    )
    for (model, width), line in zip(rows, axes, strict=True):
        part = frame[(frame["model"] == model) & (frame["width"] == width)]
        matched = sorted(set(part["matched"]) - {"none"}, key=lambda name: [name.count("+"), *_epochs(name)])
        _draw_end(line[0], part[part["epoch"] == part["epoch"].max()], matched, marks)
        for axis, method in zip(line[1:], methods, strict=True):
            _draw_along(axis, part[part["method"].isin([method, "none"])], matched)
        line[0].set_ylim(bottom=0)
        line[0].set_ylabel(f"{model}, width {width}\n{style.BARRIERS['error']}")
    axes[0][0].set_title("end of training")
    for axis, method in zip(axes[0][1:], methods, strict=True):
        axis.set_title(style.LABELS.get(method, method))
    axes[-1][0].set_xlabel("matched on the checkpoints of epochs")
    for axis in axes[-1][1:]:
        axis.set_xlabel("measured at epoch")
    several = [name for name in style.unique(frame["matched"]) if "+" in name]
    last = max((name for name in frame["matched"] if "+" not in name and name != "none"), key=int)
    handles = [mark.handle() for mark in marks.values()] + style.strip_handles("one pair")
    handles.append(Line2D([], [], color=GREY, linewidth=0.5, alpha=0.7, label="mean, matched on one other epoch"))
    handles.append(Line2D([], [], color="black", linewidth=1.2, label=f"mean, matched on epoch {last}"))
    handles += [
        Line2D([], [], color=colour, linestyle=line, linewidth=1.4, label=f"mean, matched on {_spell(name)}")
        for name, (colour, line) in _several(several).items()
    ]
    style.legend(figure, handles, 3)
    return figure


def _epochs(name: str) -> list[int]:
    return [int(epoch) for epoch in name.split("+")]


def _shorten(name: str) -> str:
    epochs = name.split("+")
    return "\n+".join(epochs) if len(epochs) < 3 else f"{epochs[0]}…{epochs[-1]}\n({len(epochs)})"


def _spell(name: str) -> str:
    return name.replace("+", " + ")


def _several(names: list[str]) -> dict[str, tuple[str, Any]]:
    """Colour and line of each set of epochs; the colours of the methods come first in the palette."""
    return {name: (OKABE_ITO[(index + 2) % 6], LINES[index % 6]) for index, name in enumerate(names)}


def _draw_end(axis: Axes, frame: DataFrame, matched: list[str], marks: dict[str, Mark]) -> None:
    for slot, (method, mark) in enumerate(marks.items()):
        part = frame[frame["method"] == method]
        if method == "none":
            axis.axhline(part["barrier"].mean(), color=mark.colour, linestyle=mark.line)
            continue
        shift = 0.3 * ((slot + 0.5) / len(marks) - 0.5)
        strip_at(axis, part, part["matched"].map(matched.index).astype(float) + shift, mark, joined=False)
    axis.set_xticks(range(len(matched)), [_shorten(name) for name in matched])
    singles = sum("+" not in name for name in matched)
    axis.axvline(singles - 0.5, color=GREY, linewidth=0.5)


def _draw_along(axis: Axes, frame: DataFrame, matched: list[str]) -> None:
    means = frame.groupby(["epoch", "matched"])["barrier"].mean().unstack()
    several = _several([name for name in matched if "+" in name])
    last = max((name for name in matched if "+" not in name), key=int)
    places = range(len(means))
    for name in means.columns:
        if name == "none":
            axis.plot(places, means[name], color=GREY, linestyle=(0, (1, 1)), marker="D", markersize=3)
        elif name in several:
            colour, line = several[name]
            axis.plot(places, means[name], color=colour, linestyle=line, linewidth=1.4, zorder=4)
        elif name == last:
            axis.plot(places, means[name], color="black", linewidth=1.2, zorder=3)
        else:
            axis.plot(places, means[name], color=GREY, linewidth=0.5, alpha=0.7)
    axis.set_xticks(list(places), [str(epoch) for epoch in means.index])
