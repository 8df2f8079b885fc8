"""Figures: one style, one way to draw measurements; what an experiment draws stands in its module."""

from __future__ import annotations

import matplotlib
from matplotlib.figure import Figure
from pandas import DataFrame

from onebasin.experiments import rooms
from onebasin.figures import style
from onebasin.figures.panels import fit, unfold
from onebasin.figures.style import save

__all__ = ["draw", "save"]


def draw(name: str, table: DataFrame, look: str = "screen") -> Figure:
    """Draw the figure of an experiment from its table alone.

    Args:
        name: of the experiment.
        table: as ``tables.read`` gives it.
        look: "screen", or "paper" for one column of a paper: narrower, errors without losses.

    Raises:
        ValueError: for a table without rows.
    """
    if table.empty:
        raise ValueError("the table has no rows to draw")
    with matplotlib.rc_context(style.STYLES[look]):
        figure = rooms()[name].module.figure(table)
        unfold(figure)
        if style.narrow():
            fit(figure)
        return figure
