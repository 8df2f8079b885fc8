"""Intervals as bars; one that leaves its axis ends in an arrow there, for it goes on."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.markers import CARETDOWN, CARETLEFT, CARETRIGHT, CARETUP

from onebasin.figures.style import GREY

_ARROWS = {True: (CARETLEFT, CARETRIGHT), False: (CARETDOWN, CARETUP)}


def bars(
    axis: Axes,
    places: Any,
    low: Any,
    high: Any,
    colour: Any,
    *,
    lying: bool = False,
    whole: bool = True,
    linewidth: float = 1.2,
) -> None:
    """Draw intervals, the bounds of which may lie outside the axis; what has no bounds is left out.

    Args:
        axis: where to draw.
        places: on the other axis, [n].
        low: lower bounds, [n].
        high: upper bounds, [n].
        colour: of all of them.
        lying: whether they lie along the x axis; they stand otherwise.
        whole: whether the limits of the axis hold them.
        linewidth: of the bars.
    """
    scale = axis.get_xscale() if lying else axis.get_yscale()
    ends = np.stack([np.asarray(low, dtype=float), np.asarray(high, dtype=float)], axis=1)
    if scale == "log":
        ends = np.clip(ends, 1e-300, 1e300)
    segments = [
        [(end, place) if lying else (place, end) for end in bounds]
        for place, bounds in zip(np.asarray(places, dtype=float), ends, strict=True)
        if not np.isnan(bounds).any() and bounds[0] < bounds[1]
    ]
    axis.add_collection(
        LineCollection(
            segments, colors=colour, linewidths=linewidth, zorder=3, gid="lying interval" if lying else "interval"
        ),
        autolim=whole,
    )


def mark_ends(figure: Figure) -> bool:
    """Draw an arrow at the end of an axis for each interval that goes on beyond it, and return whether there is one."""
    marked = False
    for axis in filter(Axes.get_visible, figure.axes):
        limits = {True: sorted(axis.get_xlim()), False: sorted(axis.get_ylim())}
        for lines in [lines for lines in axis.collections if str(lines.get_gid()).endswith("interval")]:
            assert isinstance(lines, LineCollection)
            lying = lines.get_gid() == "lying interval"
            for segment in lines.get_segments():
                (low, high), place = segment[:, 0 if lying else 1], segment[0, 1 if lying else 0]
                first, last = limits[lying]
                for arrow, end, beyond in zip(_ARROWS[lying], (first, last), (low < first, high > last), strict=True):
                    if beyond and low < last and high > first:
                        look: dict[str, Any] = {"marker": arrow, "markersize": 4, "linestyle": "none", "zorder": 5}
                        look |= {
                            "color": lines.get_color()[0],
                            "markeredgewidth": 0,
                            "clip_on": False,
                            "gid": "goes on",
                        }
                        at = (end, place) if lying else (place, end)
                        axis.add_artist(Line2D([at[0]], [at[1]], **look))
                        marked = True
    return marked


def goes_on() -> Line2D:
    """Return the legend entry of the arrows."""
    look: dict[str, Any] = {"marker": CARETUP, "markersize": 5, "linestyle": "none", "markeredgewidth": 0}
    return Line2D([], [], color=GREY, label="interval goes on", **look)
