"""Barriers along training, under permutations found along training."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.image import AxesImage
from pandas import DataFrame

from onebasin.figures import style
from onebasin.figures.interval import bootstrap
from onebasin.figures.style import Mark

CROWDED = 10
"""Rows or columns of a heat map from which numbers in its fields could not be read."""


@matplotlib.rc_context(style.STYLE)
def trajectory(frame: DataFrame) -> Figure:
    """Draw table `trajectory`: the error barrier on training images, one row of panels per model and width.

    A heat map per method, epochs at which permutations were found against epochs at which networks are measured, means
    over pairs; beside them the end of training, every pair drawn, with the networks as they are for comparison.
    """
    style.check(frame)
    frame = frame[(frame["metric"] == "error") & (frame["split"] == style.SPLITS[0])]
    rows = style.unique(zip(frame["model"], frame["width"], strict=True))
    marks = style.method_marks(frame["method"])
    methods = [method for method in marks if method != "none"]
    key = ["model", "width", "method", "epoch", "found"]
    matched = frame[frame["found"].notna()].groupby(key)["barrier"].mean()
    high = float(matched[np.isfinite(matched)].max()) or 1.0
    figure, axes = style.panels(len(rows), len(methods) + 1, 1.9, width_ratios=[1.0] * len(methods) + [1.25])
    for (model, width), line in zip(rows, axes, strict=True):
        part = frame[(frame["model"] == model) & (frame["width"] == width)]
        for axis, method in zip(line, methods, strict=False):
            means = matched.loc[model, width, method].unstack()
            image = heat_map(axis, means.to_numpy(dtype=float), list(means.columns), list(means.index), high)
        line[0].set_ylabel(f"{model}, width {width}\nmeasured at epoch")
        _end(line[-1], part[part["epoch"] == part["epoch"].max()], marks)
        line[-1].set_ylabel(style.BARRIERS["error"])
    for axis, method in zip(axes[0], methods, strict=False):
        axis.set_title(style.LABELS.get(method, method))
    axes[0][-1].set_title("end of training")
    for axis in axes[-1]:
        axis.set_xlabel("permutation found at epoch")
    bar = figure.colorbar(image, ax=axes[:, : len(methods)], shrink=0.9, aspect=30, pad=0.02)
    bar.set_label(f"train {style.BARRIERS['error']}, mean over pairs")
    bar.outline.set_linewidth(0.6)
    style.legend(figure, [*(mark.handle() for mark in marks.values()), *style.strip_handles("one pair")], 3)
    return figure


def heat_map(
    axis: Axes, values: np.ndarray, across: Sequence[Any], up: Sequence[Any], high: float, low: float = 0.0
) -> AxesImage:
    """Draw values [up, across] as coloured fields, with numbers where there are not too many of them."""
    image = axis.imshow(values, origin="lower", cmap="viridis", vmin=low, vmax=high, aspect="auto")
    axis.set_xticks(range(len(across)), [str(name) for name in across])
    axis.set_yticks(range(len(up)), [str(name) for name in up])
    axis.tick_params(length=0)
    axis.spines[:].set_visible(False)
    if max(values.shape) < CROWDED:
        for (row, column), value in np.ndenumerate(values):
            colour = "black" if value > low + 0.6 * (high - low) else "white"
            text = f"{value:.2f}".removeprefix("0") if np.isfinite(value) else "–"
            axis.text(column, row, text, ha="center", va="center", fontsize=5.5, color=colour)
    return image


def _end(axis: Axes, frame: DataFrame, marks: dict[str, Mark]) -> None:
    """Draw the barriers at one epoch against the epoch at which the permutation was found."""
    epochs = sorted(frame["found"].dropna().unique())
    for slot, (method, mark) in enumerate(marks.items()):
        part = frame[(frame["method"] == method) & np.isfinite(frame["barrier"])]
        if method == "none":
            axis.axhspan(part["barrier"].min(), part["barrier"].max(), color=mark.colour, alpha=0.12, linewidth=0)
            for value in part["barrier"]:
                axis.axhline(value, color=mark.colour, linewidth=0.3, alpha=0.6, gid="measurement")
            axis.axhline(part["barrier"].mean(), color=mark.colour, linestyle=mark.line)
            continue
        shift = 0.3 * ((slot + 0.5) / len(marks) - 0.5)
        strip_at(axis, part, part["found"].map(epochs.index).astype(float) + shift, mark)
    axis.set_xticks(range(len(epochs)), [str(epoch) for epoch in epochs])
    axis.set_ylim(bottom=0)


def strip_at(axis: Axes, frame: DataFrame, places: Any, mark: Mark, *, joined: bool = True) -> None:
    """Draw one series at places on the x axis: each pair small, their mean large, its interval as a bar."""
    axis.scatter(
        places, frame["barrier"], s=4, color=mark.colour, marker=mark.marker, alpha=0.6, linewidths=0.4,
        gid="measurement",
    )  # fmt: skip
    groups = frame.groupby(places)
    bars = [bootstrap(group["barrier"].to_numpy(), group[["a", "b"]].to_numpy()) for _, group in groups]
    axis.vlines(
        groups["barrier"].mean().index.to_numpy(), *np.reshape(bars, (-1, 2)).T, color=mark.colour, linewidth=1.0
    )
    axis.plot(
        groups["barrier"].mean(), color=mark.colour, linestyle=mark.line if joined else "none", linewidth=1.0,
        marker=mark.marker, markersize=3.6, markeredgecolor="white", markeredgewidth=0.4,
    )  # fmt: skip
