"""Figures: one style, one way to draw measurements; what an experiment draws stands in its module."""

from __future__ import annotations

import matplotlib
from matplotlib.figure import Figure
from pandas import DataFrame

from onebasin.experiments import rooms
from onebasin.figures import style
from onebasin.figures.panels import fit, unfold
from onebasin.figures.style import save
from onebasin.findings import UNDECIDED

__all__ = ["draw", "save"]


def draw(name: str, table: DataFrame, look: str = "screen") -> Figure:
    """Draw the figure of an experiment from its table alone; a table without rows is drawn as words that say so.

    Args:
        name: of the experiment.
        table: as ``tables.read`` gives it.
        look: "screen", or "paper" for one column of a paper: narrower, errors without losses.
    """
    with matplotlib.rc_context(style.STYLES[look]):
        if table.empty:
            words = Figure(figsize=(matplotlib.rcParams["figure.figsize"][0], 0.6))
            words.text(0.5, 0.5, UNDECIDED, ha="center", va="center")
            return words
        figure = rooms()[name].module.figure(table)
        unfold(figure)
        fit(figure)
        return figure
