"""Does one permutation connect two networks at every level of pruning?

Barriers between pruned networks against the share of weights that remains: without a permutation, with the
permutation found at this level, and with the one found between the trained networks before anything was pruned
(*dense*). Where the dense one does as well, one permutation connects the two networks at every sparsity: simultaneous
weak linear connectivity (Sharma et al. 2024). To the right, the networks at the ends. Dashed: an error barrier of
0.02, below which two networks count as linearly connected.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from onebasin.columns import BARRIER, CONFIGURATION, LEVEL, METHOD, PAIR, TEXT, Column
from onebasin.experiments import Counts, Needs, Row
from onebasin.landscape.barrier import barriers
from onebasin.summaries import Summary, summarise

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from pandas import DataFrame, Series

    from onebasin.figures.style import Mark
    from onebasin.study.study import Method, Study

PLACE, CATEGORY = 140, "Pruning"
NEEDS = Needs(
    networks=2,
    purpose="a pair",
    widths="pruning.widths",
    points="pruning.points",
    states=("levels",),
    masks=("levels",),
    permutations=("last", "levels"),
    parts=("levels",),
    gathers={"width": ("none", "methods"), "sparsity": ("levels",)},
)
COLUMNS = (
    *CONFIGURATION,
    *LEVEL,
    Column(
        "permutation",
        TEXT,
        "`none`, `level` or `dense`: b as it is, permuted as found at this level, as found at level 0",
    ),
    *METHOD,
    *PAIR,
    *BARRIER,
)
SUMMARY = Summary(
    "model width level density permutation method split metric",
    "barrier",
    "a b",
    moments="level density",
    several=lambda rows: rows["permutation"] == "level",
)


def check(config: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Refuse points that were not measured between the trained networks, which are level 0."""
    points, fine = config["pruning"]["points"], config["barrier"]["points"]
    if (fine - 1) % (points - 1):
        allowed = ", ".join(str(n + 1) for n in range(2, fine) if (fine - 1) % n == 0)
        yield "pruning.points", f"{points} is not allowed. Allowed with {fine} barrier.points: {allowed}"


def work(settings: Mapping[str, Any], counts: Counts) -> dict[str, Any]:
    """Count every pair at every level: without a permutation, and with two by each method."""
    levels = counts.states // counts.networks
    return {"evaluations": (1 + 2 * counts.methods) * counts.pairs * levels * settings["points"]}


def measure(study: Study, settings: Mapping[str, Any]) -> Iterator[Row]:
    """Measure the way between every pair at one level of pruning."""
    from onebasin.landscape import claims, paths

    level, networks = study.level, study.networks(level=study.level)
    # Of all networks of a level the same number of weights remains.
    density = study.mask(study.seeds[0], level).density
    tried: list[tuple[str, Method, Any]] = [("none", study.unpermuted, {})]
    for method in study.methods.values():
        tried.append(("level", method, study.permutations(method.name, level=level)))
        tried.append(("dense", method, study.permutations(method.name)))
    for permutation, method, permutations in tried:
        for path in paths.weak(study.pairs):
            ends = claims.endpoints(path, networks, permutations, study.symmetry)
            about = {**study.configuration, "level": level, "density": density, "permutation": permutation}
            yield from barriers(study.curve(ends, {**about, **method.columns, "a": path.a, "b": path.b}))


def table(parts: Mapping[str, Iterable[Row]], settings: Mapping[str, Any]) -> Iterator[Row]:
    """Join the barriers of all levels; those of level 0, where a level's own is the dense one, are measured already."""
    yield from level_zero(parts["width"], settings["points"])
    yield from parts["sparsity"]


def level_zero(curves: Iterable[Row], points: int) -> Iterator[Row]:
    """Turn curves between the trained networks into rows of level 0.

    Args:
        curves: rows that the experiment `width` measured.
        points: of each curve only so many evenly spaced alphas count, as at the other levels.
    """
    steps = points - 1
    coarse = (
        row
        for row in curves
        if row["claim"] != "strong" and math.isclose(row["alpha"] * steps, round(row["alpha"] * steps), abs_tol=1e-6)
    )
    for row in barriers(coarse):
        about = {column: value for column, value in row.items() if column not in ("claim", "reference")}
        for permutation in ("none",) if row["claim"] == "none" else ("level", "dense"):
            yield {**about, "level": 0, "density": 1.0, "permutation": permutation}


def finding(table: DataFrame) -> str:
    """Say whether the permutation of the dense networks connects them at every level, and what is so at the last."""
    from onebasin import findings
    from onebasin.prose import percent

    rows = findings.where(summarise(table, SUMMARY), metric="error")
    sentences = []
    for (model, width), part in rows.groupby(["model", "width"], sort=False):
        least = percent(part["density"].min())
        last = findings.where(part[part["level"] == part["level"].max()], split="train")
        dense = findings.where(part, permutation="dense")
        training = findings.where(dense, split="train")
        told = f"{model} {width}: "
        if len(training):
            method = findings.by_best(training)["method"].iloc[0]
            one = findings.where(dense, method=method)
            told = (
                f"{model} {width}, {findings.of_networks(one)}, by one permutation, found before pruning by {method}: "
                f"at all levels, down to {least} of the weights, {findings.simultaneously(one, _when)}; "
            )
            last = findings.where(last, method=["none", method])
        if len(last):
            sentences.append(
                f"{told}with {least} of the weights the training error barrier is {findings.each(last, _named)}."
            )
    return findings.joined(sentences)


def _when(row: Series) -> str:
    from onebasin.prose import percent

    return f"with {percent(row['density'])} of the weights"


def _named(row: Series) -> str:
    words = {"level": "by the permutation found there", "dense": "by the one found before pruning"}
    return words.get(row["permutation"], "without a permutation")


def figure(table: DataFrame) -> Figure:
    """Draw a row of panels per metric and model; barriers, then the networks themselves."""
    from onebasin.figures import panels, style
    from onebasin.figures.legend import legend, networks, paths
    from onebasin.figures.series import handles

    models = style.unique(zip(table["model"], table["width"], strict=True))
    splits = [split for split in style.SPLITS if split in set(table["split"])]
    rows = [(metric, *which) for metric in style.metrics(table) for which in models]
    marks = _marks(table)
    drawn, axes = panels.grid(len(rows), 2 * len(splits), 1.5)
    clipped = 0
    for (metric, model, width), line in zip(rows, axes, strict=True):
        part = table[(table["metric"] == metric) & (table["model"] == model) & (table["width"] == width)]
        for axis, split in zip(line, splits, strict=False):
            clipped += _draw_barriers(axis, part, split, marks, metric)
        for axis, split in zip(line[len(splits) :], splits, strict=True):
            _draw_networks(axis, part[part["split"] == split])
        for axis in line[1 : len(splits)]:
            axis.sharey(line[0])
        line[0].set_ylabel(f"{model}, width {width}\n{style.BARRIERS[metric]}")
        line[len(splits)].set_ylabel(style.METRICS[metric])
    for column, (top, bottom) in enumerate(zip(axes[0], axes[-1], strict=True)):
        top.set_title(f"{'barrier' if column < len(splits) else 'networks'}, {splits[column % len(splits)]}")
        bottom.set_xlabel("density")
    entries = [*(mark.handle() for mark in marks.values()), panels.connected_handle()]
    one = f"one of {paths(table)}" if style.narrow() else f"one of {paths(table)}, or one of {networks(table)}"
    legend(drawn, [*entries, *handles(one, clipped)], 3)
    return drawn


def _draw_barriers(axis: Axes, part: DataFrame, split: str, marks: Mapping[tuple[str, str], Mark], metric: str) -> int:
    from onebasin.figures import panels
    from onebasin.figures.series import beside, series

    floor = panels.barrier_axis(axis, part["barrier"], metric)
    panels.density_axis(axis, part["density"])
    clipped = 0
    for slot, ((method, permutation), mark) in enumerate(marks.items()):
        rows = part[(part["split"] == split) & (part["method"] == method) & (part["permutation"] == permutation)]
        places = beside(axis, rows["density"], slot, len(marks))
        clipped += series(axis, rows, "barrier", mark, places, ["a", "b"], floor=floor)
    return clipped


def _draw_networks(axis: Axes, part: DataFrame) -> None:
    """Draw each network once: the ends of its paths are the same."""
    from pandas import concat

    from onebasin.figures import panels, style
    from onebasin.figures.series import beside, series

    ends = concat(
        part[["density", seed, f"end_{seed}"]].set_axis(["density", "seed", "value"], axis=1) for seed in ("a", "b")
    )
    networks = ends.drop_duplicates(["density", "seed"])
    panels.density_axis(axis, networks["density"])
    series(
        axis, networks, "value", style.Mark("networks", style.GREY), beside(axis, networks["density"], 0, 1), ["seed"]
    )
    panels.from_zero(axis)


def _marks(table: DataFrame) -> dict[tuple[str, str], Mark]:
    """Return one mark per method and permutation: the level's own is filled, the dense one open and dashed."""
    from onebasin.figures.style import Mark, method_marks

    marks = {}
    for method, mark in method_marks(table).items():
        if method == "none":
            marks[method, "none"] = mark
            continue
        marks[method, "level"] = Mark(f"of the level, {mark.label}", mark.colour, mark.marker)
        marks[method, "dense"] = Mark(f"dense, {mark.label}", mark.colour, mark.marker, False, (0, (4, 1.5)))
    return marks
