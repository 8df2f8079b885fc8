"""Barriers at the end of training, under permutations found on hybrids of the networks."""

from __future__ import annotations

import matplotlib
import numpy as np
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator
from pandas import DataFrame

from onebasin.figures import style
from onebasin.figures.style import GREY
from onebasin.figures.trajectory import strip_at

KINDS = {
    "bottom_up": "bottom-up: layers 1 to k kept",
    "top_down": "top-down: layers k to the last kept",
    "one_in": "one in: layer k alone kept",
    "one_out": "one out: layer k alone rewound",
}


@matplotlib.rc_context(style.STYLE)
def layers(frame: DataFrame) -> Figure:
    """Draw table `layers`: the error barrier on training images, a row per model, width and epoch, a column per kind.

    Horizontal lines are the means without a permutation, and with those of wholly rewound networks.
    """
    style.check(frame)
    frame = frame[(frame["metric"] == "error") & (frame["split"] == style.SPLITS[0]) & np.isfinite(frame["barrier"])]
    rewound = frame[frame["rewound"].notna()]
    rows = style.unique(zip(rewound["model"], rewound["width"], rewound["rewound"], strict=True))
    marks = style.method_marks(frame["method"])
    figure, axes = style.panels(len(rows), len(KINDS), 1.5, sharey="row")
    for (model, width, epoch), line in zip(rows, axes, strict=True):
        part = frame[(frame["model"] == model) & (frame["width"] == width)]
        for axis, kind in zip(line, KINDS, strict=True):
            for slot, (method, mark) in enumerate(marks.items()):
                series = part[part["method"] == method]
                if method == "none":
                    axis.axhline(series["barrier"].mean(), color=mark.colour, linestyle=mark.line)
                    continue
                series = series[series["rewound"] == epoch]
                whole = series.loc[series["kind"] == "rewound", "barrier"].mean()
                axis.axhline(whole, color=mark.colour, linewidth=0.8, linestyle=(0, (1, 1.5)), zorder=1)
                series = series[series["kind"] == kind]
                strip_at(axis, series, series["place"].astype(float) + 0.3 * ((slot + 0.5) / len(marks) - 0.5), mark)
            axis.xaxis.set_major_locator(MaxNLocator(8, integer=True))
        line[0].set_ylim(bottom=0)
        line[0].set_ylabel(f"{model}, width {width}\nrewound to epoch {epoch}\n{style.BARRIERS['error']}")
    for top, bottom, title in zip(axes[0], axes[-1], KINDS.values(), strict=True):
        top.set_title(title.replace(": ", "\n"))
        bottom.set_xlabel("layer k")
    handles = [mark.handle() for mark in marks.values()]
    handles.append(Line2D([], [], color=GREY, linewidth=0.8, linestyle=(0, (1, 1.5)), label="all layers rewound: mean"))
    style.legend(figure, [*handles, *style.strip_handles("one pair")], 3)
    return figure
