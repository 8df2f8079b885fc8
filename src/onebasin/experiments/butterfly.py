"""How far apart does a tiny change take a network, and do permutations undo it?

Children share all steps of their network up to a moment. There they are perturbed, and see the *same* batches from then
on (Kwok et al. 2025, arXiv 2506.13234): by Gaussian noise with the spread that each layer's weights had at the start,
or by the gradient of one other batch; σ = 1 is as long as an initialisation, of all weights, a share, or a single one.
*Other batches*: children that are not perturbed and see the images in another order. *Independent*: two networks of
different initialisations. Barriers at the end of training, without a permutation and under that of each method; below,
by how much the permutation changes the error barrier of the same two networks, and the fraction of units that it leaves
in place. Trained on {butterfly[data][name]} as `butterfly.data` says, which may give training images wrong labels.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from onebasin.columns import BARRIER, CONFIGURATION, METHOD, NUMBER, PAIR, TEXT, WHOLE, Column
from onebasin.experiments import Counts, Needs, Row, own_networks, widths, wrong_labels
from onebasin.landscape.barrier import barriers
from onebasin.summaries import Summary, summarise

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from pandas import DataFrame, Series
    from torch import Tensor

    from onebasin.study.study import Study
    from onebasin.symmetry import State

PLACE, CATEGORY = 87, "Along training"
NEEDS = Needs(
    networks=2,
    purpose="a pair",
    widths="butterfly.widths",
    states=("butterfly",),
    data=("butterfly",),
    unread=("widths", "matching", "data", "training", "times", "children"),
    parts=("none", "methods"),
)
_SIGMA = {"description": "Length of the perturbation; 1 is that of an initialisation.", "type": "number", "minimum": 0}
_SHARE = {
    "description": "Share of the weights that are perturbed, 1 unless it is given; 0 for a single weight.",
    "type": "number",
    "minimum": 0,
    "maximum": 1,
}
SETTINGS: dict[str, Any] = {
    "widths": widths("Widths at which networks have children, for every model that has them."),
    "times": {
        "description": "When children leave their network: after so many epochs, steps, or steps after epochs.",
        "type": "array",
        "minItems": 1,
        "uniqueItems": True,
        "items": {
            "type": "object",
            "additionalProperties": False,
            "properties": {
                "epoch": {"description": "Epochs before it.", "type": "integer", "minimum": 0},
                "step": {"description": "Steps before it, after these epochs.", "type": "integer", "minimum": 0},
            },
            "anyOf": [{"type": "object", "required": ["epoch"]}, {"type": "object", "required": ["step"]}],
        },
    },
    "children": {
        "description": "How children leave their network: by other batches, or perturbed and with the same ones.",
        "type": "array",
        "minItems": 1,
        "uniqueItems": True,
        "items": {
            "type": "object",
            "additionalProperties": False,
            "required": ["kind"],
            "properties": {
                "kind": {
                    "description": "What is other: the order of images, or weights by noise or by a gradient.",
                    "type": "string",
                    "enum": ["order", "gaussian", "gradient"],
                },
                "sigma": _SIGMA,
                "share": _SHARE,
            },
            "if": {"required": ["kind"], "properties": {"kind": {"const": "order"}}},
            "then": {"propertyNames": {"enum": ["kind"]}},
            "else": {"type": "object", "required": ["kind", "sigma"]},
        },
    },
    "matching": {
        "description": "Matching methods of this experiment besides those of the section `matching`, given as these.",
        "type": "array",
        "items": {"$ref": "#/properties/matching/items"},
    },
    **own_networks(),
}
LEFT = (
    Column(
        "kind",
        TEXT,
        "`independent`: two networks; a network and its child: `order`, by other batches, or with the same ones and "
        "perturbed by `gaussian` noise or the `gradient` of another batch",
    ),
    Column("sigma", NUMBER, "length of the perturbation, 1 for that of an initialisation; empty without", True),
    Column("share", NUMBER, "share of the weights that are perturbed, 0 for a single one; empty without", True),
    Column("epoch", WHOLE, "epochs that the two share; empty for independent networks", True),
    Column("step", WHOLE, "steps after these epochs that they share too; empty for independent networks", True),
)
COLUMNS = (
    *CONFIGURATION,
    *LEFT,
    *METHOD,
    PAIR[0],
    PAIR[1].meant("seed of the second network, that of a for its child"),
    Column("distance", NUMBER, "L2 distance of the parameters of a and b, after the permutation of b"),
    Column("fixed_points", NUMBER, "fraction of units that the permutation leaves in place; empty without", True),
    Column("chance", NUMBER, "this fraction for uniformly random permutations; empty without", True),
    Column(
        "disagreement",
        NUMBER,
        "share of test images to which a and b give other labels; with `none` alone, for permutations do not change it",
        True,
    ),
    Column(
        "angular_cka",
        NUMBER,
        "angle between hidden activations of a and b on test images, mean over the layers, 0 to π/2; with `none` alone",
        True,
    ),
    *BARRIER,
)
COMPARED_IMAGES = 300
"""Of the first test images, on which activations are compared."""


def children(settings: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return how and when each child leaves its network, as ``train.Branch`` takes it.

    Args:
        settings: the section of the config.
    """
    found = []
    for child in settings["children"]:
        perturbed = {} if child["kind"] == "order" else {"sigma": float(child["sigma"])}
        perturbed |= {"share": float(child.get("share", 1))} if perturbed else {}
        for time in settings["times"]:
            when = {"epoch": time.get("epoch", 0), "step": time.get("step", 0)}
            found.append({"kind": child["kind"], **perturbed, **when})
    return found


def check(config: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Refuse children that would share every epoch, two of one name, and wrong labels of text."""
    section = config["butterfly"]
    epochs = section["training"].get("epochs", config["training"]["epochs"])
    for index, time in enumerate(section["times"]):
        if time.get("epoch", 0) >= epochs:
            allowed = f"Allowed: epochs below those of its training, {epochs}"
            yield f"butterfly.times[{index}].epoch", f"{time['epoch']} is not allowed. {allowed}"
    found = children(section)
    for child in found:
        if found.count(child) > 1:
            yield "butterfly.children", f"{child} is given twice, in other words. Allowed: each once"
    yield from wrong_labels(config, "butterfly")


def work(settings: Mapping[str, Any], counts: Counts) -> dict[str, Any]:
    """Count a matching and a line to each child, and for each pair of networks."""
    pairs = counts.pairs + counts.states - counts.networks
    return {"matchings": pairs, "evaluations": pairs * settings["points"] * counts.series}


def measure(study: Study, settings: Mapping[str, Any]) -> Iterator[Row]:
    """Measure every network and each of its children, and pairs of networks."""
    from onebasin.landscape.compositions import chance, fixed_points

    method, addresses = study.method, study.every_network()
    parents = {address["seed"]: study.state(address) for address in addresses if "child" not in address}
    independent = dict.fromkeys(column.name for column in LEFT) | {"kind": "independent"}
    pairs = [(a, b, parents[b], independent) for a, b in study.pairs]
    for address in addresses:
        if "child" in address:
            left = {**independent, **address["child"]}
            pairs.append((address["seed"], address["seed"], study.state(address), left))
    looks = {seed: _look(study, state) for seed, state in parents.items()} if method.name == "none" else {}
    for a, b, end, left in pairs:
        found: Row = dict.fromkeys(("fixed_points", "chance", "disagreement", "angular_cka"))
        moved = end
        if method.name == "none":
            found |= _compared(looks[a], looks[b] if end is parents[b] else _look(study, end))
        else:
            permutation = study.match(parents[a], end, method)
            moved = study.symmetry.apply(permutation, end)
            found |= {"fixed_points": fixed_points(permutation), "chance": chance(permutation)}
        squares = [(parents[a][key] - moved[key]).double().square().sum() for key in sorted(study.symmetry.parameters)]
        about = {**study.configuration, **left, **method.columns, "a": a, "b": b}
        about |= {"distance": float(sum(squares)) ** 0.5, **found}
        yield from barriers(study.curve((parents[a], moved), about))


def _look(study: Study, state: State) -> tuple[Tensor, list[Tensor]]:
    """Return the labels that a network gives to the test images, and its representations of the first of them."""
    from torch import cat

    from onebasin.match.likeness import representations
    from onebasin.symmetry import Network

    images, network = study.images("test")[0], Network(study.model, state)
    labels = cat([network(batch).argmax(1) for batch in images.split(study.settings["batch_size"])])
    return labels, representations(study.symmetry, study.model, state, images[:COMPARED_IMAGES])


def _compared(first: tuple[Tensor, list[Tensor]], second: tuple[Tensor, list[Tensor]]) -> Row:
    """Return on how many labels two networks disagree, and the mean angle between their activations."""
    from onebasin.match.likeness import angular_cka

    angles = [angular_cka(one, two) for one, two in zip(first[1], second[1], strict=True)]
    return {"disagreement": float((first[0] != second[0]).double().mean()), "angular_cka": sum(angles) / len(angles)}


def _changes(table: DataFrame) -> DataFrame:
    """Add by how much a permutation changes the barrier of two networks."""
    keys = [column.name for column in (*CONFIGURATION, *LEFT)] + ["a", "b", "split", "metric"]
    plain = table["barrier"].where(table["method"] == "none")
    plain = plain.groupby([table[key] for key in keys], dropna=False).transform("max")
    return table.assign(change=(table["barrier"] - plain).where(table["method"] != "none"))


SUMMARY = Summary(
    "model width kind sigma share epoch step method split metric",
    "barrier change distance fixed_points chance disagreement angular_cka",
    "a b",
    _changes,
)


def finding(table: DataFrame) -> str:
    """Say how high barriers to children are, and whether the best method lowers them."""
    from onebasin import findings

    rows = findings.where(summarise(table, SUMMARY), metric="error", split="train")
    sentences = []
    for name, part in findings.widest(rows):
        is_child = part["kind"] != "independent"
        plain, matched = part["method"] == "none", part["change"].notna()
        apart, early = part[plain & ~is_child], part[plain & is_child].sort_values(["epoch", "step"], kind="stable")
        told = [findings.each(apart, lambda _: "between independent networks")] if len(apart) else []
        if len(early):
            early = findings.where(early, epoch=early["epoch"].iloc[0], step=early["step"].iloc[0])
            told.append(f"to children that leave at {_when(early.iloc[0])} {findings.each(early, _how)}")
        if told:
            sentences.append(
                f"The training error barrier of {name} is {findings.listed(told)} ({findings.of_networks(part)})."
            )
        if any(matched & is_child):
            # The strongest method is that which does most where there is something to undo.
            judged = matched & ~is_child if any(matched & ~is_child) else matched
            method = findings.by_best(part[judged])["method"].iloc[0]
            changed = part[matched & is_child]
            own, apart = (
                findings.where(changed, method=method),
                findings.where(part[matched & ~is_child], method=method),
            )
            counts = [
                f"{int((rows['change_high'] < 0).sum())} and raise {int((rows['change_low'] > 0).sum())} of {len(rows)}"
                for rows in (own, changed)
            ]
            most = findings.best(own, "change")
            ending = (
                f"; between independent networks it is {findings.mean(apart.iloc[0], 'change')}" if len(apart) else ""
            )
            sentences.append(
                f"Permutations by {method}, the strongest method, lower {counts[0]} of the barriers to children, and "
                f"those by all methods {counts[1]} (95 % interval of the difference on the same networks). Its most "
                f"favourable change, {_how(most)} at {_when(most)}, is {findings.mean(most, 'change')}{ending}."
            )
    return findings.joined(sentences)


def _how(row: Series) -> str:
    """Say how a child left its network."""
    if row["kind"] in ("order", "independent"):
        return {"order": "by other batches", "independent": "independent"}[row["kind"]]
    share = {0.0: " in one weight", 1.0: ""}.get(row["share"], f" in {row['share']:g} of the weights")
    return f"by {'noise' if row['kind'] == 'gaussian' else 'a gradient'} of σ = {row['sigma']:g}{share}"


def _when(row: Series) -> str:
    """Say when a child left its network."""
    epoch, step = int(row["epoch"]), int(row["step"])
    return f"step {step}" if not epoch else f"epoch {epoch}" + (f", step {step}" if step else "")


def figure(table: DataFrame) -> Figure:
    """Draw, for each model and width, barriers of error and loss, the change of the error's by permutations, and fixed
    points: a column for each kind of child, by when it left, and one for independent networks.
    """
    from textwrap import fill

    from onebasin.figures import panels, style
    from onebasin.figures.legend import legend, networks
    from onebasin.figures.series import columns_of, handles, split_handles

    table = _changes(table)
    kind = [_how(row) for _, row in table.iterrows()]
    when = ["" if row["kind"] == "independent" else _when(row) for _, row in table.iterrows()]
    table = table.assign(kind_of=kind, when=when)
    kinds = [name for name in style.unique(kind) if name != "independent"]
    kinds = [*(["independent"] if "independent" in kind else []), *kinds]
    left = table[table["when"] != ""].sort_values(["epoch", "step"], kind="stable")
    times = style.unique(left["when"])
    marks = style.method_marks(table)
    models = style.unique(zip(table["model"], table["width"], strict=True))
    rows = [(which, what) for which in models for what in (*style.metrics(table), "change", "fixed_points")]
    ratios = [max(len(times), 1) if name != "independent" else 1.2 for name in kinds]
    drawn, axes = panels.grid(len(rows), len(kinds), 1.3, sharey="row", extra=0.3, width_ratios=ratios)
    for ((model, width), what), line in zip(rows, axes, strict=True):
        part = table[(table["model"] == model) & (table["width"] == width)]
        metric = what if what in style.BARRIERS else style.metrics(table)[0]
        part = part[part["metric"] == metric]
        if what == "fixed_points":
            part = part[part["split"] == style.SPLITS[0]]
        column = "barrier" if what == metric else what
        for axis, name in zip(line, kinds, strict=True):
            shown = part[(part["kind_of"] == name) & part[column].notna()]
            labels = times if name != "independent" else [""]
            places = [labels.index(time) for time in shown["when"]]
            panels.bands(axis, range(len(labels)))
            columns_of(axis, shown, column, places, list(zip(shown["a"], shown["b"], strict=True)), marks)
            shown_labels = labels if what == "fixed_points" else [""] * len(labels)
            axis.set_xticks(range(len(labels)), shown_labels, rotation=40, ha="right", rotation_mode="anchor")
            axis.set_xlim(-0.5, len(labels) - 0.5)
            if what == "change":
                axis.axhline(0, color="black", linewidth=0.6, zorder=1)
            elif what == "error":
                panels.connected(axis)
            if (model, width) == models[0] and what == rows[0][1]:
                axis.set_title(fill(name.removeprefix("by "), 16), pad=3)
        if what == "fixed_points":
            line[0].set_ylim(0, 1.05)
        elif what != "change":
            line[0].set_ylim(bottom=0)
        names = {"change": "change of the\nerror barrier", "fixed_points": "fixed points", **style.BARRIERS}
        line[0].set_ylabel(f"{model}, width {width}\n{names[what]}")
    entries = [
        *(mark.handle(linestyle="none") for mark in marks.values()),
        *split_handles(),
        panels.connected_handle(),
        *handles(f"one pair of {networks(table)}, or one of them and its child"),
    ]
    drawn.supxlabel("moment at which the child leaves its network", fontsize=style.size("labels"))
    legend(drawn, entries, 3)
    return drawn
