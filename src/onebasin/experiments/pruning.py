"""What do networks lose as they are pruned?

Networks pruned level by level: error and loss on training and test data, how much remains of each layer, and the
share of hidden units that do nothing any more, against the share of all weights that remains. At each level
{pruning[fraction]} of the remaining weights are removed ({pruning[strategy]}), what is left is set back to epoch
{pruning[rewind]} and trained again (iterative magnitude pruning with rewinding, Frankle et al. 2020). A unit counts
as dead when it is the same for all training data, or when no weight reads it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from onebasin.columns import CONFIGURATION, LEVEL, TEXT, VALUES_OF_SPLITS, WHOLE, Column
from onebasin.experiments import Counts, Needs, Row
from onebasin.summaries import Summary, summarise

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from pandas import DataFrame

    from onebasin.study.study import Study

PLACE, CATEGORY = 130, "Pruning"
NEEDS = Needs(
    networks=1,
    purpose="a network",
    widths="pruning.widths",
    points=None,
    states=("last", "levels"),
    masks=("levels",),
)
COLUMNS = (
    *CONFIGURATION,
    Column("seed", WHOLE, "seed of the network"),
    *LEVEL,
    *VALUES_OF_SPLITS,
    Column("layer", TEXT, "`all`, or the name of a layer that is pruned"),
    Column("weights", WHOLE, "weights of the layer, or of all layers, that may be pruned"),
    Column("remaining", WHOLE, "how many of them remain"),
    Column(
        "units",
        WHOLE,
        "hidden units of the permutation group named after the layer, 0 where there is none; of all for `all`",
    ),
    Column(
        "dead_units",
        WHOLE,
        "how many of these are the same for all training data, or are read by no weight other than 0",
    ),
)


def work(settings: Mapping[str, Any], counts: Counts) -> dict[str, Any]:
    """Count every network."""
    return {"evaluations": counts.states}


def measure(study: Study, settings: Mapping[str, Any]) -> Iterator[Row]:
    """Measure every network at every level, and count what remains of each of its layers."""
    from onebasin import prune

    images, _ = study.measurement.splits["train"]
    dense = prune.full(study.model, study.symmetry, settings["output_layer"])
    for seed in study.seeds:
        for level in (0, *study.levels):
            state, mask = study.networks(level=level)[seed], study.mask(seed, level) if level else dense
            dead = prune.dead_units(study.symmetry, study.model, state, images)
            about = {**study.configuration, "seed": seed, "level": level, "density": mask.density}
            about |= study.measurement.values(state)
            yield from ({**about, **row} for row in layers(mask.counts(), study.symmetry.sizes, dead))


def layers(weights: Mapping[str, tuple[int, int]], units: Mapping[str, int], dead: Mapping[str, int]) -> Iterator[Row]:
    """Yield the columns that say what remains: for the whole network first, then for each layer.

    Args:
        weights: for the name of a parameter, how many of its weights remain and how many there are.
        units: the units of each permutation group.
        dead: those of them that do nothing.
    """
    remaining, total = (sum(counts) for counts in zip(*weights.values(), strict=True))
    whole = {"weights": total, "remaining": remaining, "units": sum(units.values()), "dead_units": sum(dead.values())}
    yield {"layer": "all", **whole}
    for key, (remaining, total) in weights.items():
        layer = key.removesuffix(".weight")
        counts = {"units": units.get(layer, 0), "dead_units": dead.get(layer, 0)}
        yield {"layer": layer, "weights": total, "remaining": remaining, **counts}


def _shares(rows: DataFrame) -> DataFrame:
    """Add the shares of weights that remain and of units that are dead."""
    return rows.assign(
        left=rows["remaining"] / rows["weights"].clip(lower=1), dead=rows["dead_units"] / rows["units"].clip(lower=1)
    )


SUMMARY = Summary(
    "model width level density layer", "train_error test_error train_loss test_loss left dead", "seed", _shares
)


def finding(table: DataFrame) -> str:
    """Say what networks miss and which units are dead at the sparsest level."""
    from onebasin import findings
    from onebasin.prose import percent

    rows = findings.where(summarise(table, SUMMARY), layer="all")
    sentences = []
    for name, part in findings.widest(rows):
        dense, sparse = part.iloc[0], findings.worst(part, "level")
        sentences.append(
            f"{name} with {percent(sparse['density'])} of its weights misses {findings.mean(sparse, 'test_error')} of "
            f"the test images, with all of them {findings.mean(dense, 'test_error')}; of its units, "
            f"{findings.mean(sparse, 'dead')} are dead, {findings.mean(dense, 'dead')} before "
            f"({findings.of_networks(part)})."
        )
    return findings.joined(sentences)


def figure(table: DataFrame) -> Figure:
    """Draw one row of panels per model; error, loss, density of each layer, dead units."""
    from onebasin.figures import panels, style
    from onebasin.figures.legend import legend, networks
    from onebasin.figures.series import beside, handles, series

    models = style.unique(zip(table["model"], table["width"], strict=True))
    marks = {
        "train": style.Mark("train", style.OKABE_ITO[0]),
        "test": style.Mark("test", style.OKABE_ITO[1], "s", line=(0, (4, 1.5))),
    }
    drawn, axes = panels.grid(len(models), 4, 2.0)
    for (model, width), line in zip(models, axes, strict=True):
        part = table[(table["model"] == model) & (table["width"] == width)]
        whole = part[part["layer"] == "all"]
        for axis in line:
            panels.density_axis(axis, part["density"])
        for axis, metric in zip(line, ("error", "loss"), strict=False):
            for slot, (split, mark) in enumerate(marks.items()):
                places = beside(axis, whole["density"], slot, len(marks))
                series(axis, whole, f"{split}_{metric}", mark, places, ["seed"])
            panels.from_zero(axis)
        _draw_layers(line[2], part[part["layer"] != "all"])
        dead = whole.assign(share=whole["dead_units"] / whole["units"])
        places = beside(line[3], dead["density"], 0, 1)
        series(line[3], dead, "share", style.Mark("dead units", style.GREY), places, ["seed"])
        panels.from_zero(line[3])
        line[0].set_ylabel(f"{model}, width {width}")
    titles = ("error", "loss (nats)", "density of a layer", "share of dead units")
    for top, bottom, title in zip(axes[0], axes[-1], titles, strict=True):
        top.set_title(title)
        bottom.set_xlabel("density")
    one = f"one of {networks(table, ['seed'])}"
    legend(drawn, [*(mark.handle() for mark in marks.values()), *handles(one)], 4)
    return drawn


def _draw_layers(axis: Axes, table: DataFrame) -> None:
    """Draw the density of each layer of each network, from the first layer, dark, to the last one, light."""
    import matplotlib
    import numpy as np
    from matplotlib.colors import to_hex

    from onebasin.figures import panels, style

    layers = style.unique(table["layer"])
    colours = [to_hex(colour) for colour in matplotlib.colormaps["viridis"](np.linspace(0, 0.9, len(layers)))]
    for layer, colour in zip(layers, colours, strict=True):
        part = table[table["layer"] == layer]
        for _, network in part.groupby("seed"):
            line = network.sort_values("density")
            axis.plot(line["density"], line["remaining"] / line["weights"], color=colour, linewidth=0.7, alpha=0.8)
    low = float((table["remaining"] / table["weights"]).replace(0, np.nan).min())
    panels.log_axis(axis, low / 1.4, 1.4)
    if len(layers) <= 4:
        entries = [style.Mark(f"layer {k}", colour, "").handle() for k, colour in enumerate(colours, start=1)]
        axis.legend(handles=entries, loc="lower left", fontsize=style.size("small"), handlelength=1.2)
