"""Barriers at every level of pruning, and the networks between which they lie, against density."""

from __future__ import annotations

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from pandas import DataFrame, concat

from onebasin.figures import style
from onebasin.figures.style import CONNECTED, Mark


@matplotlib.rc_context(style.STYLE)
def sparsity(frame: DataFrame) -> Figure:
    """Draw table `sparsity`: a row of panels per metric and model; barriers, then the networks themselves."""
    style.check(frame)
    models = style.unique(zip(frame["model"], frame["width"], strict=True))
    splits = [split for split in style.SPLITS if split in set(frame["split"])]
    rows = [(metric, *cell) for metric in style.BARRIERS for cell in models if metric in set(frame["metric"])]
    marks = _marks(frame)
    figure, axes = style.panels(len(rows), 2 * len(splits), 1.5)
    low = 0
    for (metric, model, width), line in zip(rows, axes, strict=True):
        part = frame[(frame["metric"] == metric) & (frame["model"] == model) & (frame["width"] == width)]
        for axis, split in zip(line, splits, strict=False):
            low += _barriers(axis, part, split, marks, metric)
        for axis, split in zip(line[len(splits) :], splits, strict=True):
            _networks(axis, part[part["split"] == split])
        for axis in line[1 : len(splits)]:
            axis.sharey(line[0])
        line[0].set_ylabel(f"{model}, width {width}\n{style.BARRIERS[metric]}")
        line[len(splits)].set_ylabel(style.METRICS[metric])
    for column, (top, bottom) in enumerate(zip(axes[0], axes[-1], strict=True)):
        top.set_title(f"{'barrier' if column < len(splits) else 'networks'}, {splits[column % len(splits)]}")
        bottom.set_xlabel("density")
    handles = [mark.handle() for mark in marks.values()]
    handles.append(Line2D([], [], color="black", linewidth=0.7, linestyle=(0, (6, 3)), label="0.02: connected"))
    handles += style.strip_handles("one pair, or one network")
    if low:
        handles.append(style.clip_handle())
    style.legend(figure, handles, 3)
    return figure


def _barriers(axis: Axes, part: DataFrame, split: str, marks: dict[tuple[str, str], Mark], metric: str) -> int:
    floor = style.barrier_axis(axis, part["barrier"], CONNECTED if metric == "error" else None)
    style.density_axis(axis, part["density"])
    low = 0
    for slot, ((method, permutation), mark) in enumerate(marks.items()):
        series = part[(part["split"] == split) & (part["method"] == method) & (part["permutation"] == permutation)]
        if len(series):
            low += style.strip(
                axis, series, "barrier", mark, slot=slot, slots=len(marks), floor=floor, against="density"
            )
    if metric == "error":
        axis.axhline(CONNECTED, color="black", linewidth=0.7, linestyle=(0, (6, 3)), zorder=1)
    return low


def _networks(axis: Axes, part: DataFrame) -> None:
    """Draw each network once: the ends of its paths are the same."""
    ends = concat(
        part[["density", seed, f"end_{seed}"]].set_axis(["density", "seed", "value"], axis=1) for seed in ("a", "b")
    )
    networks = ends.drop_duplicates(["density", "seed"])
    style.density_axis(axis, networks["density"])
    mark = Mark("", style.GREY)
    style.strip(axis, networks, "value", mark, slot=0, slots=1, against="density", networks=["seed"])
    style.from_zero(axis)


def _marks(frame: DataFrame) -> dict[tuple[str, str], Mark]:
    """One mark per method and permutation: the level's own is filled, the dense one open and dashed."""
    marks = {}
    for method, mark in style.method_marks(frame["method"]).items():
        if method == "none":
            marks[method, "none"] = mark
            continue
        marks[method, "level"] = Mark(f"of the level, {mark.label}", mark.colour, mark.marker)
        marks[method, "dense"] = Mark(f"dense, {mark.label}", mark.colour, mark.marker, False, (0, (4, 1.5)))
    return marks
