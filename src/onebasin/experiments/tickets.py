"""Does a sparse mask serve another network once it is permuted?

Networks trained again from their own epoch {pruning[rewind]} under sparse masks, against the share of weights that
remains: under the mask of their own pruning, under that of another network as it is, under that of another network
permuted as the two trained networks were matched, and under a random mask with as many weights in each layer. Rates,
epochs and the order of the images are the same for all. Each of them is compared with the source's own ticket, the
network whose pruning made its mask: the share of labels on which the two disagree, and the error of their
*ensemble*, the mean of their probabilities. Own tickets are compared with those of the networks with which they
exchange masks, and *own mask, again* is an own ticket that sees the images in another order. Where masks were found
and networks rewound with several epochs of rewinding, these are compared below at the sparsest level.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from onebasin.columns import CONFIGURATION, LEVEL, METHOD, NUMBER, TEXT, VALUES_OF_SPLITS, WHOLE, Column
from onebasin.experiments import Counts, Needs, Row
from onebasin.summaries import Summary, summarise

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from pandas import DataFrame, Series
    from torch import Tensor

    from onebasin.figures.style import Mark
    from onebasin.study.study import Address, Study

VERSION = 2
PLACE, CATEGORY = 150, "Pruning"
NEEDS = Needs(
    networks=2,
    purpose="a pair",
    widths="pruning.widths",
    points=None,
    states=("ticket_levels", "tickets"),
    masks=("ticket_levels",),
    unread=("levels", "pairs", "rewind", "again"),
)
SETTINGS: dict[str, Any] = {
    "levels": {
        "description": "Levels of pruning whose masks are exchanged.",
        "type": "array",
        "items": {"type": "integer", "minimum": 1},
        "minItems": 1,
        "uniqueItems": True,
    },
    "pairs": {
        "description": "Which networks exchange masks, all pairs, or disjoint ones (first and second seed, third and "
        "fourth).",
        "type": "string",
        "enum": ["all", "disjoint"],
    },
    "rewind": {
        "description": "Further epochs of rewinding, with each of which networks are pruned and tickets trained anew.",
        "type": "array",
        "items": {"type": "integer", "minimum": 0},
        "uniqueItems": True,
    },
    "again": {
        "description": "Whether networks are trained again under their own masks, with the images in another order.",
        "type": "boolean",
    },
}
COLUMNS = (
    *CONFIGURATION,
    Column("rewind", WHOLE, "epoch to which networks are rewound, in their pruning and under the mask"),
    *LEVEL,
    Column("seed", WHOLE, "seed of the network that was trained under the mask, from its own epoch of rewinding"),
    Column("source", WHOLE, "seed of the network whose pruning made the mask"),
    Column(
        "mask",
        TEXT,
        "`own`, `again` (its own, with other batches), `permuted`, `unpermuted` or `random` (as many weights in each "
        "layer as the source has)",
    ),
    *METHOD,
    *VALUES_OF_SPLITS,
    *(
        Column(
            f"{split}_disagreement",
            NUMBER,
            f"share of the labels of the {whole} data that this network and the source's own ticket give otherwise, 0 "
            "to 1; for an own ticket, it and those of the networks with which it exchanges masks, in the mean",
            True,
        )
        for split, whole in (("train", "training"), ("test", "test"))
    ),
    *(
        Column(
            f"{split}_ensemble_error",
            NUMBER,
            f"fraction of the labels of the {whole} data that the mean of the probabilities of the same two misses, 0 "
            "to 1",
            True,
        )
        for split, whole in (("train", "training"), ("test", "test"))
    ),
)
TITLES = {
    "test_error": "test error",
    "train_error": "train error",
    "test_loss": "test loss (nats)",
    "train_loss": "train loss (nats)",
}
OF_TWO = {
    "test_disagreement": "test disagreement",
    "train_disagreement": "train disagreement",
    "test_ensemble_error": "ensemble, test error",
    "train_ensemble_error": "ensemble, train error",
}
SHORT = {
    "test_error": "test error",
    "train_error": "train error",
    "test_disagreement": "test disagreement",
    "test_ensemble_error": "ensemble, test error",
}
"""What is drawn by epoch of rewinding, and of all where there is room for one column."""


def check(config: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Refuse levels and epochs that are not reached."""
    highest, reached = max(config["tickets"]["levels"]), config["pruning"]["levels"]
    if highest > reached:
        yield "tickets.levels", f"{highest} is not allowed. Allowed: levels up to pruning.levels, {reached}"
    epochs = config["training"]["epochs"]
    for index, rewind in enumerate(config["tickets"]["rewind"]):
        if rewind >= epochs:
            problem = f"{rewind} is not allowed. Allowed: epochs below training.epochs, {epochs}"
            yield f"tickets.rewind[{index}]", problem


def work(settings: Mapping[str, Any], counts: Counts) -> dict[str, Any]:
    """Count every network, alone and beside another."""
    return {"evaluations": 2 * counts.states}


def measure(study: Study, settings: Mapping[str, Any]) -> Iterator[Row]:
    """Measure the networks that were trained under masks, their own ones and others."""
    addresses = study.every_network()
    sources: dict[int, list[int]] = {}
    for address in addresses:
        if "source" in address and address["seed"] not in sources.setdefault(address["source"], []):
            sources[address["source"]].append(address["seed"])
    own: dict[str, Guesses] = {}
    for address in addresses:
        if "mask" not in address:
            own[str(address)] = _guesses(study, address)
    for address in addresses:
        mask, source = address.get("mask", "own"), address.get("source", address["seed"])
        method = study.methods[address["method"]] if mask == "permuted" else study.unpermuted
        rewind = {"rewind": address["rewind"]} if "rewind" in address else {}
        # Of all networks of a level the same number of weights remains.
        density = study.mask(study.seeds[0], address["level"], **rewind).density
        about = {**study.configuration, "rewind": settings["rewound"], **rewind}
        about |= {"level": address["level"], "density": density, "seed": address["seed"], "source": source}
        about |= {"mask": mask, **method.columns, **study.measurement.values(study.state(address))}
        others = sources.get(source, []) if mask == "own" else [source]
        tickets = [own[str({"seed": seed, "level": address["level"], **rewind})] for seed in others]
        guesses = own[str(address)] if mask == "own" else _guesses(study, address)
        yield {**about, **_beside(study, guesses, tickets)}


Guesses = dict[str, "Tensor"]
"""The probabilities of all classes for each label of a split, [N, classes]."""


def _guesses(study: Study, address: Address) -> Guesses:
    """Return what a network says of the images on which it is measured."""
    from torch import cat

    from onebasin.landscape.targets import flat
    from onebasin.symmetry import Network

    network, found = Network(study.model, study.state(address)), {}
    for split, (images, labels) in study.measurement.splits.items():
        size = study.settings["batch_size"]
        parts = zip(images.split(size), labels.split(size), strict=True)
        found[split] = cat([flat(network(x), y)[0] for x, y in parts]).softmax(1)
    return found


def _beside(study: Study, guesses: Guesses, others: list[Guesses]) -> dict[str, float | None]:
    """Return on how many labels networks disagree, and what their ensemble misses: means over the other networks."""
    found: dict[str, float | None] = {}
    for split, (_, labels) in study.measurement.splits.items():
        own, targets = guesses[split], labels.flatten()
        differ = [(own.argmax(1) != other[split].argmax(1)).double().mean().item() for other in others]
        missed = [((own + other[split]).argmax(1) != targets).double().mean().item() for other in others]
        found[f"{split}_disagreement"] = sum(differ) / len(differ) if differ else None
        found[f"{split}_ensemble_error"] = sum(missed) / len(missed) if missed else None
    return found


def gained(rows: DataFrame) -> DataFrame:
    """Add what a mask leaves more, or less, than the same one as it is."""
    import pandas as pd

    place = ["model", "width", *(["rewind"] if "rewind" in rows else []), "level", "seed", "source"]
    plain = rows[rows["mask"] == "unpermuted"].set_index(place)["test_error"]
    return rows.assign(more=rows["test_error"] - plain.reindex(pd.MultiIndex.from_frame(rows[place])).to_numpy())


SUMMARY = Summary(
    "model width rewind level density mask method",
    "test_error more train_disagreement test_disagreement train_ensemble_error test_ensemble_error",
    "seed source",
    gained,
)


def finding(table: DataFrame) -> str:
    """Say what networks miss under each kind of mask, at the sparsest level, and what is said of two of them."""
    from onebasin import findings
    from onebasin.prose import percent

    sentences = []
    for name, part in findings.widest(summarise(table, SUMMARY)):
        last = part[part["level"] == part["level"].max()]
        for rewind, rows in last.groupby("rewind", sort=True):
            begun = f", from epoch {rewind}," if last["rewind"].nunique() > 1 else ""
            permuted = rows[rows["mask"] == "permuted"]
            # Of all masks of others the permuted one that serves best.
            serves = findings.best(permuted, "test_error")["method"] if len(permuted) else ""
            told = rows["mask"].isin(["own", "again"]) | (rows["method"] == serves)
            beside = rows[told & rows["test_disagreement"].notna()]
            sentences.append(
                f"Of the test images, {name} trained again{begun} with {percent(rows['density'].mean())} of its "
                f"weights misses {findings.each(rows, mask_of, 'test_error')}; with the own ticket of the source it "
                f"disagrees on {findings.each(beside, mask_of, 'test_disagreement')}; their ensemble misses "
                f"{findings.each(beside, mask_of, 'test_ensemble_error')}."
            )
    return findings.joined(sentences)


def mask_of(row: Series) -> str:
    """Say which mask a network was trained under."""
    words = {"own": "under its own mask", "none": "without a mask", "random": "under a random mask"}
    words |= {"again": "under its own mask again"}
    by = "" if row["method"] == "none" else f" by {row['method']}"
    return words.get(row["mask"], f"under another's mask, {row['mask']}{by}")


def figure(table: DataFrame) -> Figure:
    """Draw two rows of panels per model, by density: error and loss, then what is said of two tickets; and a third one
    by epoch of rewinding where there are several. In one column of a paper there is one row without losses by density.
    """
    from onebasin.figures import panels, style
    from onebasin.figures.legend import legend, networks
    from onebasin.figures.series import beside, handles, series

    models = style.unique(zip(table["model"], table["width"], strict=True))
    rewinds, marks = sorted(table["rewind"].unique()), _marks(table)
    first = table["rewind"].iloc[0]
    by_density = [SHORT] if style.narrow() else [TITLES, OF_TWO]
    kinds = [(titles, False) for titles in by_density] + [(SHORT, True)] * (len(rewinds) > 1)
    drawn, axes = panels.grid(len(models) * len(kinds), len(TITLES), 1.7)
    lines = [(model, width, *kind) for model, width in models for kind in kinds]
    for (model, width, titles, by_rewind), line in zip(lines, axes, strict=True):
        part = table[(table["model"] == model) & (table["width"] == width)]
        part = part[part["level"] == part["level"].max()] if by_rewind else part[part["rewind"] == first]
        for axis, (column, title) in zip(line, titles.items(), strict=True):
            axis.set_title(title)
            if by_rewind:
                panels.bands(axis, range(len(rewinds)))
                axis.set_xticks(range(len(rewinds)), [str(rewind) for rewind in rewinds])
                axis.set_xlim(-0.5, len(rewinds) - 0.5)
                axis.set_xlabel("epoch of rewinding")
            else:
                panels.density_axis(axis, part["density"])
                axis.set_xlabel("density" if titles is not TITLES else "")
            for slot, ((mask, method), mark) in enumerate(marks.items()):
                rows = part[(part["mask"] == mask) & (part["method"] == method) & part[column].notna()]
                members = ["seed"] if mask in ("own", "again") else ["source", "seed"]
                places = rows["rewind"].map(rewinds.index) if by_rewind else rows["density"]
                series(axis, rows, column, mark, beside(axis, places, slot, len(marks)), members, joined=not by_rewind)
            panels.from_zero(axis)
        line[0].set_ylabel(f"{model}, width {width}")
    entries = [
        *(mark.handle() for mark in marks.values()),
        *handles(f"one of {networks(table, ['seed'])} under one mask"),
    ]
    legend(drawn, entries, 3)
    return drawn


def _marks(table: DataFrame) -> dict[tuple[str, str], Mark]:
    """Return one mark per mask; a permuted one has the colour of its method."""
    from onebasin.figures.style import GREY, OKABE_ITO, Mark, method_marks

    marks = {("own", "none"): Mark("own mask", "black", marker="^")}
    if "again" in set(table["mask"]):
        marks["again", "none"] = Mark("own mask, again", "black", marker="v", filled=False, line=(0, (4, 1.5)))
    for method, mark in method_marks(table).items():
        if method != "none":
            marks["permuted", method] = Mark(f"another's, {mark.label}", mark.colour, mark.marker)
    marks["unpermuted", "none"] = Mark("another's, not permuted", GREY, "D", line=(0, (1, 1)))
    marks["random", "none"] = Mark("random", OKABE_ITO[3], "X", False, (0, (5, 1, 1, 1)))
    return marks
