"""When in training, and in pruning, the permutation between two networks is decided."""

from __future__ import annotations

from typing import Any

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import BoundaryNorm, ListedColormap
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from pandas import DataFrame, Index, concat

from onebasin.figures import style
from onebasin.figures.style import GREY, OKABE_ITO
from onebasin.figures.trajectory import heat_map


@matplotlib.rc_context(style.STYLE)
def stability(frame: DataFrame) -> Figure:
    """Draw table `stability`: two rows of panels per model and width, one column per method.

    Above, the fixed points of all groups together for all pairs of stages, means over pairs of networks; below, those
    of each group against the end of training, every pair drawn, and the chance level 1/n of a group of n units.
    """
    style.check(frame)
    cells = style.unique(zip(frame["model"], frame["width"], strict=True))
    methods = list(style.method_marks(frame["method"]))
    figure, axes = style.panels(2 * len(cells), len(methods), 1.75, extra=0.4)
    for (model, width), above, below in zip(cells, axes[::2], axes[1::2], strict=True):
        part = frame[(frame["model"] == model) & (frame["width"] == width)]
        stages = sorted(style.unique(concat([part["first"], part["second"]])), key=_order)
        names = [_short(stage) for stage in stages]
        units = part.drop_duplicates("group").set_index("group")["units"].sort_index(key=_by_depth)
        colours = _colours(len(units))
        chance = len(units) / units.sum()
        for axis, method in zip(above, methods, strict=True):
            series = part[part["method"] == method]
            image = heat_map(axis, _overall(series, stages), names, names, 1.0)
            axis.set_title(f"{style.LABELS.get(method, method)}: chance {chance:.3f}", pad=3)
        for axis, method in zip(below, methods, strict=True):
            _draw_groups(axis, part[part["method"] == method], stages, dict(zip(units.index, colours, strict=True)))
            axis.set_ylim(0, 1.02)
            axis.set_xlabel("found at epoch" + (", or level of pruning (L)" if names[-1].startswith("L") else ""))
        above[0].set_ylabel(f"{model}, width {width}\nfound at epoch")
        below[0].set_ylabel(f"{model}, width {width}\nfixed against the end")
        figure.colorbar(image, ax=above, pad=0.02, aspect=14).set_label("fixed points, all groups")
        _name_groups(figure, list(below), [f"{name}: 1/{n}" for name, n in units.items()], colours)
    handles = [
        Line2D([], [], color=GREY, linewidth=0.4, alpha=0.6, label="one pair"),
        Line2D([], [], color=GREY, marker="o", markersize=3, label="mean over pairs"),
        Line2D([], [], color=GREY, linewidth=0.7, linestyle=(0, (1, 2)), label="chance, 1/n of n units"),
    ]
    style.legend(figure, handles, 3)
    return figure


def _order(stage: str) -> tuple[bool, int]:
    """Epochs in their order, then levels in theirs."""
    return stage.startswith("level"), int(stage.removeprefix("level").removeprefix("epoch"))


def _short(stage: str) -> str:
    return stage.removeprefix("epoch").replace("level", "L")


def _overall(frame: DataFrame, stages: list[str]) -> np.ndarray:
    """Fixed points of all groups together [stages, stages], means over pairs; a stage agrees with itself."""
    weighted = frame.assign(stay=frame["fixed"] * frame["units"]).groupby(["first", "second"])[["stay", "units"]].sum()
    values = np.eye(len(stages))
    for first, second, share in (weighted["stay"] / weighted["units"]).reset_index().itertuples(index=False):
        row, column = stages.index(first), stages.index(second)
        values[row, column] = values[column, row] = share
    return values


def _by_depth(names: Index) -> Index:
    """Sort keys that put layer 10 behind layer 9."""
    return names.str.replace(r"\d+", lambda number: number[0].zfill(9), regex=True)


def _colours(count: int) -> list[Any]:
    """Colours that are told apart where they are few, and go from first to last where they are many."""
    if count <= 6:
        return list(OKABE_ITO[:count])
    return list(matplotlib.colormaps["viridis"](np.linspace(0, 0.92, count)))


def _name_groups(figure: Figure, axes: list[Axes], labels: list[str], colours: list[Any]) -> None:
    """Draw the key of the colours beside a row of panels, first group on top, as high as the panels."""
    scale = ScalarMappable(BoundaryNorm(np.arange(len(labels) + 1) - 0.5, len(labels)), ListedColormap(colours))
    bar = figure.colorbar(scale, ax=axes, pad=0.02, aspect=14)
    every = 1 + (len(labels) - 1) // 16
    bar.set_ticks(range(0, len(labels), every), labels=labels[::every], fontsize=6 if len(labels) <= 6 else 5)
    bar.ax.tick_params(length=0)
    bar.ax.invert_yaxis()


def _draw_groups(axis: Axes, frame: DataFrame, stages: list[str], colours: dict[str, Any]) -> None:
    """Draw the fixed points of each group between the end of training and every other stage."""
    end = max((stage for stage in stages if stage.startswith("epoch")), key=_order)
    against = frame[(frame["first"] == end) | (frame["second"] == end)]
    other = against["first"].where(against["first"] != end, against["second"])
    against = against.assign(place=[stages.index(stage) for stage in other])
    for group, colour in colours.items():
        part = against[against["group"] == group]
        curves = part.pivot(index="place", columns=["a", "b"], values="fixed")
        axis.plot(curves.index, curves.to_numpy(), color=colour, linewidth=0.4, alpha=0.4, gid="measurement")
        axis.plot(curves.index, curves.mean(axis=1), color=colour, marker="o", markersize=3, zorder=3)
        axis.axhline(1 / part["units"].iloc[0], color=colour, linewidth=0.7, linestyle=(0, (1, 2)), zorder=1)
    axis.set_xticks(range(len(stages)), [_short(stage) for stage in stages])
