"""How fast do barriers fall with width, and where would they be gone?

How barriers fall with width: the exponent β of the law barrier = factor · width^(-β), and the width at which the law
falls under 0.02, below which networks count as linearly connected when the metric is the error. A width outside the
widths of the networks is an extrapolation; none is made beyond {scaling[reach]} times the largest width: a cross is a
law that does not fall so low by then, an arrow an interval without an end. Bars are 95 % intervals over networks, which
take the law for granted; what holds at the widths that were measured, `width` says.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from onebasin.columns import CLAIM, CONFIGURATION, METHOD, METRIC, NUMBER, SPLIT, WHOLE, Column
from onebasin.experiments import Needs, Row
from onebasin.summaries import Summary, framed

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from pandas import DataFrame

PLACE, CATEGORY = 30, "Networks and width"
VERSION = 2
NEEDS = Needs(networks=2, purpose="a pair", points=None, gathers={"table width": ()})
SETTINGS: dict[str, Any] = {
    "resolution": {
        "description": "Size of barriers that are noise, in the unit of the metric: a mean barrier m counts in the fit "
        "with the weight 1 / (1 + (resolution / m)²).",
        "type": "number",
        "exclusiveMinimum": 0,
    },
    "reach": {
        "description": "The law is not extrapolated beyond this many times the largest width.",
        "type": "number",
        "minimum": 1,
    },
}
COLUMNS = (
    CONFIGURATION[0],
    *METHOD,
    CLAIM[0],
    SPLIT,
    METRIC,
    Column("widths", WHOLE, "number of widths to which the law was fitted"),
    Column("narrowest", WHOLE, "the least of them"),
    Column("widest", WHOLE, "the greatest of them"),
    Column("factor", NUMBER, "barrier at width 1 by the law factor · width^(-beta), in the unit of the metric"),
    Column("beta", NUMBER, "exponent of the law; positive where barriers fall with width"),
    Column("beta_low", NUMBER, "lower bound of the 95 % interval of beta; empty with too few networks for one", True),
    Column("beta_high", NUMBER, "upper bound of the interval", True),
    Column("deviation", NUMBER, "root mean square deviation of the logarithm of mean barriers from the law"),
    Column(
        "deviation_low",
        NUMBER,
        "lower bound of the 95 % interval of the deviation without the noise of few networks, which only adds to it, "
        "so that the interval may lie below it; 0 where the law may hold, and empty as that of beta",
        optional=True,
    ),
    Column("deviation_high", NUMBER, "upper bound of the interval", True),
    Column(
        "crossing",
        NUMBER,
        "width at which the law falls under 0.02; empty where not within `scaling.reach` times the widest",
        optional=True,
    ),
    Column(
        "crossing_low",
        NUMBER,
        "lower bound of the 95 % interval of the crossing; empty as the crossing, and without interval",
        optional=True,
    ),
    Column("crossing_high", NUMBER, "upper bound of the interval; empty in the same cases", True),
)
SUMMARY = Summary(
    "model method claim frame split metric",
    "narrowest widest beta beta_low beta_high crossing crossing_low crossing_high deviation deviation_low "
    "deviation_high",
    prepare=framed,
)
BEYOND = 1.5
"""Times the end of the axis of crossings, where those that are not reached have their place."""
SPLITS = {"train": (True, 0.17), "test": (False, -0.17)}
"""Split to whether its marks are filled, and its place beside the middle of a line."""


def table(parts: Mapping[str, Iterable[Row]], settings: Mapping[str, Any]) -> Iterator[Row]:
    """Fit the law to each series of barriers."""
    from onebasin import scaling

    return scaling.rows(parts["table width"], **settings)


def finding(table: DataFrame) -> str:
    """Say how fast barriers fall, and where they would be gone; for each claim by the method of the lowest barriers."""
    from onebasin import findings
    from onebasin.prose import width_of

    sentences = []
    for model, part in findings.where(table, metric="error", split="train").groupby("model", sort=False):
        last = part.assign(last=part["factor"] * part["widest"] ** -part["beta"], frame=findings.frames(part))
        told = []
        for frame, of_claim in last.groupby("frame", sort=False):
            row = findings.best(of_claim, "last")
            at = width_of(*row[["crossing", "crossing_low", "crossing_high"]].astype(float))
            told.append(f"{findings.claimed(str(frame), row['method'])} β {findings.mean(row, 'beta')}, width {at}")
        sentences.append(
            f"Training error barriers of {model}, measured at widths {part['narrowest'].min()} to "
            f"{part['widest'].max()}, fall as width^-β, and fall under {findings.CONNECTED} by this law at a width: "
            f"{'; '.join(told)}."
        )
    return findings.joined(sentences)


def figure(table: DataFrame) -> Figure:
    """Draw one row of panels per metric and model, the exponent and the crossing side by side.

    Every claim and method has one line of a panel. The widths of the networks are shaded; an interval without an end
    ends in an arrow, and a cross is a law that does not fall so low within reach.
    """
    import numpy as np
    from matplotlib.lines import Line2D
    from matplotlib.markers import CARETRIGHT
    from matplotlib.patches import Patch

    from onebasin.figures import panels, style
    from onebasin.figures.intervals import bars
    from onebasin.figures.legend import legend

    claims = [claim for claim in ("none", "weak", "strong") if claim in set(table["claim"])]
    rows_of = {claim: style.unique(table.loc[table["claim"] == claim, "method"]) for claim in claims}
    lines = [(claim, method) for claim, methods in rows_of.items() for method in methods]
    rows = [(metric, model) for metric in style.metrics(table) for model in style.unique(table["model"])]
    marks = style.method_marks(table)
    names = [marks[method].label if claim == "none" else f"{claim}, {marks[method].label}" for claim, method in lines]
    drawn, axes = panels.grid(len(rows), 2, 0.15 * len(lines) + 0.35, sharey=True, sharex="col", fold=1)
    ends = table[["narrowest", "widest", "crossing", "crossing_low", "crossing_high"]].to_numpy(dtype=float)
    low, high = np.nanmin(ends) / 1.5, np.nanmax(ends) * 3
    for (metric, model), (left, right) in zip(rows, axes, strict=True):
        part = table[(table["metric"] == metric) & (table["model"] == model)]
        right.set_xscale("log", base=2)
        right.axvspan(part["narrowest"].min(), part["widest"].max(), color=style.GREY, alpha=0.12, linewidth=0)
        left.axvline(0, color="black", linewidth=0.6)
        for row in part.to_dict("records"):
            filled, shift = SPLITS[row["split"]]
            colour = marks[row["method"]].colour
            place = shift - lines.index((row["claim"], row["method"]))
            look: dict[str, Any] = {"color": colour, "marker": "o" if filled else "s", "markersize": 3}
            look["markerfacecolor"] = colour if filled else "white"
            bars(left, [place], [row["beta_low"]], [row["beta_high"]], colour, lying=True)
            left.plot(row["beta"], place, gid="measurement", **look)
            _draw_crossing(right, row, place, look, high)
        left.set_yticks([-index for index in range(len(lines))], names)
        left.set_ylim(-len(lines) + 0.4, 0.6)
        left.set_ylabel(f"{model}\n{style.BARRIERS[metric]}")
        right.axvline(high, color=style.GREY, linewidth=0.5)
    for axis in axes[:, 1]:
        axis.set_xlim(low, high * BEYOND**2)
        axis.set_xticks([4.0**power for power in range(12) if low < 4.0**power < high])
    axes[-1][1].xaxis.set_major_formatter(lambda value, _: f"{value:g}")
    axes[0][0].set_title("exponent β")
    axes[0][1].set_title("width at which the law falls under 0.02")
    axes[-1][0].set_xlabel("β")
    axes[-1][1].set_xlabel("width")
    right_caret: Any = CARETRIGHT
    alone: dict[str, Any] = {"color": style.GREY, "linestyle": "none"}
    entries: list[Any] = [
        Line2D([], [], color=style.GREY, marker="o", markersize=3, linestyle="-", label="train: 95 % interval"),
        Line2D(
            [], [], color=style.GREY, marker="s", markersize=3, markerfacecolor="white", linestyle="-", label="test"
        ),
        Patch(color=style.GREY, alpha=0.12, linewidth=0, label="widths of the networks"),
        Line2D([], [], **alone, marker=right_caret, markersize=5, markeredgewidth=0, label="interval without an end"),
        Line2D([], [], **alone, marker="x", markersize=3.5, label="not reached by the law"),
    ]
    legend(drawn, entries, 3)
    return drawn


def _draw_crossing(axis: Axes, row: dict[str, Any], place: float, look: dict[str, Any], high: float) -> None:
    from math import isfinite

    from matplotlib.markers import CARETRIGHT

    from onebasin.figures.intervals import bars

    crossing, start, end = row["crossing"], row["crossing_low"], row["crossing_high"]
    if isfinite(start):
        bars(axis, [place], [start], [end if isfinite(end) else high], look["color"], lying=True, whole=False)
        if not isfinite(end):
            axis.plot(high, place, color=look["color"], marker=CARETRIGHT, markersize=4, markeredgewidth=0)
    if isfinite(crossing):
        axis.plot(crossing, place, gid="measurement", **look)
    else:
        axis.plot(high * BEYOND, place, color=look["color"], marker="x", markersize=3.5, markeredgewidth=0.8)
