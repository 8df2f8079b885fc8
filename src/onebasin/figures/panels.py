"""Panels and their axes: grids of panels, scales of width, density and barriers, the threshold of connection."""

from __future__ import annotations

import math
import re
import textwrap
from collections.abc import Sequence
from itertools import chain, islice, pairwise
from typing import Any

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.text import Text
from matplotlib.ticker import FixedLocator, FuncFormatter, LogLocator, NullFormatter, NullLocator
from pandas import DataFrame, Series

from onebasin.figures.style import BARRIERS, GREY, PIXELS, STYLE, metrics, narrow, size, unique
from onebasin.landscape.barrier import CONNECTED

FLOOR = 1e-3
"""No barrier is drawn lower than this on a logarithmic axis."""
TALLEST = 9.4
"""Greatest height of a figure, inches, which fits a page."""
HALF = 0.46
"""Half of the room of a place on an axis, as a share of the distance to the next one."""

_NUMBER = re.compile(r"L?[\d.]+")
_CONNECTED: dict[str, Any] = {"color": "black", "linewidth": 0.7, "linestyle": (0, (6, 3))}


class Page(Figure):
    """A figure that knows its grid of panels, where that had to be folded to fit into a column."""

    folded: Any = None


def grid(
    rows: int,
    columns: int,
    row_height: float | Sequence[float],
    *,
    extra: float = 0.1,
    fold: int = 2,
    sharex: Any = False,
    sharey: Any = False,
    width_ratios: Sequence[float] | None = None,
) -> tuple[Figure, Any]:
    """Return a figure with a grid of axes [rows, columns].

    Args:
        rows: of panels.
        columns: of panels; in one column of a paper, a row of more than `fold` of them goes on below.
        row_height: inches, of all rows or of each.
        extra: inches besides, of which the legend takes none.
        fold: most panels beside each other in one column of a paper.
        sharex: as in ``Figure.subplots``.
        sharey: as there.
        width_ratios: of the columns, where all stand beside each other.
    """
    heights = list(row_height) if isinstance(row_height, Sequence) else [row_height] * rows
    width, folded = matplotlib.rcParams["figure.figsize"][0], narrow() and columns > fold
    if narrow():
        heights = [0.85 * height for height in heights]
    lines = -(-columns // fold) if folded else 1
    across = -(-columns // lines)
    heights = [height for height in heights for _ in range(lines)]
    height = min(sum(heights) + extra, TALLEST)
    figure = Page(figsize=(width, height), dpi=PIXELS / width, layout="constrained")
    FigureCanvasAgg(figure)
    shares: dict[str, Any] = {"height_ratios": heights}
    if not folded:
        shares |= {"width_ratios": width_ratios, "sharex": sharex, "sharey": sharey}
    axes = figure.subplots(rows * lines, across, squeeze=False, **shares).reshape(rows, -1)
    for axis in axes[:, columns:].flat:
        axis.remove()
    axes = axes[:, :columns]
    if folded:
        figure.folded = (axes.tolist(), across)
        for (row, column), axis in np.ndenumerate(axes):
            if sharey and (row or column if sharey is True else column):
                axis.sharey(axes[0 if sharey is True else row, 0])
            if sharex and (row or column if sharex is True else row):
                axis.sharex(axes[0, 0 if sharex is True else column])
    for axis in axes.flat:
        # Ticks are made when they are drawn, which may be outside the style.
        axis.tick_params(labelsize=size("ticks"), width=STYLE["xtick.major.width"])
    return figure, axes


def uneven(
    counts: Sequence[int], heights: Sequence[float], *, extra: float = 0.1, fold: int = 2, sharey: bool = False
) -> tuple[Figure, list[list[Axes]]]:
    """Return a figure with lines of panels, each as broad as the figure, with a number of panels of its own.

    Args:
        counts: panels of each line.
        heights: of the lines, inches.
        extra: inches besides, of which the legend takes none.
        fold: most panels beside each other in one column of a paper.
        sharey: whether the panels of a line share their y axis.
    """
    width, most = matplotlib.rcParams["figure.figsize"][0], fold if narrow() else max(counts)
    if narrow():
        heights = [0.85 * height for height in heights]
    # The panels of each line, as lines of the page.
    cut = [[min(most, count - start) for start in range(0, count, most)] for count in counts]
    tall = [height for height, pieces in zip(heights, cut, strict=True) for _ in pieces]
    figure = Page(figsize=(width, min(sum(tall) + extra, TALLEST)), dpi=PIXELS / width, layout="constrained")
    FigureCanvasAgg(figure)
    # The last piece of a line that goes on below is as broad as what stands above it.
    slots = [most if len(pieces) > 1 else pieces[0] for pieces in cut for _ in pieces]
    fine = math.lcm(*slots)
    cells = figure.add_gridspec(len(tall), fine, height_ratios=tall)
    lines: list[list[Axes]] = []
    row = 0
    for pieces in cut:
        line: list[Axes] = []
        for piece in pieces:
            broad = fine // slots[row]
            for i in range(piece):
                first = line[0] if line and sharey else None
                axis = figure.add_subplot(cells[row, broad * i : broad * (i + 1)], sharey=first)
                axis.tick_params(labelsize=size("ticks"), width=STYLE["xtick.major.width"])
                axis.tick_params(axis="y", labelleft=not (sharey and i))
                line.append(axis)
            row += 1
        lines.append(line)
    if any(len(pieces) > 1 for pieces in cut):
        figure.folded = (lines, most)
    return figure, lines


def groups(
    rows: int, counts: Sequence[int], heights: Sequence[float], *, sharey: bool = False
) -> tuple[Figure, list[list[list[Axes]]]]:
    """Return a figure with rows of groups of panels; in one column of a paper each group has a line of its own.

    Args:
        rows: of groups.
        counts: panels of each group.
        heights: of the groups, inches; of groups beside each other the highest counts.
        sharey: whether the panels of a line share their y axis.

    Returns:
        The figure, and the panels of each row and group.
    """
    lines, tall = (list(counts), list(heights)) if narrow() else ([sum(counts)], [max(heights)])
    figure, axes = uneven(lines * rows, tall * rows, sharey=sharey)
    each = chain.from_iterable(axes)
    return figure, [[list(islice(each, count)) for count in counts] for _ in range(rows)]


def unfold(figure: Figure) -> None:
    """Give each panel of a folded grid the title of its column, and each of its lines the labels of the row."""
    if not isinstance(figure, Page) or figure.folded is None:
        return
    lines, across = figure.folded
    titles: list[str] = []
    for row, line in enumerate(lines):
        if any(axis.get_title() for axis in line) or not titles:
            titles = [axis.get_title() for axis in line]
        for column, (axis, title) in enumerate(zip(line, titles, strict=False)):
            axis.set_title(title)
            if column % across == 0:
                axis.set_ylabel(axis.get_ylabel() or line[0].get_ylabel())
            if column < len(line) - across and row == len(lines) - 1:
                axis.set_xlabel("")


def fit(figure: Figure) -> None:
    """Break titles and labels that have no room; where ticks touch each other, leave out numbers, and turn words."""
    figure.draw_without_rendering()
    axes = [axis for axis in figure.axes if axis.get_visible()]
    gained = [_break(text, text.get_window_extent().width, figure.bbox.width) for text in figure.texts]
    rows: dict[int, int] = {}
    for axis in axes:
        width = axis.get_position(original=True).width * figure.bbox.width
        lines = sum(_break(text, text.get_window_extent().width, width) for text in (axis.title, axis.xaxis.label))
        rows[_row(axis)] = max(rows.get(_row(axis), 0), lines)
        if axis.get_label() != "<colorbar>":
            gained.append(_break(axis.yaxis.label, axis.yaxis.label.get_window_extent().height, 1.2 * axis.bbox.height))
    line = 1.3 * size("labels") / 72
    grow(figure, sum(rows.values()) * line)
    if any(gained) or any(rows.values()):
        figure.draw_without_rendering()
    room = 0.2 * size("ticks") * figure.dpi / 72
    turned = {_row(axis) for axis in axes if _thin(axis, room)}
    grow(figure, len(turned) * line)


def _row(axis: Axes) -> int:
    """Return the row of the figure in which a panel stands; -1 for the scale of colours beside some."""
    spec = axis.get_subplotspec()
    return -1 if spec is None else spec.rowspan.start


def _thin(axis: Axes, room: float) -> bool:
    """Leave out numbers with less room between them, but the last, or turn words; return whether words were turned."""
    low, high = sorted(axis.get_xlim())
    ticks = [(tick.get_loc(), tick.label1) for tick in axis.xaxis.get_major_ticks()]
    ticks = [(place, label) for place, label in ticks if low <= place <= high]
    labels = [label for _, label in ticks if label.get_visible() and label.get_text() and not label.get_rotation()]
    boxes = sorted((label.get_window_extent() for label in labels), key=lambda box: box.x0)

    def touch(every: int) -> bool:
        return any(one.x1 + room > other.x0 for one, other in pairwise(boxes[::-1][::every][::-1]))

    if not touch(1):
        return False
    if not all(_NUMBER.fullmatch(label.get_text()) for label in labels):
        axis.tick_params(axis="x", labelrotation=90)
        return True
    every = next(every for every in range(2, len(boxes) + 1) if not touch(every))
    kept = labels[::-1][::every]
    axis.set_xticks([place for place, _ in ticks], [label.get_text() if label in kept else "" for _, label in ticks])
    return False


def _break(text: Text, length: float, room: float) -> int:
    """Break a text that is longer than its room, pixels each, and return how many lines it gained."""
    if length <= room:
        return 0
    before = text.get_text().split("\n")
    letters = max(int(0.92 * room / length * max(map(len, before))), 8)
    after = [piece for line in before for piece in textwrap.wrap(line, letters, break_long_words=False)]
    text.set_text("\n".join(after))
    return len(after) - len(before)


def grow(figure: Figure, inches: float) -> None:
    """Make a figure higher, as far as a page goes."""
    figure.set_figheight(min(figure.get_figheight() + inches, TALLEST))


def barriers(
    table: DataFrame, columns: Sequence[str], xlabel: str, **kwargs: Any
) -> tuple[Figure, list[tuple[str, DataFrame, Any]]]:
    """Return a figure of barriers: one row of panels for each metric and model of the table, and titled columns.

    Returns:
        The figure and, for each row, its metric, its part of the table, and its axes, which share their y axis.
    """
    models = unique(table["model"])
    rows = [(metric, model) for metric in metrics(table) for model in models]
    heights = [1.8 if metric == rows[0][0] else 1.35 for metric, _ in rows]
    figure, axes = grid(len(rows), len(columns), heights, sharey="row", **kwargs)
    for top, bottom, title in zip(axes[0], axes[-1], columns, strict=True):
        top.set_title(title)
        bottom.set_xlabel(xlabel)
    parts = []
    for (metric, model), line in zip(rows, axes, strict=True):
        line[0].set_ylabel(f"{model}\n{BARRIERS[metric]}")
        parts.append((metric, table[(table["metric"] == metric) & (table["model"] == model)], line))
    return figure, parts


def connected(axis: Axes) -> None:
    """Draw the error barrier under which the interval of networks lies that count as connected."""
    axis.axhline(CONNECTED, zorder=1, **_CONNECTED)


def connected_handle() -> Line2D:
    """Return its legend entry."""
    return Line2D([], [], label=f"connected: interval below {CONNECTED}", **_CONNECTED)


def step(values: Sequence[float]) -> float:
    """Return the smallest distance between neighbours on a logarithmic axis, in powers of two."""
    logs = np.log2(np.unique(np.asarray(values, dtype=float)))
    return float(np.diff(logs).min()) if len(logs) > 1 else 1.0


def bands(axis: Axes, places: Sequence[float]) -> None:
    """Shade what belongs to each place, so that marks beside it are not taken for those of the next one."""
    if axis.get_xscale() == "linear":
        ends = [(place - HALF, place + HALF) for place in places]
    else:
        reach = 2 ** (HALF * step(places))
        ends = [(place / reach, place * reach) for place in places]
    for low, high in ends:
        axis.axvspan(low, high, color=GREY, alpha=0.07, linewidth=0, zorder=0, gid="band")


def width_axis(axis: Axes, widths: Sequence[int]) -> None:
    """Make the x axis logarithmic, with a number at every width, and a band for what is drawn beside it."""
    axis.set_xscale("log", base=2)
    axis.xaxis.set_major_locator(FixedLocator(list(widths)))
    axis.xaxis.set_minor_locator(NullLocator())
    axis.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    margin = 2 ** (0.6 * step(widths))
    axis.set_xlim(min(widths) / margin, max(widths) * margin)
    bands(axis, widths)


def density_axis(axis: Axes, densities: Series) -> None:
    """Make the x axis logarithmic, from dense to sparse, with a tick and a band at every density."""
    ordered = sorted(densities.unique())
    axis.set_xscale("log", base=2)
    axis.xaxis.set_major_locator(FixedLocator(ordered))
    axis.xaxis.set_minor_locator(NullLocator())
    axis.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:.2g}".lstrip("0")))
    margin = 2 ** (0.6 * step(ordered))
    axis.set_xlim(max(ordered) * margin, min(ordered) / margin)
    bands(axis, ordered)


def from_zero(axis: Axes) -> None:
    """Let the y axis begin at 0, with room above what is drawn, and for intervals, at most as much again."""
    top = axis.get_ylim()[1]
    intervals = [lines for lines in axis.collections if lines.get_gid() == "interval"]
    ends = [float(np.max(path.vertices, axis=0)[1]) for lines in intervals for path in lines.get_paths()]
    axis.set_ylim(0, 1.05 * min(max([top, *ends]), 2 * top))


def log_axis(axis: Axes, low: float, high: float, *, floor: float | None = None) -> None:
    """Make the y axis logarithmic from `low` to `high`, with plain numbers; the tick at `floor` is marked as ≤."""
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


def barrier_axis(axes: Axes | Sequence[Axes], barriers: Series, metric: str = "") -> float:
    """Make the y axis of panels logarithmic, for barriers; for those of the error, 0.02 is drawn.

    Args:
        axes: the panels.
        barriers: what they show.
        metric: whose barriers they are.

    Returns:
        Its floor, at which what lies below, 0 too, is to be drawn: the power of ten under all barriers of at least
        `FLOOR` where smaller ones have to be drawn there, and the end of the axis otherwise.
    """
    values = barriers[np.isfinite(barriers)].to_numpy(dtype=float)
    above = [*values[values >= FLOOR], *([CONNECTED] if metric == "error" else [])] or [1.0]
    floor = 10.0 ** np.floor(np.log10(min(above)) + 1e-9)
    hidden = bool((values < floor).any())
    end = (floor if hidden else min(above)) / 1.4
    top = 1.4 * max(above)
    if metric == "error":
        # Their intervals end at 1.
        top = max(top, min(3 * max(above), 1.1))
    for axis in np.atleast_1d(np.asarray(axes)):
        log_axis(axis, end, top, floor=floor if hidden else None)
        if metric == "error":
            connected(axis)
    return float(floor if hidden else end)
