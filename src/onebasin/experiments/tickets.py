"""Does a sparse mask serve another network once it is permuted?

Networks trained again from their own epoch {pruning[rewind]} under sparse masks, against the share of weights that
remains: under the mask of their own pruning, under that of another network as it is, under that of another network
permuted as the two trained networks were matched, and under a random mask with as many weights in each layer. Rates,
epochs and the order of the images are the same for all.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from onebasin.columns import CONFIGURATION, LEVEL, METHOD, TEXT, VALUES_OF_SPLITS, WHOLE, Column
from onebasin.experiments import Counts, Needs, Row
from onebasin.summaries import Summary, summarise

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from pandas import DataFrame, Series

    from onebasin.figures.style import Mark
    from onebasin.study.study import Study

PLACE, CATEGORY = 150, "Pruning"
NEEDS = Needs(
    networks=2,
    purpose="a pair",
    widths="pruning.widths",
    points=None,
    states=("ticket_levels", "tickets"),
    masks=("ticket_levels",),
    unread=("levels", "pairs"),
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
}
COLUMNS = (
    *CONFIGURATION,
    *LEVEL,
    Column("seed", WHOLE, "seed of the network that was trained under the mask, from its own epoch of rewinding"),
    Column("source", WHOLE, "seed of the network whose pruning made the mask"),
    Column(
        "mask", TEXT, "`own`, `permuted`, `unpermuted` or `random` (as many weights in each layer as the source has)"
    ),
    *METHOD,
    *VALUES_OF_SPLITS,
)
TITLES = {
    "test_accuracy": "test accuracy",
    "train_accuracy": "train accuracy",
    "test_loss": "test loss (nats)",
    "train_loss": "train loss (nats)",
}


def check(config: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Refuse levels that are not reached."""
    highest, reached = max(config["tickets"]["levels"]), config["pruning"]["levels"]
    if highest > reached:
        yield "tickets.levels", f"{highest} is not allowed. Allowed: levels up to pruning.levels, {reached}"


def work(settings: Mapping[str, Any], counts: Counts) -> dict[str, Any]:
    """Count every network."""
    return {"evaluations": counts.states}


def measure(study: Study, settings: Mapping[str, Any]) -> Iterator[Row]:
    """Measure the networks that were trained under masks, their own ones and others."""
    for network in study.every_network():
        mask, source = network.get("mask", "own"), network.get("source", network["seed"])
        method = study.methods[network["method"]] if mask == "permuted" else study.unpermuted
        # Of all networks of a level the same number of weights remains.
        density = study.mask(study.seeds[0], network["level"]).density
        about = {**study.configuration, "level": network["level"], "density": density}
        about |= {"seed": network["seed"], "source": source, "mask": mask, **method.columns}
        yield {**about, **study.measurement.values(study.state(network))}


def gained(rows: DataFrame) -> DataFrame:
    """Add what a mask leaves more, or less, than the same one as it is."""
    import pandas as pd

    place = ["model", "width", "level", "seed", "source"]
    plain = rows[rows["mask"] == "unpermuted"].set_index(place)["test_error"]
    return rows.assign(more=rows["test_error"] - plain.reindex(pd.MultiIndex.from_frame(rows[place])).to_numpy())


SUMMARY = Summary("model width level density mask method", "test_error more", "seed source", gained)


def finding(table: DataFrame) -> str:
    """Say what networks miss under each kind of mask, at the sparsest level."""
    from onebasin import findings
    from onebasin.prose import percent

    sentences = []
    for name, part in findings.widest(summarise(table, SUMMARY)):
        last = part[part["level"] == part["level"].max()]
        sentences.append(
            f"Of the test images, {name} trained again with {percent(last['density'].mean())} of its weights misses "
            f"{findings.each(last, mask_of, 'test_error')}."
        )
    return findings.joined(sentences)


def mask_of(row: Series) -> str:
    """Say which mask a network was trained under."""
    words = {"own": "under its own mask", "none": "without a mask", "random": "under a random mask"}
    by = "" if row["method"] == "none" else f" by {row['method']}"
    return words.get(row["mask"], f"under another's mask, {row['mask']}{by}")


def figure(table: DataFrame) -> Figure:
    """Draw one row of panels per model; accuracy and loss, test and train."""
    from onebasin.figures import panels, style
    from onebasin.figures.legend import legend, networks
    from onebasin.figures.series import beside, handles, series

    table = table.assign(**{f"{split}_accuracy": 1 - table[f"{split}_error"] for split in style.SPLITS})
    models = style.unique(zip(table["model"], table["width"], strict=True))
    marks = _marks(table)
    drawn, axes = panels.grid(len(models), len(TITLES), 2.0)
    for (model, width), line in zip(models, axes, strict=True):
        part = table[(table["model"] == model) & (table["width"] == width)]
        for axis, column in zip(line, TITLES, strict=True):
            panels.density_axis(axis, part["density"])
            for slot, ((mask, method), mark) in enumerate(marks.items()):
                rows = part[(part["mask"] == mask) & (part["method"] == method)]
                members = ["seed"] if mask == "own" else ["source", "seed"]
                series(axis, rows, column, mark, beside(axis, rows["density"], slot, len(marks)), members)
            if column.endswith("loss"):
                panels.from_zero(axis)
        line[0].set_ylabel(f"{model}, width {width}")
    for top, bottom, title in zip(axes[0], axes[-1], TITLES.values(), strict=True):
        top.set_title(title)
        bottom.set_xlabel("density")
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
    for method, mark in method_marks(table).items():
        if method != "none":
            marks["permuted", method] = Mark(f"another's, {mark.label}", mark.colour, mark.marker)
    marks["unpermuted", "none"] = Mark("another's, not permuted", GREY, "D", line=(0, (1, 1)))
    marks["random", "none"] = Mark("random", OKABE_ITO[3], "X", False, (0, (5, 1, 1, 1)))
    return marks
