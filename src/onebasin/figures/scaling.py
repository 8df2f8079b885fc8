"""Exponents of the law by which barriers fall with width, and where they would be gone."""

from __future__ import annotations

from typing import Any

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from pandas import DataFrame

from onebasin.figures import style
from onebasin.figures.style import GREY, LABELS

SPLITS = {"train": (True, 0.17), "test": (False, -0.17)}
"""Split to whether its marks are filled, and its place beside the middle of a line."""


@matplotlib.rc_context(style.STYLE)
def scaling(frame: DataFrame) -> Figure:
    """Draw table `scaling`: one row of panels per metric and model, the exponent and the crossing side by side.

    Every claim and method has one line of a panel. The widths of the networks are shaded; an interval without an end is
    an arrow, and a crossing that is not reached is an arrow alone.
    """
    style.check(frame)
    claims = [claim for claim in ("none", "weak", "strong") if claim in set(frame["claim"])]
    series = [
        (claim, method) for claim in claims for method in style.unique(frame.loc[frame["claim"] == claim, "method"])
    ]
    metrics = [metric for metric in style.BARRIERS if metric in set(frame["metric"])]
    rows = [(metric, model) for metric in metrics for model in style.unique(frame["model"])]
    marks = style.method_marks(frame["method"])
    height = 0.14 * len(series) + 0.35
    figure, axes = style.panels(len(rows), 2, height, sharey=True, sharex="col")
    ends = frame[["narrowest", "widest", "crossing", "crossing_low", "crossing_high"]].to_numpy(dtype=float)
    low, high = np.nanmin(ends) / 1.5, np.nanmax(ends) * 3
    for (metric, model), (left, right) in zip(rows, axes, strict=True):
        part = frame[(frame["metric"] == metric) & (frame["model"] == model)]
        right.set_xscale("log", base=2)
        right.axvspan(part["narrowest"].min(), part["widest"].max(), color=GREY, alpha=0.12, linewidth=0)
        left.axvline(0, color="black", linewidth=0.6)
        for row in part.to_dict("records"):
            filled, shift = SPLITS[row["split"]]
            mark = marks[row["method"]]
            place = shift - series.index((row["claim"], row["method"]))
            look: dict[str, Any] = {"color": mark.colour, "marker": "o" if filled else "s", "markersize": 3}
            look["markerfacecolor"] = mark.colour if filled else "white"
            left.plot([row["beta_low"], row["beta_high"]], [place] * 2, color=mark.colour, linewidth=1)
            left.plot(row["beta"], place, gid="measurement", **look)
            _crossing(right, row, place, look, high)
        left.set_yticks([-index for index in range(len(series))], [_name(*one) for one in series])
        left.set_ylim(-len(series) + 0.4, 0.6)
        left.set_ylabel(f"{model}\n{style.BARRIERS[metric]}")
    axes[-1][1].set_xlim(low, high)
    axes[-1][1].xaxis.set_major_formatter(lambda value, _: f"{value:g}")
    axes[0][0].set_title("exponent β")
    axes[0][1].set_title("width at which the law falls under 0.02")
    axes[-1][0].set_xlabel("β")
    axes[-1][1].set_xlabel("width")
    handles: list[Any] = [
        Line2D([], [], color=GREY, marker="o", markersize=3, linestyle="-", label="train: 95 % bootstrap interval"),
        Line2D([], [], color=GREY, marker="s", markersize=3, markerfacecolor="white", linestyle="-", label="test"),
        Patch(color=GREY, alpha=0.12, linewidth=0, label="widths of the networks"),
        Line2D([], [], color=GREY, marker=">", markersize=3, linestyle="none", label="no end, or not reached"),
    ]
    style.legend(figure, handles, 4)
    return figure


def _crossing(axis: Axes, row: dict[str, Any], place: float, look: dict[str, Any], high: float) -> None:
    start, end = row["crossing_low"], row["crossing_high"]
    known = np.isfinite(row["beta_low"])
    if np.isfinite(start):
        axis.plot([start, end if np.isfinite(end) else high], [place] * 2, color=look["color"], linewidth=1)
    if np.isfinite(row["crossing"]):
        axis.plot(row["crossing"], place, gid="measurement", **look)
    if not np.isfinite(row["crossing"]) or (known and not np.isfinite(end)):
        axis.plot(high / 1.15, place, color=look["color"], marker=">", markersize=3)


def _name(claim: str, method: str) -> str:
    return LABELS["none"] if claim == "none" else f"{claim}, {LABELS.get(method, method)}"
