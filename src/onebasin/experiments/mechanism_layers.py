"""What do the layers of a mixture compute, with and without a permutation?

How far two mechanisms miss the outputs of the layers of λ a + (1 - λ) b: squared error over the square of the output.
*Linear*, filled: λ f(a) + (1 - λ) f(b), as after matching. *Exponential*, open: λ^l f(a) + (1 - λ)^l f(b) at layer l,
as in wide networks without a permutation (`arXiv 2510.08023 <https://arxiv.org/abs/2510.08023>`_). At the first layer
both are exact, and nothing is drawn. The second needs weights that hardly see what the other network computes: *seen*
is the size of what the weights of *b* make of the activations of *a*, over what those of *a* make of them, and the
other way round. It is said to follow from a low *stable rank* of the weights. For λ = {mechanism_layers[shares][0]}, on
test data.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from onebasin.columns import CONFIGURATION, METHOD, NUMBER, PAIR, SPLIT, TEXT, WHOLE, Column
from onebasin.experiments import Counts, Needs, Row
from onebasin.experiments.mechanism import KIND, ways
from onebasin.summaries import Summary, summarise

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from pandas import DataFrame

    from onebasin.figures.style import Mark
    from onebasin.study.study import Study

PLACE, CATEGORY = 38, "Networks and width"
NEEDS = Needs(
    networks=2, purpose="a pair", widths="mechanism.widths", points=None, corrected=False, permutations=("last",)
)
SETTINGS: dict[str, Any] = {
    "shares": {
        "description": "Shares of network a in the mixtures whose layers are looked at; the first one is drawn.",
        "type": "array",
        "items": {"type": "number", "exclusiveMinimum": 0, "exclusiveMaximum": 1},
        "minItems": 1,
        "uniqueItems": True,
    },
}
COLUMNS = (
    *CONFIGURATION,
    KIND,
    *METHOD,
    *PAIR,
    SPLIT,
    Column("share", NUMBER, "λ, the share of network a in the mixture"),
    Column("layer", TEXT, "name of the layer, a linear one or a convolution"),
    Column("depth", WHOLE, "its place in the order of evaluation, from 1"),
    Column("linear_cosine", NUMBER, "cosine of the layer's output, before a norm or ReLU, and the linear prediction"),
    Column("exponential_cosine", NUMBER, "the same for the exponentially weighted prediction"),
    Column("linear_error", NUMBER, "squared error of the linear prediction over the square of the output"),
    Column("exponential_error", NUMBER, "the same for the exponentially weighted prediction"),
    Column("seen_a", NUMBER, "norm of W_b z_a over that of W_a z_a: W the weights of the layer, z what it reads"),
    Column("seen_b", NUMBER, "norm of W_a z_b over that of W_b z_b"),
    Column("stable_rank_a", NUMBER, "sum of the squared singular values of the layer's weights in a over the largest"),
    Column("stable_rank_b", NUMBER, "the same in network b"),
)


def work(settings: Mapping[str, Any], counts: Counts) -> dict[str, Any]:
    """Count both networks and their mixtures, of each pair under each permutation, and both again for overlaps."""
    return {"evaluations": counts.pairs * (counts.series + 1) * (len(settings["shares"]) + 4)}


def measure(study: Study, settings: Mapping[str, Any]) -> Iterator[Row]:
    """Hold the layers of the mixtures of every pair against both mechanisms."""
    from onebasin.landscape.mechanisms import Layers

    networks = study.networks()
    looked_at = {
        split: Layers(study.model, images, settings["batch_size"])
        for split, (images, _) in study.measurement.splits.items()
    }
    ranks = {seed: looked_at["train"].stable_ranks(state) for seed, state in networks.items()}
    for split, layers in looked_at.items():
        for a, b in study.pairs:
            for way, state in ways(study, a, b):
                seen_a, seen_b = layers.overlaps(networks[a], state), layers.overlaps(state, networks[a])
                for found in layers.predictions(networks[a], state, settings["shares"]):
                    name = found.layer
                    yield {
                        **study.configuration,
                        **way,
                        "a": a,
                        "b": b,
                        "split": split,
                        "share": found.share,
                        "layer": name,
                        "depth": found.depth,
                        **{f"{mechanism}_cosine": value for mechanism, value in found.cosine.items()},
                        **{f"{mechanism}_error": value for mechanism, value in found.error.items()},
                        "seen_a": seen_a[name],
                        "seen_b": seen_b[name],
                        "stable_rank_a": ranks[a][name],
                        "stable_rank_b": ranks[b][name],
                    }


def _means(rows: DataFrame) -> DataFrame:
    """Add the means of both networks."""
    return rows.assign(
        seen=(rows["seen_a"] + rows["seen_b"]) / 2, stable_rank=(rows["stable_rank_a"] + rows["stable_rank_b"]) / 2
    )


SUMMARY = Summary(
    "model width kind method split share depth layer",
    "linear_error exponential_error linear_cosine exponential_cosine seen stable_rank",
    "a b",
    _means,
)
BEHIND = Summary("model width kind method", "linear_error exponential_error seen", "a b", _means)
"""What the finding tells: means over layers."""
KINDS = ("none", "matched")
"""What of the rows is drawn."""
LINEAR, EXPONENTIAL = "linear_error", "exponential_error"
ERRORS: dict[str, Any] = {LINEAR: "-", EXPONENTIAL: (0, (1, 1))}
"""The lines of both predictions."""


def _drawn(table: DataFrame) -> DataFrame:
    """Return what is drawn: test data, the first of the shares, networks as they are or matched."""
    return table[(table["split"] == "test") & (table["share"] == table["share"].iloc[0]) & table["kind"].isin(KINDS)]


def finding(table: DataFrame) -> str:
    """Say how far both mechanisms miss the layers behind the first, and how much these see of the other network."""
    from onebasin import findings

    drawn = _drawn(table)
    rows = summarise(drawn[drawn["depth"] > 1], BEHIND)
    sentences = []
    for name, part in findings.widest(rows):
        shown = part[(part["kind"] == "none") | (part["method"] == findings.best(part, LINEAR)["method"])]
        told = [
            f"{findings.mean(row, LINEAR)} and {findings.mean(row, EXPONENTIAL)} {findings.way(row)}"
            for _, row in shown.iterrows()
        ]
        text = (
            f"Behind the first layer of {name}, the squared errors of the linear and of the exponentially weighted "
            f"prediction are {findings.listed(told)} of the square of the output"
        )
        for _, plain in findings.where(part, kind="none").iterrows():
            text += f"; without, weights see {findings.mean(plain, 'seen')} of what they see of their own network"
        sentences.append(f"{text} ({findings.of_networks(part)}).")
    return findings.joined(sentences)


def figure(table: DataFrame) -> Figure:
    """Draw a row of panels for each model against width, one line for each layer from the first, dark, to the last.

    The errors of both predictions without a permutation, and by the method for which that of the linear one is least;
    then what weights see of the other network, and stable ranks.
    """
    from dataclasses import replace

    from matplotlib.lines import Line2D

    from onebasin.figures import panels, style
    from onebasin.figures.legend import legend, paths
    from onebasin.figures.series import beside, handles, series

    table = _means(_drawn(table))
    labels, models, marks = style.method_labels(table), style.unique(table["model"]), _marks(int(table["depth"].max()))
    behind = table[table["depth"] > 1]
    matched = behind[behind["kind"] == "matched"].groupby("method")[LINEAR].mean()
    methods = ["none", *([matched.idxmin()] if len(matched) else [])]
    columns = [(f"error:\n{labels[str(method)]}", behind[behind["method"] == method], ERRORS) for method in methods]
    columns.append((f"seen:\n{labels['none']}", behind[behind["method"] == "none"], {"seen": "-"}))
    columns.append(("stable rank", table[table["method"] == "none"], {"stable_rank": "-"}))
    errors = behind.loc[behind["method"].isin(methods), list(ERRORS)]
    drawn, axes = panels.grid(len(models), len(columns), 1.7, sharey="col")
    for (title, rows, values), column in zip(columns, axes.T, strict=True):
        ends = (errors if values is ERRORS else rows[list(values)]).to_numpy()
        for model, axis in zip(models, column, strict=True):
            part = rows[rows["model"] == model]
            panels.width_axis(axis, sorted(part["width"].unique()))
            panels.log_axis(axis, ends.min() / 1.4, 1.4 * ends.max())
            slots = [(depth, value) for depth in marks for value in values if depth in set(part["depth"])]
            for slot, (depth, value) in enumerate(slots):
                mark = replace(marks[depth], filled=value != EXPONENTIAL, line=values[value])
                of_layer = part[part["depth"] == depth]
                series(axis, of_layer, value, mark, beside(axis, of_layer["width"], slot, len(slots)), ["a", "b"])
        column[0].set_title(title)
        column[-1].set_xlabel("width")
    for model, axis in zip(models, axes[:, 0], strict=True):
        axis.set_ylabel(f"{model}\nerror over output")
    entries = [mark.handle() for mark in list(marks.values())[:: -(-len(marks) // 8)]]
    grey: dict[str, Any] = {"color": style.GREY, "marker": "o", "markersize": 4}
    entries.append(Line2D([], [], **grey, linestyle=ERRORS[LINEAR], label="linear"))
    entries.append(Line2D([], [], **grey, linestyle=ERRORS[EXPONENTIAL], markerfacecolor="white", label="exponential"))
    legend(drawn, [*entries, *handles(f"one of {paths(table)}")], 4)
    return drawn


def _marks(count: int) -> dict[int, Mark]:
    """Return the mark of each layer by its depth."""
    import matplotlib
    import numpy as np
    from matplotlib.colors import to_hex

    from onebasin.figures.style import Mark

    colours = matplotlib.colormaps["viridis"](np.linspace(0, 0.9, count))
    return {depth: Mark(f"layer {depth}", to_hex(colour)) for depth, colour in enumerate(colours, start=1)}
