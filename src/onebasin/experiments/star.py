"""Does one network, a star, see all others?

A star is trained on the lines to some networks, its sources: each step draws one of them and a point of the line, and
lowers the loss there; sources are permuted to match the star by {star[align]} as it moves (Sonthalia et al. 2024,
arXiv 2403.07968). No star knows the held-out networks. Beside it stand *ordinary* networks, those that are sources;
the *mean* of as many sources in a common frame, found by merge-many or *learned*; a network trained as *long* as the
star; and one as long with strong weight *decay*. *To held-out*: the line from each of these to a held-out network that
is permuted to match it. *Between two*: the line between two held-out networks, both permuted to match it, which is a
strong path with it as the reference.
*Triangle*: the middle of it and these two. A barrier is small by itself where an end is bad: the *excess* is how far
the worst point lies above the better end, or the best corner. Training images, under the method that connects ordinary
networks best.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import combinations, product
from typing import TYPE_CHECKING, Any

from onebasin.columns import BARRIER, CONFIGURATION, METHOD, NUMBER, TEXT, WHOLE, Column
from onebasin.experiments import Counts, Needs, Row, widths
from onebasin.landscape.barrier import METRICS, barriers, ends_of, highest, split_of, summit
from onebasin.summaries import Summary, summarise

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from pandas import DataFrame, Series

    from onebasin.study.study import Method, Study
    from onebasin.symmetry import State

PLACE, CATEGORY = 57, "More than two"
NEEDS = Needs(
    networks=3,
    purpose="a source and two networks that are held out",
    widths="star.widths",
    corrected=False,
    algorithms="means",
    states=("last", "stars"),
    unread=("widths", "seeds", "align", "every", "beta", "length", "weight_decay", "warm_start"),
    parts=("methods",),
)
SETTINGS: dict[str, Any] = {
    "widths": widths("Widths at which stars are trained, for every model that has them."),
    "sources": {
        "description": "How many networks, the first ones, a star is trained towards; the others are held out from all "
        "stars.",
        "type": "array",
        "items": {"type": "integer", "minimum": 1},
        "minItems": 1,
        "uniqueItems": True,
    },
    "seeds": {
        "description": "Seeds of the stars, one of each number of sources, and of the networks of the same cost.",
        "type": "array",
        "items": {"type": "integer", "minimum": 0},
        "minItems": 1,
        "uniqueItems": True,
    },
    "align": {
        "description": "The method of `matching` by which sources are permuted.",
        "type": "string",
        "minLength": 1,
    },
    "every": {"description": "Epochs from one such matching to the next.", "type": "integer", "minimum": 1},
    "beta": {
        "description": "The two parameters of the Beta distribution of the share of the source in a step; 1, 1 is "
        "uniform.",
        "type": "array",
        "items": {"type": "number", "exclusiveMinimum": 0},
        "minItems": 2,
        "maxItems": 2,
    },
    "length": {
        "description": "How many times `training.epochs` stars and the networks of the same cost are trained.",
        "type": "integer",
        "minimum": 1,
    },
    "weight_decay": {
        "description": "Weight decay of the network that has a strong one.",
        "type": "number",
        "minimum": 0,
    },
    "means": {
        "description": "The algorithms of `frames` that bring sources into one frame, for the means beside stars.",
        "type": "array",
        "items": {"type": "string", "enum": ["merge_many", "sinkhorn"]},
        "uniqueItems": True,
    },
    "warm_start": {
        "description": "Whether a star starts from the first of its sources, and not from its own initialisation.",
        "type": "boolean",
    },
}
COLUMNS = (
    *CONFIGURATION,
    *METHOD,
    Column(
        "network",
        TEXT,
        "`ordinary`, `star`, `mean` (of sources, in one frame by merge-many), `learned` (the same in a learned frame), "
        "`longer` (trained as long as a star) or `decay` (as long, with strong weight decay)",
    ),
    Column("sources", WHOLE, "number of networks that a star is trained towards, or of a mean; 0 for other networks"),
    Column(
        "path",
        TEXT,
        "`held-out` or `source`: from this network (a) to a held-out one or to one of its sources (b); `strong`: from "
        "one held-out network (a) to another (b), permuted to match it; `triangle`: the middle of it and these two",
    ),
    Column("reference", WHOLE, "seed of this network, where it is no end; empty for a mean", optional=True),
    Column("a", WHOLE, "seed of the first network; empty for a mean", optional=True),
    Column("b", WHOLE, "seed of the second network"),
    *BARRIER[:2],
    BARRIER[2].meant(
        "largest rise above the straight line between the ends, or rise of the middle above the mean of three, in the "
        "unit of the metric"
    ),
    *BARRIER[3:],
    Column("worst", NUMBER, "largest value of the metric on the path, its ends included, or that of the middle"),
    Column("excess", NUMBER, "worst less the metric of the better end, or of the best of three; in its unit"),
)
SUMMARY = Summary(
    "model width method network sources path split metric", "barrier worst excess end_a end_b", "reference a b"
)


def check(config: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Refuse stars that leave no two networks held out, that have the seed of another network, or an unknown method."""
    section, seeds = config["star"], config["seeds"]
    most, methods = len(seeds) - 2, [method["name"] for method in config["matching"]]
    for count in section["sources"]:
        if count > most:
            problem = f"{count} of {len(seeds)} networks leave no two held out. Allowed: numbers up to {most}"
            yield "star.sources", problem
    for seed in section["seeds"]:
        if seed in seeds:
            yield "star.seeds", f"{seed} is a seed of the study. Allowed: numbers that are not"
    if section["align"] not in methods:
        yield "star.align", f"{section['align']!r} is no matching method. Allowed: {', '.join(methods)}"


def work(settings: Mapping[str, Any], counts: Counts) -> dict[str, Any]:
    """Count the lines from every star and network beside it, the strong paths, and the middles."""
    most = max(settings["sources"])
    means = len(settings["means"]) * sum(count > 1 for count in settings["sources"])
    seen = counts.states - counts.networks + most + means
    held = counts.networks - most
    paths = held + most + held * (held - 1) // 2
    evaluations = counts.methods * seen * (paths * settings["points"] + 2 * held * (held - 1))
    return {"matchings": seen * (held + most) + most**2, "evaluations": evaluations, "correction": "reset"}


def measure(study: Study, settings: Mapping[str, Any]) -> Iterator[Row]:
    """Measure the lines from stars and from what stands beside them, and the paths that they are the reference of."""
    import torch

    method, networks = study.method, study.networks()
    most = max(settings["sources"])
    held = study.seeds[most:]
    corners = torch.cat([torch.eye(3, dtype=torch.float64), torch.full((1, 3), 1 / 3, dtype=torch.float64)])
    for about, seed, state in _seen(study, settings):
        sources = study.seeds[: about["sources"]]
        moved = {
            other: study.symmetry.apply(study.match(state, networks[other], method), networks[other])
            for other in (*held, *sources)
        }
        for path, others in (("held-out", held), ("source", sources)):
            for other in others:
                named = {**about, "path": path, "reference": None, "a": seed, "b": other}
                yield from _lines(study, (state, moved[other]), named)
        for a, b in combinations(held, 2):
            named = {**about, "reference": seed, "a": a, "b": b}
            yield from _lines(study, (moved[a], moved[b]), {**named, "path": "strong"})
            measured = list(study.measurement.points([moved[a], moved[b], state], corners, "reset"))
            for split in dict.fromkeys(values["split"] for _, values in measured):
                points = split_of(measured, split)
                for metric in METRICS:
                    if points[0][1][metric] is None:
                        continue
                    top, ends = summit(points, metric, among=points[-1:]), ends_of(points, metric)
                    row = {"split": split, "metric": metric, "barrier": top.rise, "alpha": 1 / 3, "end_a": ends[0]}
                    row |= {"end_b": ends[1], "worst": top.value, "excess": top.value - min(ends)}
                    yield {**named, "path": "triangle", **row}


def _lines(study: Study, ends: tuple[State, State], about: Row) -> Iterator[Row]:
    """Measure a line, and its worst points."""
    points = list(study.curve(ends, about, "reset"))
    for row in barriers(points):
        values = [point[row["metric"]] for point in points if point["split"] == row["split"]]
        worst = highest([()] * len(values), values, ()).value
        yield {**row, "worst": worst, "excess": worst - min(row["end_a"], row["end_b"])}


def _seen(study: Study, settings: Mapping[str, Any]) -> Iterator[tuple[Row, int | None, State]]:
    """Yield what others are permuted to match: the columns that name it, its seed, and its state."""
    from onebasin.landscape import claims, repair
    from onebasin.landscape.interpolate import interpolate

    def named(network: str, sources: int) -> Row:
        return {**study.configuration, **study.method.columns, "network": network, "sources": sources}

    networks = study.networks()
    for seed in study.seeds[: max(settings["sources"])]:
        yield named("ordinary", 0), seed, networks[seed]
    for address in study.every_network():
        if "star" in address:
            of_sources = isinstance(address["star"], int)
            kind = ("star", address["star"]) if of_sources else (address["star"], 0)
            yield named(*kind), address["seed"], study.state(address)
    for algorithm, count in product(settings["means"], sorted(settings["sources"])):
        if count > 1:
            members = {seed: networks[seed] for seed in study.seeds[:count]}
            frame = study.match_frame(members, _frame(study.method, algorithm))
            states, shares = [*claims.into_common_frame(study.symmetry, frame, members).values()], [1 / count] * count
            mean: State = interpolate(states, shares)
            images, _ = study.images("train", settings["fit_images"])
            if reset := repair.correction("reset", study.model, states, images):
                mean = reset(mean, shares)
            yield named(MEANS[algorithm], count), None, mean


def _frame(method: Method, algorithm: str) -> Method:
    """Return what brings networks into one frame: by what a method compares, with its options, or learned."""
    learned = algorithm == "sinkhorn"
    options: dict[str, Any] = {}
    if learned == (method.algorithm == "sinkhorn"):
        of_pairs = ("kernel", "restarts", "max_sweeps") if method.algorithm == "weights" else ()
        options = {key: value for key, value in method.settings.items() if key not in ("name", "algorithm", *of_pairs)}
    similarity = "weights" if not learned and method.compared == "weights" else "activations"
    settings = {"name": algorithm, "algorithm": algorithm, "similarity": similarity, "options": options}
    return type(method).of(settings)


MEANS = {"merge_many": "mean", "sinkhorn": "learned"}
"""What the mean of sources is called, by the algorithm of their frame."""
ORDER = ("ordinary", "longer", "decay", "mean", "learned", "star")
"""The kinds of networks, in the order in which they are drawn and told."""
DRAWN = (
    ("held-out", "barrier", "to held-out"),
    ("held-out", "excess", "to held-out"),
    ("strong", "barrier", "between two"),
    ("triangle", "excess", "triangle"),
)
"""The rows of the figure: a path, what is drawn of it, and the name of the path."""


def _best(rows: DataFrame) -> DataFrame:
    """Return the rows of the method by which the lines between ordinary networks have the least barriers."""
    from onebasin import findings

    ordinary = findings.where(rows, network="ordinary", path="held-out", metric="error", split="train")
    return findings.where(rows, method=str(findings.by_best(ordinary)["method"].iloc[0]))


def finding(table: DataFrame) -> str:
    """Say how far the most sources bring a star to networks that it never saw, and what it is worth as a reference."""
    from onebasin import findings

    sentences = []
    for name, part in findings.widest(summarise(table, SUMMARY)):
        rows = findings.where(_best(part), metric="error", split="train")
        rows = rows[rows["sources"].isin([0, rows["sources"].max()])]
        rows = rows.sort_values("network", key=lambda kinds: kinds.map(ORDER.index), kind="stable")
        held, strong = (findings.where(rows, path=path) for path in ("held-out", "strong"))
        two = ["ordinary", "star"]
        told = findings.each(held, lambda row: f"to {_article(row)}")
        over = findings.each(findings.where(held, network=two), lambda row: f"for {_article(row)}", "excess")
        between = findings.each(findings.where(strong, network=two), lambda row: f"in the frame of {_article(row)}")
        sentences.append(
            f"By {rows['method'].iloc[0]}, the training error barrier from held-out networks {name} is {told}; the "
            f"excess of the worst point over the better end is {over}. Between two held-out networks the barrier is "
            f"{between} ({findings.of_networks(held)})."
        )
    return findings.joined(sentences)


def _article(row: Series) -> str:
    words = {"ordinary": "an ordinary network", "longer": "one trained longer", "decay": "one with strong weight decay"}
    other = {
        "mean": f"the mean of {row['sources']}",
        "learned": "that in a learned frame",
        "star": f"a star of {row['sources']}",
    }
    return {**words, **other}[row["network"]]


def figure(table: DataFrame) -> Figure:
    """Draw errors on the training data under one method: a row of panels for each path, a column for each model."""
    from onebasin.figures import panels, style
    from onebasin.figures.legend import legend, networks
    from onebasin.figures.series import beside, handles, series

    models = style.unique(table["model"])
    table = table[(table["metric"] == "error") & (table["split"] == "train")]
    kinds = sorted(
        style.unique(zip(table["network"], table["sources"], strict=True)),
        key=lambda kind: (ORDER.index(kind[0]), kind),
    )
    marks = {
        width: style.Mark(f"width {width}", style.OKABE_ITO[i % 6], style.MARKERS[i % 6])
        for i, width in enumerate(sorted(table["width"].unique()))
    }
    drawn, axes = panels.grid(len(DRAWN), len(models), 1.45, sharex=True, extra=0.5)
    for column, model in enumerate(models):
        part = _best(table[table["model"] == model])
        axes[0][column].set_title(f"{model}, {style.method_labels(part)[part['method'].iloc[0]]}")
        for (path, value, _), axis in zip(DRAWN, axes[:, column], strict=True):
            panels.bands(axis, range(len(kinds)))
            shown = sorted(part["width"].unique())
            for slot, width in enumerate(shown):
                rows = part[(part["path"] == path) & (part["width"] == width)]
                at = [kinds.index(kind) for kind in zip(rows["network"], rows["sources"], strict=True)]
                # A mean has no seed: what varies is the others.
                members = rows[["reference", "a", "b"]].bfill(axis=1).to_numpy(dtype=int)
                series(axis, rows, value, marks[width], beside(axis, at, slot, len(shown)), members, joined=False)
            if value == "barrier":
                panels.connected(axis)
            panels.from_zero(axis)
            axis.set_xlim(-0.5, len(kinds) - 0.5)
        names = [f"{network} of {sources}" if sources else network for network, sources in kinds]
        axes[-1][column].set_xticks(
            range(len(kinds)), names, rotation=40, ha="right", rotation_mode="anchor", fontsize=style.size("small")
        )
    for (_, value, name), axis in zip(DRAWN, axes[:, 0], strict=True):
        axis.set_ylabel(f"{name}\n{'error barrier' if value == 'barrier' else 'excess of error'}")
    held = networks(table[table["path"] == "held-out"], ["b"])
    entries = [*(mark.handle(linestyle="none") for mark in marks.values()), panels.connected_handle()]
    legend(drawn, [*entries, *handles(f"one path; {held} held out")], 3)
    return drawn
