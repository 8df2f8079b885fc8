"""The loss on the triangle between three networks, before and after matching."""

from __future__ import annotations

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LogNorm
from matplotlib.contour import ContourSet
from matplotlib.figure import Figure
from matplotlib.patches import Polygon
from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator
from matplotlib.tri import Triangulation
from pandas import DataFrame, Series

from onebasin.figures import style

CORNERS = np.array([[0.0, 0.0], [1.0, 0.0], [0.5, 3**0.5 / 2]])
"""Positions of networks a, b, c: an equilateral triangle of side 1."""


@matplotlib.rc_context(style.STYLE)
def simplex(frame: DataFrame) -> Figure:
    """Draw four triangles of table `simplex` for each model and width, by the training loss.

    They are the one without permutation, the one of networks aligned to the first, that of a universe or another common
    frame, and the one with the lowest barrier of all; where there are several of a kind, the one with the lowest. All
    share one logarithmic colour scale, cut at a thousandth of its largest value.
    """
    style.check(frame)
    frame = frame[frame["split"] == (style.SPLITS[0] if style.SPLITS[0] in set(frame["split"]) else style.SPLITS[1])]
    rows = style.unique(zip(frame["model"], frame["width"], strict=True))
    kinds = {kind: _of_kind(frame, kind) for kind in _KINDS}
    columns = [kind for kind, part in kinds.items() if len(part)]
    loss = frame["loss"].to_numpy(dtype=float)
    high = loss[np.isfinite(loss)].max()
    low = max(loss[np.isfinite(loss)].min(), high / 1000)
    levels = np.geomspace(low, high * 1.001, 25)
    side = (style.WIDTH - 1.0) / max(len(columns), 3)
    figure, axes = style.panels(len(rows), len(columns), side, extra=0.55)
    drawn: list[ContourSet] = []
    for (model, width), line in zip(rows, axes, strict=True):
        for axis, kind in zip(line, columns, strict=True):
            axis.set_axis_off()
            part = kinds[kind][(kinds[kind]["model"] == model) & (kinds[kind]["width"] == width)]
            if len(part):
                best = _first(part[part["rank"] == part["rank"].min()])
                drawn.append(_triangle(axis, best, levels))
                axis.set_title(_title(kind, best.iloc[0]))
        line[0].annotate(
            f"{model}, width {width}", (-0.12, 0.5), xycoords="axes fraction", rotation=90, ha="center", va="center"
        )
    bar = figure.colorbar(drawn[-1], ax=axes, shrink=0.8 if len(rows) == 1 else 0.6, aspect=25, pad=0.02)
    bar.set_label(f"{frame['split'].iloc[0]} loss (nats)")
    bar.ax.yaxis.set_major_locator(LogLocator(subs=(1.0, 3.0) if high / low < 200 else (1.0,)))
    bar.ax.yaxis.set_minor_locator(NullLocator())
    bar.ax.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    bar.outline.set_linewidth(0.6)
    return figure


_KINDS = {"none": "no permutation", "first": "aligned to the first", "frame": "common frame", "best": "lowest barrier"}


def _of_kind(frame: DataFrame, kind: str) -> DataFrame:
    """The triangles among which a picture is chosen."""
    if kind == "none":
        return frame[frame["claim"] == "none"]
    if kind == "first":
        return frame[frame["claim"] == "weak"]
    if kind == "frame":
        common = frame[(frame["claim"] == "strong") & frame["reference"].isna()]
        universe = common[common["algorithm"] == "universe"]
        return universe if len(universe) else common
    return frame[frame["claim"] != "none"]


def _title(kind: str, row: Series) -> str:
    if kind == "none":
        return _KINDS[kind]
    claim = {"weak": " (weak)", "strong": " (strong)"}[row["claim"]] if kind == "best" else ""
    return f"{_KINDS[kind]}{claim}\n{style.LABELS.get(row['method'], row['method'])}"


def _first(part: DataFrame) -> DataFrame:
    """The grid points of the first triangle in the table."""
    key = ["reference", "a", "b", "c"]
    first = part[key].iloc[0]
    same = (part[key] == first) | (part[key].isna() & first.isna())
    return part[same.all(axis=1)]


def _triangle(axis: Axes, points: DataFrame, levels: np.ndarray) -> ContourSet:
    weights = points[["weight_a", "weight_b", "weight_c"]].to_numpy(dtype=float)
    loss = points["loss"].to_numpy(dtype=float)
    grid = Triangulation(*(weights @ CORNERS).T)
    shown = np.clip(np.nan_to_num(loss, nan=levels[-1], posinf=levels[-1]), levels[0], levels[-1])
    contours = axis.tricontourf(grid, shown, levels=levels, cmap="viridis", norm=LogNorm(levels[0], levels[-1]))
    contours.set(edgecolor="face", linewidth=0.3)
    lines = axis.tricontour(grid, shown, levels=levels, colors="white", linewidths=0.25, alpha=0.6)
    edge = axis.add_patch(Polygon(CORNERS, facecolor="none", edgecolor="black", linewidth=0.7, zorder=4))
    contours.set_clip_path(edge)
    lines.set_clip_path(edge)
    ends = np.array([loss[weights[:, corner] == 1][0] for corner in range(3)])
    first = points.iloc[0]
    for corner, name in enumerate("abc"):
        moved = first["claim"] == "strong" or (first["claim"] == "weak" and name != "a")
        text = (r"$\pi\theta" if moved else r"$\theta") + f"_{{{first[name]}}}$"
        x, y = CORNERS[corner]
        axis.text(x, y - 0.04 if corner < 2 else y + 0.03, text, ha="center", va="top" if corner < 2 else "bottom")
    barrier = float((loss - weights @ ends).max())
    axis.text(0.5, -0.17, f"barrier {barrier:.2g}", ha="center", va="top", fontsize=7)
    axis.set_aspect("equal")
    axis.set_xlim(-0.12, 1.12)
    axis.set_ylim(-0.3, 1.0)
    return contours
