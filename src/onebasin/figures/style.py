"""What the figures share: size, type, colours, marks, axes, and how they are saved."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FixedLocator, FuncFormatter, LogLocator, NullFormatter, NullLocator
from pandas import DataFrame, Series

from onebasin.figures.interval import bootstrap
from onebasin.files import atomic

WIDTH = 6.9
"""Width of a figure over two columns of a page, inches."""

STYLE: Any = {
    "font.family": "DejaVu Sans",
    "font.size": 7.5,
    "axes.titlesize": 7.5,
    "axes.labelsize": 7.5,
    "xtick.labelsize": 7,
    "ytick.labelsize": 7,
    "legend.fontsize": 7,
    "mathtext.fontset": "dejavusans",
    "axes.linewidth": 0.6,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "xtick.major.width": 0.6,
    "ytick.major.width": 0.6,
    "xtick.major.size": 2.5,
    "ytick.major.size": 2.5,
    "ytick.minor.width": 0.4,
    "ytick.minor.size": 1.5,
    "lines.linewidth": 1.2,
    "legend.frameon": False,
    "pdf.fonttype": 42,
    "figure.constrained_layout.h_pad": 0.03,
    "figure.constrained_layout.w_pad": 0.03,
}

GREY = "#595959"
OKABE_ITO = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
"""Colours that remain apart for every kind of colour blindness (Okabe and Ito 2008); black and yellow left out."""

LINES = ("-", (0, (4, 1.5)), (0, (1, 1)), (0, (5, 1, 1, 1)), (0, (7, 2)), (0, (3, 1, 1, 1, 1, 1)))
LABELS = {
    "none": "no permutation",
    "weights": "weight matching",
    "activations": "activation matching",
    "merge-weights": "merge-many, weights",
    "merge-activations": "merge-many, activations",
    "universe-weights": "universe, weights",
    "universe-activations": "universe, activations",
}
METRICS = {"error": "error", "loss": "loss (nats)"}
BARRIERS = {"error": "error barrier", "loss": "loss barrier (nats)"}
SPLITS = ("train", "test")
CONNECTED = 0.02
"""Error barrier under which two networks count as linearly connected (Sharma et al. 2024)."""
FLOOR = 1e-3
"""No barrier is drawn lower than this on a logarithmic axis."""


@dataclass(frozen=True)
class Mark:
    """How one series is drawn: colour, marker, filled or open, line."""

    label: str
    colour: str
    marker: str = "o"
    filled: bool = True
    line: Any = "-"

    def handle(self, **changes: Any) -> Line2D:
        """A legend entry for the series."""
        style: dict[str, Any] = {"color": self.colour, "marker": self.marker, "linestyle": self.line, "markersize": 4}
        style["markerfacecolor"] = self.colour if self.filled else "white"
        return Line2D([], [], **{**style, "label": self.label, **changes})


def check(frame: DataFrame) -> None:
    """Raise ValueError for a table without rows."""
    if frame.empty:
        raise ValueError("the table has no rows to draw")


def unique(values: Iterable[Any]) -> list[Any]:
    """The distinct values, in order of appearance."""
    return list(dict.fromkeys(values))


def chosen(widths: Series) -> list[int]:
    """The smallest, the middle and the largest width, or all where there are no more than three."""
    values = sorted(widths.unique())
    return values if len(values) <= 3 else [values[0], values[len(values) // 2], values[-1]]


def method_marks(methods: Iterable[str]) -> dict[str, Mark]:
    """One mark for each matching method; `none` is grey, the others differ in colour and line."""
    marks = {}
    names = unique(methods)
    if "none" in names:
        marks["none"] = Mark(LABELS["none"], GREY, marker="D", line=(0, (1, 1)))
    for index, name in enumerate(name for name in names if name != "none"):
        colour, line = OKABE_ITO[index % len(OKABE_ITO)], LINES[index % len(LINES)]
        marks[name] = Mark(LABELS.get(name, name), colour, marker="osP*hd"[index % 6], line=line)
    return marks


def panels(rows: int, columns: int, row_height: float, *, extra: float = 0.45, **kwargs: Any) -> tuple[Figure, Any]:
    """A figure with a grid of axes [rows, columns]; `row_height` and `extra`, for legend and titles, in inches."""
    figure = Figure(figsize=(WIDTH, rows * row_height + extra), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots(rows, columns, squeeze=False, **kwargs)
    for axis in axes.flat:
        # Ticks are made when they are drawn, which may be outside the style.
        axis.tick_params(labelsize=STYLE["xtick.labelsize"], width=STYLE["xtick.major.width"])
    return figure, axes


def barrier_panels(
    frame: DataFrame, columns: Sequence[str], xlabel: str, **kwargs: Any
) -> tuple[Figure, list[tuple[str, DataFrame, Any]]]:
    """A figure of barriers: one row of panels for each metric and model of the table, and titled columns.

    Returns the figure and, for each row, its metric, its part of the table, and its axes, which share their y axis.
    """
    models = unique(frame["model"])
    rows = [(metric, model) for metric in BARRIERS for model in models if metric in set(frame["metric"])]
    figure, axes = panels(len(rows), len(columns), 1.6, sharey="row", **kwargs)
    for top, bottom, title in zip(axes[0], axes[-1], columns, strict=True):
        top.set_title(title)
        bottom.set_xlabel(xlabel)
    parts = []
    for (metric, model), line in zip(rows, axes, strict=True):
        line[0].set_ylabel(f"{model}\n{BARRIERS[metric]}")
        parts.append((metric, frame[(frame["metric"] == metric) & (frame["model"] == model)], line))
    return figure, parts


def connected(axis: Axes) -> None:
    """Draw the error barrier under which two networks count as connected."""
    axis.axhline(CONNECTED, color="black", linewidth=0.7, linestyle=(0, (6, 3)), zorder=1)


def connected_handle() -> Line2D:
    """Legend entry for it."""
    return Line2D([], [], color="black", linewidth=0.7, linestyle=(0, (6, 3)), label="0.02: connected")


def legend(figure: Figure, handles: Sequence[Artist], columns: int) -> None:
    """Put a legend above all panels, where it covers no data."""
    figure.legend(handles=list(handles), loc="outside upper center", ncols=columns, handlelength=2.4, columnspacing=1.4)


def width_axis(axis: Axes, widths: Sequence[int], *, every: int = 1) -> None:
    """A logarithmic x axis with a tick at every width, and a number at every `every`-th, the largest among them."""
    numbered = set(list(widths)[::-1][::every])
    axis.set_xscale("log", base=2)
    axis.xaxis.set_major_locator(FixedLocator(list(widths)))
    axis.xaxis.set_minor_locator(NullLocator())
    axis.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}" if value in numbered else ""))
    margin = 2 ** (0.6 * _step(widths))
    axis.set_xlim(min(widths) / margin, max(widths) * margin)


def density_axis(axis: Axes, densities: Series, *, labels: int = 5) -> None:
    """A logarithmic x axis from dense to sparse: a tick at every density, and numbers at `labels` of them at most."""
    ordered = sorted(densities.unique())
    numbered = ordered[:: -(-len(ordered) // labels)]
    axis.set_xscale("log", base=2)
    axis.xaxis.set_major_locator(FixedLocator(ordered))
    axis.xaxis.set_minor_locator(NullLocator())
    axis.xaxis.set_major_formatter(
        FuncFormatter(lambda value, _: f"{value:.2g}".lstrip("0") if value in numbered else "")
    )
    margin = 2 ** (0.6 * _step(ordered))
    axis.set_xlim(max(ordered) * margin, min(ordered) / margin)


def from_zero(axis: Axes) -> None:
    """A linear y axis that begins at 0, with room above what is drawn."""
    axis.set_ylim(0, 1.05 * axis.get_ylim()[1])


def log_axis(axis: Axes, low: float, high: float, *, floor: float | None = None) -> None:
    """A logarithmic y axis from `low` to `high` with plain numbers; the tick at `floor` is marked as ≤."""
    axis.set_yscale("log")
    axis.set_ylim(low, high)
    decades = np.log10(high / low)
    steps = (1.0, 2.0, 5.0) if decades < 1.7 else (1.0, 3.0) if decades < 2.7 else (1.0,)
    axis.yaxis.set_major_locator(LogLocator(subs=steps, numticks=50))
    axis.yaxis.set_minor_locator(LogLocator(subs=range(2, 10), numticks=50))
    axis.yaxis.set_minor_formatter(NullFormatter())
    axis.yaxis.set_major_formatter(
        FuncFormatter(lambda value, _: f"≤ {value:g}" if floor and np.isclose(value, floor) else f"{value:g}")
    )


def barrier_axis(axis: Axes, barriers: Series, also: float | None = None) -> float:
    """A logarithmic y axis for barriers; returns its floor, at which what lies below, 0 too, is to be drawn.

    The floor is the power of ten under all barriers of at least `FLOOR` where smaller ones have to be drawn there, and
    the end of the axis otherwise; `also` is a value that must be in the picture.
    """
    values = barriers[np.isfinite(barriers)].to_numpy(dtype=float)
    above = [*values[values >= FLOOR], *([also] if also else [])] or [1.0]
    floor = 10.0 ** np.floor(np.log10(min(above)) + 1e-9)
    hidden = bool((values < floor).any())
    end = (floor if hidden else min(above)) / 1.4
    log_axis(axis, end, max(above) * 1.4, floor=floor if hidden else None)
    return floor if hidden else end


def strip(
    axis: Axes,
    frame: DataFrame,
    column: str,
    mark: Mark,
    *,
    slot: int,
    slots: int,
    floor: float | None = None,
    against: str = "width",
    networks: Sequence[str] | None = None,
) -> int:
    """Draw one series against width, or another column: each measurement small, their mean large, its interval a bar.

    `frame` has the columns `against`, `column` and `networks`, which name the networks of a measurement: a, b and, for
    triples, reference unless they are given. Series stand side by side (`slot` of `slots`), and measurements of one
    width are spread evenly within the slot, in the order of the table. Values under `floor` are drawn at the floor as
    triangles; values that are not finite are counted in a note. Returns how many values were drawn at the floor.
    """
    widths = sorted(frame[against].unique())
    step = 0.8 * _step(axis.get_xticks()) / slots * (-1 if axis.xaxis_inverted() else 1)
    triples = "reference" in frame and frame["reference"].notna().all()
    names = list(networks or (["a", "b", "reference"] if triples else ["a", "b"]))
    centres, means, bars, points = [], [], [], []
    for width in widths:
        group = frame[frame[against] == width]
        values = group[column].to_numpy(dtype=float)
        centre = width * 2 ** ((slot - (slots - 1) / 2) * step)
        spread = np.linspace(-0.38, 0.38, len(values)) if len(values) > 1 else np.zeros(1)
        points.append(np.column_stack([centre * 2 ** (spread * step), values]))
        finite = np.isfinite(values)
        if finite.any():
            centres.append(centre)
            means.append(values[finite].mean())
            bars.append(bootstrap(values[finite], group[names].to_numpy(dtype=int)[finite]))
    everything = np.concatenate(points)
    finite = np.isfinite(everything[:, 1])
    clipped = finite & (everything[:, 1] < (floor or -np.inf))
    shown = finite & ~clipped
    crowd = len(frame) / len(widths)
    size, alpha = (4, 0.6) if crowd <= 30 else (2.5, 0.4) if crowd <= 100 else (1.5, 0.25)
    faint: dict[str, Any] = {"s": size, "linewidths": 0.4, "alpha": alpha, "zorder": 2}
    face = mark.colour if mark.filled else "none"
    axis.scatter(
        *everything[shown].T, marker=mark.marker, facecolors=face, edgecolors=mark.colour, gid="measurement", **faint
    )
    if clipped.any():
        axis.scatter(
            everything[clipped, 0], np.full(clipped.sum(), floor), marker="v", facecolors="none",
            edgecolors=mark.colour, gid="measurement", **faint,
        )  # fmt: skip
    if not finite.all():
        axis.annotate(
            f"{(~finite).sum()} × {mark.label}: not finite", (0.02, 0.02 + 0.08 * slot),
            xycoords="axes fraction", fontsize=6, color=mark.colour,
        )  # fmt: skip
    least = floor or -np.inf
    low, high = np.maximum(np.array(bars).reshape(-1, 2), least).T
    _bars(axis, centres, low, high, mark)
    axis.plot(
        centres, np.maximum(means, least), color=mark.colour, linestyle=mark.line, linewidth=1.0, marker=mark.marker,
        markersize=3.6, markerfacecolor=mark.colour if mark.filled else "white",
        markeredgecolor="white" if mark.filled else mark.colour, markeredgewidth=0.4 if mark.filled else 0.7, zorder=4,
    )  # fmt: skip
    return int(clipped.sum())


def places_strip(axis: Axes, frame: DataFrame, column: str, places: Series, networks: np.ndarray, mark: Mark) -> None:
    """Draw one series at `places` on the x axis: each measurement small, their mean large, its interval as a bar.

    `networks` [rows, k] are the networks of each row. Values that are not finite are counted in a note.
    """
    finite = np.isfinite(frame[column].to_numpy())
    if not finite.all():
        axis.annotate(
            f"{(~finite).sum()} × {mark.label}: not finite", (places.mean(), 0.9),
            xycoords=("data", "axes fraction"), fontsize=6, color=mark.colour, ha="center",
        )  # fmt: skip
    shown, at = frame[column][finite], places[finite]
    axis.scatter(at, shown, s=4, color=mark.colour, marker=mark.marker, alpha=0.6, linewidths=0.4, gid="measurement")
    groups = shown.groupby(at)
    bars = [bootstrap(group.to_numpy(), networks[finite][(at == place).to_numpy()]) for place, group in groups]
    low, high = np.reshape(bars, (-1, 2)).T
    _bars(axis, list(groups.groups), low, high, mark)
    axis.plot(
        groups.mean(), color=mark.colour, linestyle=mark.line, linewidth=1.0, marker=mark.marker,
        markersize=3.6, markeredgecolor="white", markeredgewidth=0.4,
    )  # fmt: skip


def _bars(axis: Axes, places: Sequence[Any], low: np.ndarray, high: np.ndarray, mark: Mark) -> None:
    """Draw intervals, which the limits of the axis need not hold: with few networks they can leave what is possible."""
    ends = [[(place, bottom), (place, top)] for place, bottom, top in zip(places, low, high, strict=True)]
    axis.add_collection(LineCollection(ends, colors=mark.colour, linewidths=1.0, zorder=3), autolim=False)


def strip_handles(what: str) -> list[Line2D]:
    """Legend entries that explain `strip`; `what` is one measurement, such as "one pair"."""
    bar: dict[str, Any] = {"color": GREY, "marker": "|", "markersize": 8, "linestyle": "none"}
    return [
        Line2D([], [], color=GREY, marker="o", markersize=2, linestyle="none", alpha=0.7, label=what),
        Line2D([], [], **{**bar, "label": "mean: 95 % bootstrap interval"}),
    ]


def clip_handle() -> Line2D:
    """Legend entry for barriers that a logarithmic axis cannot show."""
    return Line2D(
        [], [], color=GREY, marker="v", markersize=2.5, markerfacecolor="none", linestyle="none",
        label="one path too low for the axis (≤)",
    )  # fmt: skip


def save(figure: Figure, path_png: Path | str, path_pdf: Path | str) -> None:
    """Write the figure as PNG (200 dpi) and PDF; equal figures make equal bytes, with neither date nor version."""
    with matplotlib.rc_context(STYLE):
        with atomic(Path(path_png)) as temporary:
            figure.savefig(temporary, format="png", dpi=200, metadata={"Software": None})
        dates = {"CreationDate": None, "ModDate": None, "Producer": None, "Creator": None}
        with atomic(Path(path_pdf)) as temporary:
            figure.savefig(temporary, format="pdf", metadata=dates)


def _step(widths: Sequence[int] | np.ndarray) -> float:
    """Smallest distance of neighbouring widths, in doublings; 1 for a single width."""
    logs = np.log2(np.unique(np.asarray(widths, dtype=float)))
    return float(np.diff(logs).min()) if len(logs) > 1 else 1.0
