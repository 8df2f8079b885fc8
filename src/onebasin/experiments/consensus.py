"""How many networks share one frame?

Networks that were permuted into one frame, against their number: the barriers on the lines between two of them, the
largest barrier over their mean and {consensus[mixtures]} random mixtures of all of them (*simplex*), and the accuracy
of their mean, with its statistics as they are and under each correction. On test data. *None*: no permutation. A
matching method for two networks takes all of them into the frame of the first; a method for n networks finds a frame of
its own for each number of networks.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from itertools import combinations, product
from typing import TYPE_CHECKING, Any

from onebasin.columns import CONFIGURATION, METHOD, METRIC, NUMBER, SPLIT, TEXT, WHOLE, Column
from onebasin.experiments import Counts, Needs, Row, corrections, widths
from onebasin.landscape.barrier import METRICS, Point, split_of, summit
from onebasin.summaries import Summary, summarise

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from pandas import DataFrame
    from torch import Tensor

    from onebasin.study.study import Study

PLACE, CATEGORY = 50, "More than two"
NEEDS = Needs(
    networks=3,
    purpose="a frame of more than a pair",
    widths="consensus.widths",
    corrected=False,
    permutations=("last",),
    frames=True,
    parts=("none", "methods", "frames"),
)
SETTINGS: dict[str, Any] = {
    "widths": widths("Widths at which networks are mixed, for every model that has them."),
    "subsets": {
        "description": "Which networks share a frame: nested, the first two, the first three … all seeds; or all "
        "subsets of two and more seeds.",
        "type": "string",
        "enum": ["nested", "all"],
    },
    "mixtures": {
        "description": "Random points of a simplex at which it is measured, besides the mean.",
        "type": "integer",
        "minimum": 1,
    },
    "seed": {"description": "Seed of these points.", "type": "integer", "minimum": 0},
    "corrections": corrections(),
}
COLUMNS = (
    *CONFIGURATION,
    *METHOD,
    Column("correction", TEXT, "`none`, `reset` or `repair`: how the statistics of the mixtures were corrected"),
    Column("count", WHOLE, "number of networks that were brought into one frame"),
    Column("frame", TEXT, "seeds of these networks, joined by `-`"),
    Column("mixed", TEXT, "seeds of those of them that were mixed, joined by `-`"),
    Column("over", TEXT, "`line` between two, their `mean`, or `simplex`: random points of the simplex and the mean"),
    SPLIT,
    METRIC,
    Column("value", NUMBER, "metric of the mixture that rises most above the interpolation of the ends, in its unit"),
    Column("baseline", NUMBER, "interpolation of the metric of the networks themselves at this mixture, in its unit"),
    Column("barrier", NUMBER, "value less baseline; over `line` and `simplex` at least 0, since the networks count"),
)
SUMMARY = Summary("model width method correction count over split metric", "value baseline barrier", "mixed")
QUANTITIES = {"line": "pairs", "simplex": "simplex", "mean": "mean"}
"""What is mixed, in the order of the rows of the figure, to its name."""


def pairs(networks: Sequence[int], settings: Mapping[str, Any]) -> list[tuple[int, int]]:
    """Return the pairs of the first network of each set with all others of it."""
    return [(first, other) for first, *others in subsets(networks, settings["subsets"]) for other in others]


def work(settings: Mapping[str, Any], counts: Counts) -> dict[str, Any]:
    """Count the lines, means and simplices of every number of networks, under each correction."""
    sizes: list[int] = [len(subset) for subset in subsets(range(counts.networks), settings["subsets"])]
    pairs = sum(math.comb(size, 2) for size in sizes)
    mixtures = pairs * settings["points"] + sum(sizes) + len(sizes) * (1 + settings["mixtures"])
    return {
        "evaluations": (counts.series + counts.frames) * len(settings["corrections"]) * mixtures,
        "framings": sum(sizes),
        "correction": "repair" if "repair" in settings["corrections"] else "reset",
    }


def subsets(seeds: Sequence[int], which: str) -> list[tuple[int, ...]]:
    """Return the sets of networks that share a frame, from two to all.

    Args:
        seeds: the networks.
        which: "nested", the first two, the first three … all of them; or "all" subsets of two and more.
    """
    sizes = range(2, len(seeds) + 1)
    if which == "nested":
        return [tuple(seeds[:size]) for size in sizes]
    return [subset for size in sizes for subset in combinations(seeds, size)]


def mixtures(networks: int, count: int, seed: int) -> Tensor:
    """Return the weights [networks + 1 + count, networks] of points of a simplex: its corners, its mean, random points.

    Args:
        networks: number of networks.
        count: number of random points, distributed evenly over the simplex.
        seed: of these points.
    """
    import torch

    from onebasin import seeding
    from onebasin.landscape.interpolate import random_points

    inside = random_points(count, networks, seeding.generator("consensus", networks, seed))
    corners = torch.eye(networks, dtype=torch.float64)
    return torch.cat([corners, torch.full((1, networks), 1 / networks, dtype=torch.float64), inside])


def highest(over: str, measured: Sequence[Point]) -> Iterator[Row]:
    """Yield, for each split and metric, the mixture that rises most above the interpolation of the networks.

    Args:
        over: "line" or "simplex"; with "simplex" the mean is also given by itself.
        measured: for each mixture its weights and its values, with the corners (weights of 0 and 1) among them.
    """
    for split in dict.fromkeys(values["split"] for _, values in measured):
        points = split_of(measured, split)
        mean = [point for point in points if len(set(point[0])) == 1]
        for metric in METRICS:
            if points[0][1][metric] is None:
                continue
            tops = {over: summit(points, metric)}
            if over == "simplex":
                tops["mean"] = summit(points, metric, among=mean)
            for name, top in tops.items():
                about = {"over": name, "split": split, "metric": metric}
                yield {**about, "value": top.value, "baseline": top.baseline, "barrier": top.rise}


def measure(study: Study, settings: Mapping[str, Any]) -> Iterator[Row]:
    """Measure lines, means and simplices of two, three … all networks in one frame."""
    from onebasin.landscape import claims
    from onebasin.landscape.interpolate import line

    method, networks = study.method, study.networks()
    points, measured = line(settings["points"]), {}
    for subset in subsets(study.seeds, settings["subsets"]):
        members = {seed: networks[seed] for seed in subset}
        if method.is_frame:
            whole = len(subset) == len(study.seeds)
            frame = study.frame(method.name) if whole else study.match_frame(members, method)
            states, named = claims.into_common_frame(study.symmetry, frame, members), subset
        elif permutations := study.permutations(method.name):
            states, named = claims.into_frame_of(study.symmetry, permutations, subset[0], members), subset[:1]
        else:
            states, named = members, ()
        about = {**study.configuration, **method.columns}
        count = {"count": len(subset), "frame": "-".join(map(str, subset))}
        inside = mixtures(len(subset), settings["mixtures"], settings["seed"])
        mixed = [("line", pair, points) for pair in combinations(subset, 2)] + [("simplex", subset, inside)]
        for correction, (over, seeds, weights) in product(settings["corrections"], mixed):
            # A line in a frame that is the same for several sets of networks is measured once.
            key = named, over, seeds, correction
            if key not in measured:
                ends = [states[seed] for seed in seeds]
                measured[key] = list(highest(over, list(study.measurement.points(ends, weights, correction))))
            which = {**about, "correction": correction, **count, "mixed": "-".join(map(str, seeds))}
            yield from ({**which, **row} for row in measured[key])


def finding(table: DataFrame) -> str:
    """Say how the barrier between two networks grows with the number that share their frame."""
    from onebasin import findings

    rows = findings.where(summarise(table, SUMMARY), metric="error", split="train", over="line", correction="none")
    sentences = []
    for name, part in findings.widest(rows[rows["method"] != "none"]):
        most = part["count"].max()
        method = findings.best(part[part["count"] == most])["method"]
        ends = findings.where(part, method=method, count=[2, int(most)])
        sentences.append(
            f"In one frame by {method}, the training error barrier between two networks {name} is "
            f"{findings.each(ends, lambda row: 'where ' + str(row['count']) + ' networks share it')}."
        )
    return findings.joined(sentences)


def figure(table: DataFrame) -> Figure:
    """Draw error barriers of pairs and simplices, and the accuracy of the mean, on the test data.

    One row of panels per model and quantity; columns are the smallest, a middle and the largest width, each under every
    correction.
    """
    import numpy as np

    from onebasin.figures import panels, style
    from onebasin.figures.legend import legend, some
    from onebasin.figures.series import beside, handles, series

    table = table[(table["split"] == "test") & (table["metric"] == "error")]
    table = table.assign(accuracy=1 - table["value"])
    models = style.unique(table["model"])
    compared = style.unique(table["correction"])
    widths = {model: style.chosen(table.loc[table["model"] == model, "width"]) for model in models}
    marks = style.method_marks(table)
    counts = sorted(table["count"].unique())
    rows = [(model, over) for model in models for over in QUANTITIES]
    shown = {model: [(width, correction) for width in widths[model] for correction in compared] for model in models}
    drawn, axes = panels.uneven([len(shown[model]) for model, _ in rows], [1.4] * len(rows), sharey=True)
    clipped = 0
    for (model, over), line in zip(rows, axes, strict=True):
        part = table[(table["model"] == model) & (table["over"] == over)]
        part = part[part["width"].isin(widths[model])]
        floor = None if over == "mean" else panels.barrier_axis(line, part["barrier"], "error")
        for axis, (width, correction) in zip(line, shown[model], strict=True):
            panels.bands(axis, counts)
            measured = part[(part["width"] == width) & (part["correction"] == correction)]
            for slot, (method, mark) in enumerate(marks.items()):
                rows_of = measured[measured["method"] == method]
                places, _ = beside(axis, rows_of["count"], slot, len(marks), room=0.7)
                # Sets of networks do not all have as many; what is unknown is a network of its own.
                members = np.array([[*map(int, text.split("-")), -1, -1][:2] for text in rows_of["mixed"]])
                networks = members if over == "line" else np.arange(len(rows_of))[:, None]
                column = "accuracy" if over == "mean" else "barrier"
                clipped += series(axis, rows_of, column, mark, (places, 0.0), networks, floor=floor)
            axis.set_xticks(counts)
            axis.set_xlim(counts[0] - 0.5, counts[-1] + 0.5)
            if over == "line":
                name = "uncorrected" if correction == "none" else correction
                axis.set_title(f"width {width}" + (f"\n{name}" if len(compared) > 1 else ""))
            if over == "mean":
                axis.set_xlabel("networks in the frame")
                axis.set_ylim(0, 1.02)
        name = "test accuracy" if over == "mean" else f"test {style.BARRIERS['error']}"
        line[0].set_ylabel(f"{model}, {QUANTITIES[over]}\n{name}")
    entries = [
        *(mark.handle() for mark in marks.values()),
        panels.connected_handle(),
        *handles(f"one measurement, of {_networks(table)}", clipped),
        *some(table, widths),
    ]
    legend(drawn, entries, 3)
    return drawn


def _networks(table: DataFrame) -> str:
    """Return how many networks are mixed at most."""
    return f"up to {table['count'].max()} networks"
