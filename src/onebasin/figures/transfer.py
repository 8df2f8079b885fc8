"""Barriers between networks of one and of two data sets, by the networks between which the permutation was found."""

from __future__ import annotations

import matplotlib
import numpy as np
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from pandas import DataFrame, Series

from onebasin.figures import style
from onebasin.figures.categories import dots, handles

FOUND = ("none", "first", "second", "across")
PANELS = {
    ("first", "first", "first"): "both trained on first",
    ("second", "second", "second"): "both trained on second",
    ("first", "second", "first"): "across: on first",
    ("first", "second", "second"): "across: on second",
}


@matplotlib.rc_context(style.STYLE)
def transfer(frame: DataFrame) -> Figure:
    """Draw table `transfer`: for each model and width, barriers of error and loss, and below how many units a
    permutation places as the pair's own one does; pairs of one data set at the left, across both at the right.
    """
    style.check(frame)
    # The networks of one seed on two data sets are two networks.
    across = (frame["trained_a"] != frame["trained_b"]).astype(int)
    frame = frame.assign(
        networks=Series(list(zip(2 * frame["a"], 2 * frame["b"] + across, strict=True)), index=frame.index),
        # Networks of the same seed stand apart, behind the others.
        place=frame["permutation"].map(FOUND.index) + 4 * (frame["a"] == frame["b"]),
    )
    marks = style.method_marks(frame["method"])
    cells = style.unique(zip(frame["model"], frame["width"], strict=True))
    rows = [(cell, what) for cell in cells for what in (*style.BARRIERS, "agreement")]
    figure, axes = style.panels(len(rows), len(PANELS), 1.35, sharey="row", extra=0.75, width_ratios=[4, 4, 6, 6])
    for ((model, width), what), line in zip(rows, axes, strict=True):
        part = frame[(frame["model"] == model) & (frame["width"] == width)]
        floor = part["chance"].min() / 4
        low = floor if what == "agreement" else 0.0
        for axis, (panel, title) in zip(line, PANELS.items(), strict=True):
            trained_a, trained_b, data = panel
            shown = part[(part["trained_a"] == trained_a) & (part["trained_b"] == trained_b) & (part["data"] == data)]
            places = sorted(shown["place"].unique())
            if what == "agreement":
                shown = shown[
                    (shown["metric"] == "error") & (shown["split"] == "train") & (shown["permutation"] != "none")
                ]
                shown = shown.assign(
                    agreement=shown["agreement"].where(shown["a"] != shown["b"], shown["fixed_points"])
                )
                own = trained_a if trained_a == trained_b else "across"
                shown = shown[(shown["permutation"] != own) | (shown["a"] == shown["b"])]
                if len(shown):
                    chance = shown["chance"].iloc[0]
                    axis.axhline(chance, color=style.GREY, linewidth=0.8, linestyle=(0, (2, 1)), zorder=1)
            else:
                shown = shown[shown["metric"] == what]
            dots(
                axis,
                shown,
                what if what == "agreement" else "barrier",
                shown["place"].map(places.index),
                marks,
                floor=low,
            )
            labels = [FOUND[place % 4] + (", same" if place >= 4 else "") for place in places]
            axis.set_xticks(range(len(places)), labels, rotation=40, ha="right", rotation_mode="anchor", fontsize=6)
            axis.set_xlim(-0.5, len(places) - 0.5)
            if what == "error":
                axis.set_title(title, pad=3)
        if what == "agreement":
            style.log_axis(line[0], floor, 1.4)
        else:
            highest = part.loc[part["metric"] == what, "barrier"]
            line[0].set_ylim(0, 1.05 * highest[np.isfinite(highest)].max() or 1)
        name = "agreement" if what == "agreement" else style.BARRIERS[what]
        line[0].set_ylabel(f"{model}, width {width}\n{name}")
    entries = handles(marks, "one pair")
    entries.append(
        Line2D([], [], color=style.GREY, linewidth=0.8, linestyle=(0, (2, 1)), label="agreement of random orders")
    )
    style.legend(figure, entries, 4)
    figure.supxlabel(
        "networks between which the permutation was found, of the seeds of the pair (same: one seed)", fontsize=7.5
    )
    return figure
