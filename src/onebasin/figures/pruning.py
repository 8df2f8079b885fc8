"""What networks lose as they are pruned: accuracy, loss, weights of each layer, units; against density."""

from __future__ import annotations

from typing import Any

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from pandas import DataFrame

from onebasin.figures import style
from onebasin.figures.style import Mark

TRAINED = {
    "train": Mark("train", style.OKABE_ITO[0]),
    "test": Mark("test", style.OKABE_ITO[1], "s", line=(0, (4, 1.5))),
}


@matplotlib.rc_context(style.STYLE)
def pruning(frame: DataFrame) -> Figure:
    """Draw table `pruning`: one row of panels per model; error, loss, density of each layer, dead units."""
    style.check(frame)
    models = style.unique(zip(frame["model"], frame["width"], strict=True))
    figure, axes = style.panels(len(models), 4, 2.0)
    for (model, width), line in zip(models, axes, strict=True):
        part = frame[(frame["model"] == model) & (frame["width"] == width)]
        networks = part[part["layer"] == "all"]
        for axis in line:
            style.density_axis(axis, part["density"])
        for axis, metric in zip(line, ("error", "loss"), strict=False):
            for slot, (split, mark) in enumerate(TRAINED.items()):
                _strip(axis, networks, f"{split}_{metric}", mark, slot)
            style.from_zero(axis)
        _layers(line[2], part[part["layer"] != "all"])
        share = networks.assign(share=networks["dead_units"] / networks["units"])
        _strip(line[3], share, "share", Mark("", style.GREY), None)
        style.from_zero(line[3])
        line[0].set_ylabel(f"{model}, width {width}")
    for top, bottom, title in zip(
        axes[0], axes[-1], ("error", "loss (nats)", "density of a layer", "share of dead units"), strict=True
    ):
        top.set_title(title)
        bottom.set_xlabel("density")
    style.legend(figure, [*(mark.handle() for mark in TRAINED.values()), *style.strip_handles("one network")], 4)
    return figure


def _strip(axis: Axes, frame: DataFrame, column: str, mark: Mark, slot: int | None) -> None:
    place: Any = {"slot": slot or 0, "slots": 1 if slot is None else len(TRAINED), "against": "density"}
    style.strip(axis, frame, column, mark, networks=["seed"], **place)


def _layers(axis: Axes, frame: DataFrame) -> None:
    """Draw the density of each layer of each network, from the first layer, dark, to the last one, light."""
    layers = style.unique(frame["layer"])
    colours = matplotlib.colormaps["viridis"](np.linspace(0, 0.9, len(layers)))
    for layer, colour in zip(layers, colours, strict=True):
        part = frame[frame["layer"] == layer]
        for _, network in part.groupby("seed"):
            line = network.sort_values("density")
            axis.plot(line["density"], line["remaining"] / line["weights"], color=colour, linewidth=0.7, alpha=0.8)
    low = float((frame["remaining"] / frame["weights"]).replace(0, np.nan).min())
    style.log_axis(axis, low / 1.4, 1.4)
    if len(layers) <= 4:
        handles = [Mark(layer, tuple(colour), "").handle() for layer, colour in zip(layers, colours, strict=True)]  # type: ignore[arg-type]
        axis.legend(handles=handles, loc="lower left", fontsize=6, handlelength=1.2)
