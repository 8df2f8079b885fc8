"""Measurements in categories that stand side by side: train and test, each measurement, means and intervals."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from pandas import DataFrame

from onebasin.figures.interval import bootstrap
from onebasin.figures.style import GREY, Mark


def dots(
    axis: Axes, frame: DataFrame, column: str, places: Sequence[float], marks: Mapping[str, Mark], *, floor: float = 0
) -> None:
    """Draw a column of measurements: small marks, their mean large, its interval as a bar.

    Args:
        axis: where to draw.
        frame: has the columns `column`, method, split (if it holds both, test is drawn open) and `networks`: a tuple of
            the networks of the measurement.
        column: what is drawn.
        places: for each row its category, a place on the x axis; categories are 1 apart.
        marks: for each method its mark.
        floor: values below are drawn there, as a logarithmic axis needs it.
    """
    frame = frame.assign(place=list(places))
    splits = [split for split in ("train", "test") if split in set(frame["split"])]
    for place in sorted(set(places)):
        category = frame[frame["place"] == place]
        methods = [method for method in marks if method in set(category["method"])]
        slots = [(method, split) for method in methods for split in splits]
        step = 0.8 / max(len(slots), 4)
        for slot, (method, split) in enumerate(slots):
            group = category[(category["method"] == method) & (category["split"] == split)]
            centre = place + (slot - (len(slots) - 1) / 2) * step
            _draw(axis, group, column, marks[method], centre, step, filled=split == splits[0], floor=floor)


def _draw(
    axis: Axes, group: DataFrame, column: str, mark: Mark, centre: float, step: float, *, filled: bool, floor: float
) -> None:
    group = group[np.isfinite(group[column])]
    values = group[column].to_numpy(dtype=float)
    if not len(values):
        return
    spread = np.linspace(-0.35, 0.35, len(values)) * step if len(values) > 1 else np.zeros(1)
    face = mark.colour if filled else "none"
    axis.scatter(
        centre + spread, np.maximum(values, floor), s=2.5, marker=mark.marker, facecolors=face, edgecolors=mark.colour,
        linewidths=0.3, alpha=0.5, zorder=2, gid="measurement",
    )  # fmt: skip
    low, high = bootstrap(values, np.array(group["networks"].tolist()))
    if high > low:  # with every network in every measurement there is nothing to resample
        axis.vlines(centre, max(low, floor), max(high, floor), color=mark.colour, linewidth=1.0, zorder=3)
    style: dict[str, Any] = {"markerfacecolor": mark.colour if filled else "white", "markeredgecolor": mark.colour}
    axis.plot(
        [centre], [max(values.mean(), floor)], linestyle="none", marker=mark.marker, markersize=3.4,
        markeredgewidth=0.7, zorder=4, **style,
    )  # fmt: skip


def handles(marks: Mapping[str, Mark], what: str) -> list[Line2D]:
    """Legend entries for `dots`; `what` is one measurement, such as "one path"."""
    grey: dict[str, Any] = {"color": GREY, "marker": "o", "linestyle": "none"}
    return [
        *(mark.handle(linestyle="none") for mark in marks.values()),
        Line2D([], [], **grey, markersize=4, label="train"),
        Line2D([], [], **grey, markersize=4, markerfacecolor="white", label="test"),
        Line2D([], [], **grey, markersize=2, alpha=0.7, label=what),
        Line2D([], [], **{**grey, "marker": "|", "markersize": 8}, label="mean: 95 % bootstrap interval"),
    ]
