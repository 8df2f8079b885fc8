"""Do barriers arise in single layers, or only from layers together?

One layer, or the first *k*, goes from network *a* to network *b*; every other layer is that of *a* (layer-wise
connectivity, Adilova et al. 2024, `arXiv 2307.06966 <https://arxiv.org/abs/2307.06966>`_). Drawn is how far the error
lies above that of *a* where these layers are half-way, on training data: without a permutation, and with *b* permuted
to match *a*. Layers are counted from the input; of more than {layerwise[limit]}, that many are looked at. *Blocks*, in
residual networks: all layers, where one permutation need not serve all blocks of a stage. Each block is matched in a
frame of its own, and between blocks the activations are mapped from one frame to the next, by the identity in *a*, by
the permutation in *b*, and mixed as weights are in between.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from onebasin.columns import BARRIER, CONFIGURATION, METHOD, NUMBER, PAIR, TEXT, WHOLE, Column
from onebasin.experiments import Counts, Needs, Row, widths
from onebasin.experiments.layers import hybrid
from onebasin.landscape.barrier import barriers, highest
from onebasin.summaries import Summary, summarise

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from pandas import DataFrame

    from onebasin.study.study import Study

PLACE, CATEGORY = 26, "Networks and width"
NEEDS = Needs(
    networks=2,
    purpose="a pair",
    widths="layerwise.widths",
    points="layerwise.points",
    permutations=("last",),
    parts=("none", "methods"),
)
SETTINGS: dict[str, Any] = {
    "widths": widths("Widths at which layers are looked at, for every model that has them."),
    "points": {
        "description": "Evenly spaced points on the way of a layer, its two ends included.",
        "type": "integer",
        "minimum": 3,
    },
    "limit": {
        "description": "Layers that are looked at; of more, so many are, evenly from the first to the last.",
        "type": "integer",
        "minimum": 2,
    },
}
COLUMNS = (
    *CONFIGURATION,
    *METHOD,
    Column("part", TEXT, "`one`, `prefix` or `blocks`: what goes from a to b; `blocks` is all of a residual network"),
    Column("layer", WHOLE, "number of the layer, or of the last one of the prefix, from 1 at the input"),
    Column("layers", WHOLE, "number of layers of the network"),
    *PAIR,
    *BARRIER,
    Column("halfway", NUMBER, "metric half-way less that of network a, in the unit of the metric"),
    Column("excess", NUMBER, "largest rise above network a on the way, in the unit of the metric"),
)
SUMMARY = Summary("model width method part layer split metric", "barrier halfway excess", "a b")
TITLES = {"one": "layer k alone", "prefix": "layers 1 to k"}


def check(config: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Refuse ways without a middle."""
    if config["layerwise"]["points"] % 2 == 0:
        yield "layerwise.points", f"{config['layerwise']['points']} is not allowed. Allowed: odd numbers"


def work(settings: Mapping[str, Any], counts: Counts) -> dict[str, Any]:
    """Count each layer and each prefix of every pair; residual networks take a matching and a line more."""
    lines = (2 * min(counts.layers, settings["limit"]) + 1) * counts.pairs * counts.series
    return {"matchings": counts.pairs, "evaluations": lines * settings["points"]}


def measure(study: Study, settings: Mapping[str, Any]) -> Iterator[Row]:
    """Measure the way of every layer and prefix of every pair; of residual networks that of untied blocks too."""
    from onebasin import symmetry

    method, networks, untied = study.method, study.networks(), study.untied
    permutations = study.permutations(method.name)
    layers = symmetry.layers(study.model, study.images("train", 2)[0])
    for a, b in study.pairs:
        ends = networks[a], networks[b]
        moved = study.symmetry.apply(permutations[a, b], ends[1]) if permutations else ends[1]
        about = {**study.configuration, **method.columns, "layers": len(layers), "a": a, "b": b}
        for layer in chosen(len(layers), settings["limit"]):
            for part, kept in (("one", {layer}), ("prefix", set(range(1, layer + 1)))):
                way = study.curve((ends[0], hybrid(layers, kept, moved, ends[0])), {})
                yield from ({**about, "part": part, "layer": layer, **row} for row in rises(way))
        if untied and permutations:
            first, second = (untied.completed(state) for state in ends)
            second = untied.symmetry.apply(untied.match(first, second, method), second)
            for row in rises(untied.curve((first, second), {})):
                yield {**about, "part": "blocks", "layer": len(layers), **row}


def chosen(count: int, limit: int) -> list[int]:
    """Return the numbers of all layers; of more than a limit, so many of them, the first and the last among them."""
    if count <= limit:
        return list(range(1, count + 1))
    return [1 + round(place * (count - 1) / (limit - 1)) for place in range(limit)]


def rises(curve: Iterator[Row]) -> Iterator[Row]:
    """Reduce a curve to its barriers, each with the rise above its first end, half-way and at most."""
    points = list(curve)
    for row in barriers(points):
        values = {point["alpha"]: point[row["metric"]] for point in points if point["split"] == row["split"]}
        largest = highest([(1.0,)] * len(values), values.values(), [row["end_a"]]).rise
        yield {**row, "halfway": values[0.5] - row["end_a"], "excess": largest}


def finding(table: DataFrame) -> str:
    """Say how far the error rises half-way: by the worst layer alone, by all, and with blocks matched apart."""
    from onebasin import findings

    rows = findings.where(summarise(table, SUMMARY), metric="error", split="train")
    last = dict(table.groupby("model")["layers"].max())
    sentences = []
    for name, part in findings.widest(rows):
        told = []
        for _, tried in part.groupby("method", sort=False):
            whole = findings.where(tried, part="prefix", layer=int(last[part["model"].iloc[0]])).iloc[0]
            worst = findings.worst(findings.where(tried, part="one"), "halfway")
            words = (
                f"{findings.way(whole)} by {findings.mean(worst, 'halfway')} with layer {worst['layer']}, the worst, "
                f"and by {findings.mean(whole, 'halfway')} with all"
            )
            blocks = findings.where(tried, part="blocks")
            if len(blocks):
                words += f" ({findings.mean(blocks.iloc[0], 'halfway')} with blocks matched apart)"
            told.append(words)
        sentences.append(
            f"Half-way, the training error of {name} rises {'; '.join(told)} ({findings.of_networks(part)})."
        )
    return findings.joined(sentences)


def figure(table: DataFrame) -> Figure:
    """Draw the rise of the error half-way on training data: a row per model and width, layers alone beside prefixes.

    Where blocks were matched apart, that stands behind the last prefix.
    """
    import numpy as np

    from onebasin.figures import panels, style
    from onebasin.figures.legend import legend, paths
    from onebasin.figures.series import beside, handles, series

    table = table[(table["metric"] == "error") & (table["split"] == style.SPLITS[0]) & np.isfinite(table["halfway"])]
    rows = style.unique(zip(table["model"], table["width"], strict=True))
    marks = style.method_marks(table)
    drawn, axes = panels.grid(len(rows), len(TITLES), 1.5, sharey="row")
    for (model, width), line in zip(rows, axes, strict=True):
        of = table[(table["model"] == model) & (table["width"] == width)]
        last = int(of["layers"].max())
        numbers = sorted(of.loc[of["part"] == "one", "layer"].unique())
        for axis, part in zip(line, TITLES, strict=True):
            shown, blocks = of[of["part"] == part], of[of["part"] == "blocks"]
            apart = part == "prefix" and len(blocks) > 0
            for slot, (method, mark) in enumerate(marks.items()):
                for of_part, shift, joined in ((shown, 0.0, True), (blocks if apart else blocks[:0], last / 8, False)):
                    among = of_part[of_part["method"] == method]
                    places, _ = beside(axis, among["layer"] + shift, slot, len(marks), room=0.3)
                    series(axis, among, "halfway", mark, (places, 0.0), ["a", "b"], joined=joined)
            ticks = [*numbers, *([last * 9 / 8] if apart else [])]
            axis.set_xticks(ticks, [*map(str, numbers), "blocks"][: len(ticks)])
        line[0].set_ylim(bottom=min(0.0, line[0].get_ylim()[0]))
        line[0].set_ylabel(f"{model}, width {width}\nerror half-way,\nabove that of a")
    for top, bottom, title in zip(axes[0], axes[-1], TITLES.values(), strict=True):
        top.set_title(title)
        bottom.set_xlabel("layer k")
    legend(drawn, [*(mark.handle() for mark in marks.values()), *handles(f"one of {paths(table)}")], 3)
    return drawn
