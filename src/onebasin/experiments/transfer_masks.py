"""Does a mask found on one data set serve a network of another, once it is permuted?

Does a mask found on one data set serve a network of another one? Networks of the second data set
({transfer[data][name]}, variant {transfer[data][variant]}) were trained on it again from their own epoch
{pruning[rewind]} under masks of networks of other seeds that were pruned on the first set to level {transfer[level]}:
permuted as the trained networks were matched across the two sets, as they are, and random masks with as many weights
in each layer. Error and loss on the second set, beside those of the dense networks, whose training had the same
rates, epochs and order of the images.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from onebasin.columns import CONFIGURATION, LEVEL, METHOD, TEXT, VALUES_OF_SPLITS, WHOLE, Column
from onebasin.experiments import Counts, Needs, Row
from onebasin.experiments.tickets import gained, mask_of
from onebasin.summaries import Summary, summarise

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from pandas import DataFrame

    from onebasin.figures.style import Mark
    from onebasin.study.study import Study

PLACE, CATEGORY = 190, "Other sizes and other data"
NEEDS = Needs(
    networks=2,
    purpose="a pair",
    widths="transfer.widths",
    points=None,
    states=("second", "second_tickets"),
    masks=("transferred",),
    data=("second",),
)
COLUMNS = (
    *CONFIGURATION,
    *LEVEL,
    Column(
        "seed",
        WHOLE,
        "seed of the network of the second data set that was trained on it, from its own epoch of rewinding",
    ),
    Column(
        "source",
        WHOLE,
        "seed of the network whose pruning on the first data set made the mask; `seed` without a mask",
    ),
    Column(
        "mask", TEXT, "`none`, `permuted`, `unpermuted` or `random` (as many weights in each layer as the source has)"
    ),
    *METHOD,
    *VALUES_OF_SPLITS,
)
SUMMARY = Summary("model width level density mask method", "test_error more", "seed source", gained)


def check(config: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Refuse a level that is not reached."""
    level, reached = config["transfer"]["level"], config["pruning"]["levels"]
    if level > reached:
        yield "transfer.level", f"{level} is not allowed. Allowed: levels up to pruning.levels, {reached}"


def work(settings: Mapping[str, Any], counts: Counts) -> dict[str, Any]:
    """Count every network."""
    return {"evaluations": counts.states}


def measure(study: Study, settings: Mapping[str, Any]) -> Iterator[Row]:
    """Measure the networks of the second data set: dense, and under masks found on the first."""
    for network in study.every_network():
        mask, seed = network.get("mask", "none"), network["seed"]
        source, level = network.get("source", seed), network.get("level", 0)
        method = study.methods[network["method"]] if mask == "permuted" else study.unpermuted
        density = study.mask(source, level).density if level else 1.0
        about = {**study.configuration, "level": level, "density": density, "seed": seed, "source": source}
        yield {**about, "mask": mask, **method.columns, **study.measurement.values(study.state(network))}


def finding(table: DataFrame) -> str:
    """Say what networks of the second data set miss under each kind of mask."""
    from onebasin import findings

    return findings.joined(
        f"Of the test images of {findings.SECOND}, {name} misses {findings.each(part, mask_of, 'test_error')}."
        for name, part in findings.widest(summarise(table, SUMMARY))
    )


def figure(table: DataFrame) -> Figure:
    """Draw, for each model and width, error and loss on the second data set by mask."""
    import pandas as pd

    from onebasin.figures import panels, style
    from onebasin.figures.legend import legend, networks
    from onebasin.figures.series import columns_of, handles, split_handles

    marks = _marks(table)
    named = table["mask"].where(table["mask"] != "permuted", table["method"])
    table = table.assign(method=named)
    models = style.unique(zip(table["model"], table["width"], strict=True))
    drawn, axes = panels.grid(len(models), 2, 1.9, extra=0.3, fold=1)
    for (model, width), line in zip(models, axes, strict=True):
        part = table[(table["model"] == model) & (table["width"] == width)]
        for axis, metric in zip(line, ("error", "loss"), strict=True):
            long = pd.concat(part.assign(split=split, value=part[f"{split}_{metric}"]) for split in style.SPLITS)
            members = [
                (seed,) if mask == "none" else (source, seed)
                for mask, source, seed in long[["mask", "source", "seed"]].to_numpy()
            ]
            columns_of(axis, long, "value", long["method"].map(list(marks).index), members, marks)
            axis.set_xticks(range(len(marks)), ["dense" if name == "none" else name for name in marks])
            axis.tick_params(axis="x", labelrotation=20)
            axis.set_xlim(-0.5, len(marks) - 0.5)
            axis.axvline(0.5, color=style.GREY, linewidth=0.5)
            panels.from_zero(axis)
        sparse = part.loc[part["mask"] != "none", "density"].iloc[0]
        line[0].set_ylabel(f"{model}, width {width}\ndensity {sparse:.2g}")
    for axis, title in zip(axes[0], ("error", "loss (nats)"), strict=True):
        axis.set_title(title)
    entries = [*(mark.handle(linestyle="none") for mark in marks.values()), *split_handles()]
    label = "mask from the first data set, under which a network is trained on the second"
    drawn.supxlabel(label, fontsize=style.size("labels"))
    one = f"one of {networks(table, ['seed'])} under one mask"
    legend(drawn, [*entries, *handles(one)], 3)
    return drawn


def _marks(table: DataFrame) -> dict[str, Mark]:
    """Return one mark per mask, by its name, which no method may have; a permuted one by that of its method."""
    from onebasin.figures.style import GREY, OKABE_ITO, Mark, method_marks

    marks = {"none": Mark("no mask: dense", "black", "^")}
    for method, mark in method_marks(table).items():
        if method != "none":
            marks[method] = Mark(f"another's, {mark.label}", mark.colour, mark.marker)
    marks["unpermuted"] = Mark("another's, not permuted", GREY, "D")
    marks["random"] = Mark("random", OKABE_ITO[3], "X")
    return marks
