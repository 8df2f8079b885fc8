"""What the figures share: size, type, colours, marks, legends, and how they are saved."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import matplotlib
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.backends.backend_pdf import FigureCanvasPdf
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from pandas import DataFrame, Series

from onebasin.files import atomic

WIDTH = 6.9
"""Width of a figure over two columns of a page, inches."""
COLUMN = 3.4
"""Width of a figure in one column of a paper, inches."""
PIXELS = 1380
"""Width of a figure as PNG."""

STYLE: Any = {
    "figure.figsize": (WIDTH, 4.0),
    "font.family": "DejaVu Sans",
    "font.size": 8,
    "axes.titlesize": 8,
    "axes.labelsize": 8,
    "xtick.labelsize": 7.5,
    "ytick.labelsize": 7.5,
    "legend.fontsize": 7.5,
    "legend.title_fontsize": 6.5,
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
_PAPER: Any = {
    **STYLE,
    "figure.figsize": (COLUMN, 3.0),
    **dict.fromkeys(["xtick.labelsize", "ytick.labelsize", "legend.fontsize", "legend.title_fontsize"], 7),
}
STYLES: Any = {"screen": STYLE, "paper": _PAPER}
"""By their names in the config: for a page of the screen, or for one column of a paper."""

GREY = "#595959"
OKABE_ITO = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
"""Colours that remain apart for every kind of colour blindness (Okabe and Ito 2008); black and yellow left out."""

LINES = ("-", (0, (4, 1.5)), (0, (1, 1)), (0, (5, 1, 1, 1)), (0, (7, 2)), (0, (3, 1, 1, 1, 1, 1)))
MARKERS = "osP*hd"
ALGORITHMS = {
    "none": "no permutation",
    "weights": "weight matching",
    "activations": "activation matching",
    "reference": "reference",
    "hierarchical": "hierarchical",
    "merge_many": "merge-many",
    "universe": "universe",
    "sinkhorn": "learned",
}
METRICS = {"error": "error", "loss": "loss (nats)"}
BARRIERS = {"error": "error barrier", "loss": "loss barrier (nats)"}
SPLITS = ("train", "test")


@dataclass(frozen=True)
class Mark:
    """How one series is drawn: colour, marker, filled or open, line."""

    label: str
    colour: str
    marker: str = "o"
    filled: bool = True
    line: Any = "-"

    def handle(self, **changes: Any) -> Line2D:
        """Return a legend entry for the series."""
        look: dict[str, Any] = {"color": self.colour, "marker": self.marker, "linestyle": self.line, "markersize": 4}
        look["markerfacecolor"] = self.colour if self.filled else "white"
        return Line2D([], [], **{**look, "label": self.label, **changes})


def size(what: str) -> float:
    """Return a size of type, points: of "labels", "ticks", or of what is "small", which nothing goes below."""
    names: Any = {"labels": "axes.labelsize", "ticks": "xtick.labelsize", "small": "legend.title_fontsize"}
    return float(matplotlib.rcParams[names[what]])


def narrow() -> bool:
    """Return whether figures are drawn for one column of a paper."""
    return bool(matplotlib.rcParams["figure.figsize"][0] < WIDTH)


def metrics(table: DataFrame) -> list[str]:
    """Return the metrics of a table that are drawn, the error first, and alone where there is one column for all."""
    found = [metric for metric in METRICS if metric in set(table["metric"])]
    return found[:1] if narrow() else found


def unique(values: Iterable[Any]) -> list[Any]:
    """Return the distinct values, in order of appearance."""
    return list(dict.fromkeys(values))


def chosen(widths: Series) -> list[int]:
    """Return the smallest, the middle and the largest width, or the largest alone in one column of a paper."""
    values = sorted(widths.unique())[-1 if narrow() else 0 :]
    return values if len(values) <= 3 else [values[0], values[len(values) // 2], values[-1]]


def method_labels(table: DataFrame) -> dict[str, str]:
    """Return what each method of a table is: its algorithm and, in a common frame, what it compares.

    Methods that are the same have their names behind it, or have these alone where they say as much.

    Args:
        table: has the columns method, algorithm and compared.
    """
    labels = {}
    for method, algorithm, compared in unique(zip(table["method"], table["algorithm"], table["compared"], strict=True)):
        label = ALGORITHMS.get(algorithm, algorithm)
        labels[method] = label if algorithm in ("none", "sinkhorn", compared) else f"{label}, {compared}"
    twice = Counter(labels.values())
    return {
        method: label if twice[label] == 1 else method if label in method else f"{label} ({method})"
        for method, label in labels.items()
    }


def method_marks(table: DataFrame) -> dict[str, Mark]:
    """Return one mark for each method of a table; `none` is grey and first, the others differ in colour and line."""
    labels, marks = method_labels(table), {}
    if "none" in labels:
        marks["none"] = Mark(labels.pop("none"), GREY, marker="D", line=(0, (1, 1)))
    for index, (method, label) in enumerate(labels.items()):
        # Colours repeat after six; markers and lines then go on in another order.
        turn = index + index // len(OKABE_ITO)
        look: dict[str, Any] = {"marker": MARKERS[turn % len(MARKERS)], "line": LINES[turn % len(LINES)]}
        marks[method] = Mark(label, OKABE_ITO[index % len(OKABE_ITO)], **look)
    return marks


def save(figure: Figure, path_png: Path | str, path_pdf: Path | str) -> None:
    """Write the figure as PNG and PDF; equal figures make equal bytes, with neither date nor version."""
    figure.set_dpi(PIXELS / figure.get_figwidth())
    with matplotlib.rc_context(STYLE):
        with atomic(Path(path_png)) as temporary:
            FigureCanvasAgg(figure).print_png(temporary, metadata={"Software": None})
        # The layout is found once, and takes half of the time.
        figure.set_layout_engine("none")
        dates = {"CreationDate": None, "ModDate": None, "Producer": None, "Creator": None}
        with atomic(Path(path_pdf)) as temporary:
            FigureCanvasPdf(figure).print_pdf(temporary, metadata=dates)
