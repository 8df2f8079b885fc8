"""Which layers decide the permutation?

Hybrids of both networks, some layers as they are at the end of training and the others set back to an earlier epoch
(*rewound*), are matched; the permutation is then measured on the networks at the end (Sharma et al. 2024). The error
barrier on training data, every pair drawn. Layers are counted from the input, in the order in which the network uses
their weights. Where all layers are kept, the permutation is the final one.
"""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from onebasin.columns import BARRIER, CONFIGURATION, METHOD, PAIR, TEXT, WHOLE, Column
from onebasin.experiments import Counts, Needs, Row
from onebasin.summaries import Summary, summarise

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from pandas import DataFrame
    from torch import Tensor

    from onebasin.permutation import Permutation
    from onebasin.study.study import Method, Study

    State = Mapping[str, Tensor]

PLACE, CATEGORY = 110, "Along training"
NEEDS = Needs(
    networks=2,
    purpose="a pair",
    widths="history.widths",
    points="history.points",
    states=("last", "rewound"),
    parts=("none", "methods"),
)
SETTINGS: dict[str, Any] = {
    "epochs": {
        "description": "Epochs to which layers are rewound, of those of `history.epochs`.",
        "type": "array",
        "items": {"type": "integer", "minimum": 0},
        "minItems": 1,
        "uniqueItems": True,
    },
}
COLUMNS = (
    *CONFIGURATION,
    *METHOD,
    Column("kind", TEXT, "`bottom_up`, `top_down`, `one_in`, `one_out`, `rewound`, `none`: what was not rewound"),
    Column(
        "rewound",
        WHOLE,
        "epoch to which the other layers were rewound before matching; empty without a permutation",
        optional=True,
    ),
    Column("place", WHOLE, "number of the layer, from 1 at the input; empty for `rewound` and `none`", optional=True),
    Column("layers", WHOLE, "number of layers of the network"),
    *PAIR,
    *BARRIER,
)
SUMMARY = Summary("model width method kind rewound place split metric", "barrier", "a b")
KINDS = {
    "bottom_up": "bottom-up: layers 1 to k kept",
    "top_down": "top-down: k to the last kept",
    "one_in": "one in: layer k alone kept",
    "one_out": "one out: layer k rewound",
}


def check(config: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Refuse epochs whose checkpoints are not kept, and the last one."""
    kept = sorted(epoch for epoch in config["history"]["epochs"] if epoch < config["training"]["epochs"])
    for epoch in sorted(set(config["layers"]["epochs"]) - set(kept)):
        yield "layers.epochs", f"{epoch} is no epoch of history.epochs. Allowed: {', '.join(map(str, kept))}"


def work(settings: Mapping[str, Any], counts: Counts) -> dict[str, Any]:
    """Count four hybrids for each layer, and one without, of each pair and epoch."""
    hybrids = (4 * counts.layers + 1) * counts.pairs * len(settings["epochs"])
    return {"matchings": hybrids, "evaluations": counts.series * hybrids * settings["points"]}


def measure(study: Study, settings: Mapping[str, Any]) -> Iterator[Row]:
    """Measure the barriers at the end of training under permutations found on hybrids."""
    from onebasin import symmetry

    method, networks = study.method, study.networks()
    layers = symmetry.layers(study.model, study.images("train", 2)[0])
    for number, keys in enumerate(layers, start=1):
        logging.info("layer %d: %s", number, ", ".join(keys))
    for a, b in study.pairs:
        tried: dict[Any, Permutation] = {(None, "none", None): study.symmetry.identity()}
        if method.name != "none":
            tried = dict(_match(study, method, (a, b), layers, sorted(settings["epochs"])))
        about = {**study.configuration, **method.columns}
        for (epoch, kind, place), values in study.barriers((networks[a], networks[b]), tried):
            which = {"kind": kind, "rewound": epoch, "place": place, "layers": len(layers)}
            yield {**about, **which, "a": a, "b": b, **values}


def _match(
    study: Study, method: Method, pair: tuple[int, int], layers: Sequence[Sequence[str]], epochs: Sequence[int]
) -> Iterator[tuple[tuple[int, str, int | None], Permutation]]:
    """Yield the permutation of each kind of hybrid; the same hybrid is matched once, whatever it is called."""
    networks = study.networks()
    matched: dict[Any, Permutation] = {}
    parts = {("rewound", None): frozenset(), **kept_layers(len(layers))}
    for epoch in epochs:
        earlier = study.networks(epoch=epoch)
        for name, kept in parts.items():
            # With every layer kept it is the network at the end, whatever the others would be rewound to.
            key = (kept, epoch if len(kept) < len(layers) else None)
            if key not in matched:
                first, second = (hybrid(layers, kept, networks[seed], earlier[seed]) for seed in pair)
                matched[key] = study.match(first, second, method)
            yield (epoch, *name), matched[key]


def kept_layers(count: int) -> dict[tuple[str, int | None], frozenset[int]]:
    """Return which of the layers 1 … count are kept from the end of training, for every kind of hybrid.

    Returns:
        By kind and layer: "bottom_up", the layers up to this one, "top_down", this one and those above, "one_in", this
        one alone, "one_out", all but this one.
    """
    every = frozenset(range(1, count + 1))
    kinds = {
        "bottom_up": lambda layer: frozenset(range(1, layer + 1)),
        "top_down": lambda layer: frozenset(range(layer, count + 1)),
        "one_in": lambda layer: frozenset({layer}),
        "one_out": lambda layer: every - {layer},
    }
    return {(kind, layer): kept(layer) for kind, kept in kinds.items() for layer in sorted(every)}


def hybrid(layers: Sequence[Sequence[str]], kept: Collection[int], end: State, earlier: State) -> dict[str, Tensor]:
    """Return the network whose layers in ``kept`` are those of one state, the others those of an earlier one.

    Args:
        layers: the keys of each layer, from the first; each key of the states once.
        kept: numbers of layers, from 1.
        end: the state at the end of training.
        earlier: the state to whose values the other layers are rewound.

    Raises:
        ValueError: if the layers and the states do not have the same keys.
    """
    source = {key: end if number in kept else earlier for number, keys in enumerate(layers, start=1) for key in keys}
    if not source.keys() == end.keys() == earlier.keys():
        raise ValueError("the layers do not have the keys of the states")
    return {key: source[key][key] for key in end}


def finding(table: DataFrame) -> str:
    """Say which layer, rewound alone, spoils the permutation most."""
    from onebasin import findings

    rows = findings.where(summarise(table, SUMMARY), metric="error", split="train")
    sentences = []
    for name, part in findings.widest(rows[rows["method"] != "none"]):
        for method, tried in findings.by_best(part).groupby("method", sort=False):
            early = tried[tried["rewound"] == tried["rewound"].min()]
            alone, none = early[early["kind"] == "one_out"], early[early["kind"] == "rewound"]
            if alone.empty or none.empty:
                continue
            worst, least = findings.worst(alone), findings.best(alone)
            sentences.append(
                f"{name} by {method}: where one layer was rewound to epoch {worst['rewound']:.0f} for the matching, "
                f"the training error barrier at the end is {findings.mean(worst)} for layer {worst['place']:.0f}, "
                f"which matters most, and {findings.mean(least)} for layer {least['place']:.0f}, which matters least; "
                f"where all were, {findings.mean(none.iloc[0])} ({findings.of_networks(early)})."
            )
    return findings.joined(sentences)


def figure(table: DataFrame) -> Figure:
    """Draw the error barrier on training data, a row per model, width and epoch, a column per kind.

    Horizontal lines are the means without a permutation, and with those of wholly rewound networks.
    """
    import numpy as np
    from matplotlib.lines import Line2D
    from matplotlib.ticker import MaxNLocator

    from onebasin.figures import panels, style
    from onebasin.figures.legend import legend, paths
    from onebasin.figures.series import beside, handles, series

    table = table[(table["metric"] == "error") & (table["split"] == style.SPLITS[0]) & np.isfinite(table["barrier"])]
    rewound = table[table["rewound"].notna()]
    rows = style.unique(zip(rewound["model"], rewound["width"], rewound["rewound"], strict=True))
    marks = style.method_marks(table)
    drawn, axes = panels.grid(len(rows), len(KINDS), 1.9, sharey="row")
    clipped = 0
    dotted: dict[str, Any] = {"linewidth": 0.8, "linestyle": (0, (1, 1.5))}
    for (model, width, epoch), line in zip(rows, axes, strict=True):
        part = table[(table["model"] == model) & (table["width"] == width)]
        floor = panels.barrier_axis(line, part["barrier"], "error")
        for axis, kind in zip(line, KINDS, strict=True):
            for slot, (method, mark) in enumerate(marks.items()):
                of_method = part[part["method"] == method]
                if method == "none":
                    axis.axhline(max(of_method["barrier"].mean(), floor), color=mark.colour, linestyle=mark.line)
                    continue
                of_method = of_method[of_method["rewound"] == epoch]
                whole = of_method.loc[of_method["kind"] == "rewound", "barrier"].mean()
                axis.axhline(max(whole, floor), color=mark.colour, zorder=1, **dotted)
                shown = of_method[of_method["kind"] == kind]
                places, _ = beside(axis, shown["place"], slot, len(marks), room=0.3)
                clipped += series(axis, shown, "barrier", mark, (places, 0.0), ["a", "b"], floor=floor)
            axis.xaxis.set_major_locator(MaxNLocator(8, integer=True))
        line[0].set_ylabel(f"{model}, width {width}\nrewound to epoch {epoch}\ntrain {style.BARRIERS['error']}")
    for top, bottom, title in zip(axes[0], axes[-1], KINDS.values(), strict=True):
        top.set_title(title.replace(": ", "\n"))
        bottom.set_xlabel("layer k")
    entries = [mark.handle() for mark in marks.values()]
    entries.append(Line2D([], [], color=style.GREY, label="all layers rewound: mean", **dotted))
    legend(drawn, [*entries, panels.connected_handle(), *handles(f"one of {paths(table)}", clipped)], 3)
    return drawn
