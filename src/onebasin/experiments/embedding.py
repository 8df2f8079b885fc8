"""Does a narrow network lie in the basin of a wide one?

Does a narrow network lie in the basin of a wide one? Networks of smaller widths are padded with units that are zero,
which leaves their function as it is (with layer norm, after their weights were centred and scaled), to width
{embedding[wide]}. The barrier between every wide network and every padded one, without a permutation and with the
padded one permuted to match the wide one, against the width before padding.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from onebasin.columns import BARRIER, CONFIGURATION, METHOD, WHOLE, Column
from onebasin.experiments import Counts, Needs, Row, widths
from onebasin.landscape.barrier import barriers
from onebasin.summaries import Summary, summarise

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from pandas import DataFrame

    from onebasin.study.study import Study

PLACE, CATEGORY = 170, "Other sizes and other data"
NEEDS = Needs(
    networks=1,
    purpose="a wide network and a narrow one",
    widths="embedding.wide",
    states=("last", "narrow"),
    unread=("wide",),
    parts=("none", "methods"),
)
SETTINGS: dict[str, Any] = {
    "wide": {
        "description": "Width to which narrower networks are padded, for every model that has it.",
        "type": "integer",
        "minimum": 1,
    },
    "narrow": widths("Widths of the networks that are padded, smaller ones, for every model that has them."),
}
COLUMNS = (
    *CONFIGURATION,
    Column("narrow", WHOLE, "width of network b, which was padded with zero units to the width of a"),
    *METHOD,
    Column("a", WHOLE, "seed of the wide network"),
    Column("b", WHOLE, "seed of the padded network"),
    *BARRIER,
)


def check(config: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Refuse widths that no model has, and narrow ones that are not narrower or of no model that has the wide one."""
    wide, models = config["embedding"]["wide"], config["models"]
    known = sorted({width for model in models for width in model["widths"]})
    if wide not in known:
        yield "embedding.wide", f"{wide} is a width of no model. Allowed: {', '.join(map(str, known))}"
    below = sorted({width for model in models if wide in model["widths"] for width in model["widths"] if width < wide})
    for index, width in enumerate(config["embedding"]["narrow"]):
        if width not in below:
            allowed = ", ".join(map(str, below)) or f"none, so another embedding.wide than {wide}"
            yield (
                f"embedding.narrow[{index}]",
                f"{width} is no smaller width of a model that has the width {wide}. Allowed: {allowed}",
            )


def work(settings: Mapping[str, Any], counts: Counts) -> dict[str, Any]:
    """Count every wide network with the narrow ones of its own seed and of the seeds with which it makes a pair."""
    narrow = (counts.states - counts.networks) // counts.networks
    pairs = narrow * (counts.networks + 2 * counts.pairs)
    return {"matchings": pairs, "evaluations": counts.series * pairs * settings["points"]}


def measure(study: Study, settings: Mapping[str, Any]) -> Iterator[Row]:
    """Pad the narrow networks, match them with wide ones, and measure the way between."""
    from onebasin.landscape.embed import embed

    method, images = study.method, study.images("train")[0]
    for width in study.narrow_widths:
        narrow = study.at_width(width)
        symmetries = (narrow.symmetry, study.symmetry)
        padded = {
            seed: embed(narrow.model, study.model, symmetries, state, images[:256])
            for seed, state in study.networks(width=width).items()
        }
        for a, state_a in study.networks().items():
            for b, state_b in padded.items():
                if not study.crosses(a, b):
                    continue
                end = state_b
                if method.name != "none":
                    end = study.symmetry.apply(study.match(state_a, state_b, method), state_b)
                about = {**study.configuration, "narrow": width, **method.columns, "a": a, "b": b}
                yield from barriers(study.curve((state_a, end), about))


def table(parts: Mapping[str, Iterable[Row]], settings: Mapping[str, Any]) -> list[Row]:
    """Put the rows of one narrow width together."""
    rows = list(parts["embedding"])
    models = list(dict.fromkeys(row["model"] for row in rows))
    return sorted(rows, key=lambda row: (models.index(row["model"]), settings["narrow"].index(row["narrow"])))


def _apart(rows: DataFrame) -> DataFrame:
    """Name the padded networks otherwise than the wide ones, which may have the same seeds."""
    return rows.assign(b=rows["b"] + rows["a"].max() + 1)


SUMMARY = Summary("model width narrow method split metric", "barrier", "a b", _apart)


def finding(table: DataFrame) -> str:
    """Say how high the barrier to a padded narrow network is."""
    from onebasin import findings

    rows = findings.where(summarise(table, SUMMARY), metric="error", split="train")
    sentences = []
    for name, part in findings.widest(rows):
        method = findings.best(part[part["narrow"] == part["narrow"].max()])["method"]
        tried = part[part["method"] == method]
        sentences.append(
            f"Between {name} and networks padded to its width, the training error barrier "
            f"{findings.way(tried.iloc[0])} is {findings.each(tried, lambda row: 'from width ' + str(row['narrow']))} "
            f"({findings.of_networks(tried)})."
        )
    return findings.joined(sentences)


def figure(table: DataFrame) -> Figure:
    """Draw one row of panels per metric and model, train and test side by side, logarithmic axes."""
    from onebasin.figures import panels, style
    from onebasin.figures.legend import legend, networks
    from onebasin.figures.series import beside, handles, series

    splits = [split for split in style.SPLITS if split in set(table["split"])]
    marks = style.method_marks(table)
    # A wide and a narrow network of the same seed are two networks: the interval must tell them apart.
    table = table.assign(b=table["b"] + table["a"].max() + 1)
    drawn, rows = panels.barriers(table, splits, "width of the padded network")
    clipped = 0
    for metric, part, line in rows:
        floor = panels.barrier_axis(line, part["barrier"], metric)
        for axis, split in zip(line, splits, strict=True):
            panels.width_axis(axis, sorted(part["narrow"].unique()))
            for slot, (method, mark) in enumerate(marks.items()):
                rows_of = part[(part["split"] == split) & (part["method"] == method)]
                places = beside(axis, rows_of["narrow"], slot, len(marks))
                clipped += series(axis, rows_of, "barrier", mark, places, ["a", "b"], floor=floor)
        line[0].set_ylabel(f"{part['model'].iloc[0]}, in width {part['width'].iloc[0]}\n{style.BARRIERS[metric]}")
    entries = [*(mark.handle() for mark in marks.values()), panels.connected_handle()]
    one = f"one of {networks(table, ['a'])} and one of as many padded ones"
    legend(drawn, [*entries, *handles(one, clipped)], 3)
    return drawn
