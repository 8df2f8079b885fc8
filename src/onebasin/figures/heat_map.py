"""Coloured fields, with numbers where there are not too many of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from onebasin.figures.style import narrow, size

CROWDED = {False: 10, True: 9}
"""Rows or columns from which numbers in the fields could not be read; in one column of a paper too."""


def heat_map(
    axis: Axes, values: np.ndarray, across: Sequence[Any], up: Sequence[Any], high: float, low: float = 0.0
) -> None:
    """Draw values [up, across] as coloured fields.

    Args:
        axis: where to draw.
        values: one field each.
        across: names of the columns.
        up: names of the rows, from below.
        high: value of the brightest colour.
        low: value of the darkest colour.
    """
    axis.imshow(values, origin="lower", cmap="viridis", vmin=low, vmax=high, aspect="auto")
    axis.set_xticks(range(len(across)), [str(name) for name in across])
    axis.set_yticks(range(len(up)), [str(name) for name in up])
    axis.tick_params(length=0)
    axis.spines[:].set_visible(False)
    if max(values.shape) < CROWDED[narrow()]:
        for (row, column), value in np.ndenumerate(values):
            colour = "black" if value > low + 0.6 * (high - low) else "white"
            text = f"{value:.2f}".removeprefix("0") if np.isfinite(value) else "–"
            axis.text(column, row, text, ha="center", va="center", fontsize=size("small"), color=colour)


def colour_bar(figure: Figure, axes: Sequence[Axes], label: str) -> None:
    """Draw the scale of the colours beside a row of fields, unless their numbers are in them.

    Args:
        figure: of the fields.
        axes: of the fields.
        label: what they show.
    """
    if not any(axis.texts for axis in axes):
        bar = figure.colorbar(axes[0].images[0], ax=list(axes), pad=0.02, aspect=14)
        bar.set_label(label)
        bar.outline.set_linewidth(0.6)
