"""Do linear maps in place of permutations let more networks merge?

Networks are taken into the frame of one of them, the reference, by a *permutation* (activation matching), by *CCA*
(canonical correlations; CCA Merge, Horoi et al. 2024, arXiv 2407.05385) or by orthogonal *Procrustes* maps of each
layer's units, all from the same covariances of activations. **CCA and Procrustes maps are no symmetries of a network
with ReLU**: what they take into the frame is another network, with an error of its own. So the mapped network is
measured *alone*, on the *line* from the reference to it, and in the *mean* of the reference and 1, 3, … of them. Drawn
on test images: of the network alone and of means, how far the error lies above that of the same networks as they were
trained; of the line its barrier, above the straight line to the mapped network, which is low where that is bad. Lines
and means under each correction of their statistics. γ of CCA is the one of {linear[gammas]} under which the mean has
the least loss on training images. Each network is the reference once, and the others are those whose seeds follow.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from typing import TYPE_CHECKING, Any

from onebasin.columns import CONFIGURATION, METRIC, NUMBER, SPLIT, TEXT, WHOLE, Column
from onebasin.experiments import Counts, Needs, Row, corrections, widths
from onebasin.landscape.barrier import METRICS, Point, highest, split_of
from onebasin.summaries import Summary, summarise

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from pandas import DataFrame
    from torch import Tensor

    from onebasin.match.linear_maps import LinearMap
    from onebasin.study.study import Study
    from onebasin.symmetry import State

Values = Mapping[tuple[str, str], Any]

PLACE, CATEGORY = 59, "More than two"
NEEDS = Needs(networks=2, purpose="a pair", widths="linear.widths", points="linear.points", corrected=False)
SETTINGS: dict[str, Any] = {
    "widths": widths("Widths at which networks are mapped, for every model that has them."),
    "counts": {
        "description": "How many networks are merged, the reference among them.",
        "type": "array",
        "items": {"type": "integer", "minimum": 2},
        "minItems": 1,
        "uniqueItems": True,
    },
    "points": {
        "description": "Evenly spaced points on the line from the reference to a mapped network, its ends included.",
        "type": "integer",
        "minimum": 3,
    },
    "gammas": {
        "description": "What may be added to the variances of all units for CCA, in units of their mean variance; the "
        "one with the least training loss of the mean counts.",
        "type": "array",
        "items": {"type": "number", "exclusiveMinimum": 0},
        "minItems": 1,
        "uniqueItems": True,
    },
    "intermediate": {
        "description": "Where units are read: after the activation function, or before.",
        "type": "string",
        "enum": ["last", "first"],
    },
    "n_images": {
        "description": "Of the first training images, on which covariances are measured; fewer where there are fewer.",
        "type": "integer",
        "minimum": 2,
    },
    "corrections": corrections(),
}
COLUMNS = (
    *CONFIGURATION,
    Column(
        "alignment",
        TEXT,
        "`none`, `permutation`, `cca` or `procrustes`: what took networks into the frame of the reference; the last "
        "two are no symmetries and change their functions",
    ),
    Column("gamma", NUMBER, "γ of CCA, in units of the mean variance of units; empty for others", optional=True),
    Column("correction", TEXT, "`none`, `reset` or `repair`: how the statistics of mixtures were corrected"),
    Column(
        "what",
        TEXT,
        "`alone`: the other network, mapped; `line`: from the reference to it; `mean` of all of them",
    ),
    Column("count", WHOLE, "number of networks, the reference among them; 1 for a network alone"),
    Column("reference", WHOLE, "seed of the network into whose frame the others were taken"),
    Column("others", TEXT, "seeds of the others, joined by `-`"),
    SPLIT,
    METRIC,
    Column("value", NUMBER, "metric of what was measured, of a line where it has its barrier, in its unit"),
    Column(
        "baseline",
        NUMBER,
        "interpolation of the metric of the networks that were mixed, mapped as they are; of a network alone that "
        "before it was mapped",
    ),
    Column("rise", NUMBER, "value less baseline; of a line its barrier, in the unit of the metric"),
    Column(
        "excess",
        NUMBER,
        "rise above the interpolation of the metric of the networks as they were trained, the largest of a line",
    ),
)
SUMMARY = Summary(
    "model width alignment correction what count split metric", "value baseline rise excess", "reference others"
)
ALIGNMENTS = ("none", "permutation", "cca", "procrustes")
NAMES = {"none": "no map", "permutation": "permutation", "cca": "CCA", "procrustes": "Procrustes"}


def check(config: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Refuse to merge more networks than there are."""
    seeds = len(config["networks"] or config["seeds"])
    for count in config["linear"]["counts"]:
        if count > seeds:
            yield "linear.counts", f"{count} is more than the {seeds} networks. Allowed: numbers from 2 to {seeds}"


def work(settings: Mapping[str, Any], counts: Counts) -> dict[str, Any]:
    """Count the networks alone, the lines and the means of every alignment, and the means that choose γ."""
    sizes = len(settings["counts"])
    mixtures = len(settings["corrections"]) * (settings["points"] + sizes)
    mapped = min(max(settings["counts"]), counts.networks) + mixtures
    evaluations = counts.networks * (len(ALIGNMENTS) * mapped + len(settings["gammas"]) * (sizes + 1))
    correction = "repair" if "repair" in settings["corrections"] else "reset"
    return {"evaluations": evaluations, "correction": correction}


def measure(study: Study, settings: Mapping[str, Any]) -> Iterator[Row]:
    """Measure every network mapped into the frame of the one before, the line to it, and means of all numbers."""
    import torch

    from onebasin.landscape.interpolate import line

    maps = _Maps.of(study, settings)
    own = {seed: maps.values([state]) for seed, state in maps.networks.items()}
    for alignment, count in product(ALIGNMENTS, sorted({2, *settings["counts"]})):
        for subset in subsets(study.seeds, count):
            gamma, states = maps.into_frame(alignment, subset)
            about = {**study.configuration, "alignment": alignment, "gamma": gamma, "reference": subset[0]}
            about["others"] = "-".join(map(str, subset[1:]))
            trained = [own[seed] for seed in subset]
            mapped = [trained[0], *(maps.values([state]) for state in states[1:])]
            if count == 2 and alignment != "none":
                row = {**about, "correction": "none", "what": "alone", "count": 1}
                alone = study.measurement.points(states[1:], torch.ones(1, 1), "none")
                yield from ({**row, **values} for values in rises(list(alone), trained[1:], trained[1:]))
            for correction in settings["corrections"]:
                row = {**about, "correction": correction, "count": count}
                if count == 2:
                    way = list(study.measurement.points(states, line(settings["points"]), correction))
                    ends = [by_split(way, (1, 0)), by_split(way, (0, 1))]
                    yield from ({**row, "what": "line", **values} for values in rises(way, ends, trained))
                if count in settings["counts"]:
                    middle = list(study.measurement.points(states, mean_of(count), correction))
                    yield from ({**row, "what": "mean", **values} for values in rises(middle, mapped, trained))


def subsets(seeds: Sequence[int], count: int) -> list[list[int]]:
    """Return for each network, the reference, the list of it and of those that follow, the first after the last."""
    return [[seeds[(start + step) % len(seeds)] for step in range(count)] for start in range(len(seeds))]


def mean_of(count: int) -> Tensor:
    """Return the weights of the mean of networks [1, count]."""
    import torch

    return torch.full((1, count), 1 / count, dtype=torch.float64)


def by_split(points: Sequence[Point], weights: Sequence[float]) -> Values:
    """Return the values of one mixture, by split and metric."""
    return {
        (values["split"], metric): values[metric]
        for shares, values in points
        if list(shares) == list(weights)
        for metric in METRICS
    }


def rises(points: Sequence[Point], mapped: Sequence[Values], trained: Sequence[Values]) -> Iterator[Row]:
    """Yield, for each split and metric, how far mixtures rise above the mapped networks, and above the trained ones.

    Args:
        points: mixtures of n mapped networks.
        mapped: what each of these is by itself.
        trained: what each was before it was mapped.
    """
    for split, metric in product(dict.fromkeys(values["split"] for _, values in points), METRICS):
        looked_at = split_of(points, split)
        shares, values = [point[0] for point in looked_at], [point[1][metric] for point in looked_at]
        if None not in values:
            top = highest(shares, values, [one[split, metric] for one in mapped])
            before = highest(shares, values, [one[split, metric] for one in trained])
            row = {"value": top.value, "baseline": top.baseline, "rise": top.rise, "excess": before.rise}
            yield {"split": split, "metric": metric, **row}


@dataclass
class _Maps:
    """The maps between the networks of a study, each found once."""

    study: Study
    settings: Mapping[str, Any]
    networks: Mapping[int, State]
    images: Any
    moments: Mapping[str, Any]
    found: dict[Any, Any]

    @classmethod
    def of(cls, study: Study, settings: Mapping[str, Any]) -> _Maps:
        """Measure how the units of all networks vary together."""
        from onebasin.match import linear_maps

        networks, (images, _) = study.networks(), study.images("train", settings["n_images"])
        states = [networks[seed] for seed in study.seeds]
        intermediate = settings["intermediate"]
        moments = linear_maps.moments(study.symmetry, study.model, states, images, intermediate=intermediate)
        return cls(study, settings, networks, images, moments, {})

    def into_frame(self, alignment: str, subset: Sequence[int]) -> tuple[float | None, list[State]]:
        """Return the networks of a subset in the frame of the first, and the γ by which they were taken there."""
        if alignment != "cca":
            return None, self._moved(alignment, None, subset)
        tried = [(gamma, self._moved(alignment, gamma, subset)) for gamma in self.settings["gammas"]]
        return min(tried, key=lambda one: self._loss(one[1])) if len(tried) > 1 else tried[0]

    def values(self, states: Sequence[State]) -> Values:
        """Return what the mean of networks, or one of them, is by split and metric; each is measured once."""
        key = "values", *map(id, states)  # states are kept as long as this
        if key not in self.found:
            weights = mean_of(len(states))
            points = list(self.study.measurement.points(states, weights, "none"))
            self.found[key] = by_split(points, weights[0].tolist())
        found: Values = self.found[key]
        return found

    def _loss(self, states: Sequence[State]) -> float:
        """Return the loss of the mean of networks on training images."""
        loss = self.values(states)["train", "loss"]
        return loss if math.isfinite(loss) else math.inf

    def _moved(self, alignment: str, gamma: float | None, subset: Sequence[int]) -> list[State]:
        reference, *others = subset
        return [self.networks[reference], *(self._state(alignment, gamma, reference, other) for other in others)]

    def _state(self, alignment: str, gamma: float | None, reference: int, other: int) -> State:
        """Return a network in the frame of another one; the way back, which takes the inverse, is found with it."""
        from onebasin.match import linear_maps

        if alignment == "none":
            return self.networks[other]
        if (alignment, gamma, reference, other) not in self.found:
            a, b = sorted((reference, other))
            there = self._between(alignment, gamma, a, b)
            for linear_map, x, y in ((there, a, b), (there.inverse(), b, a)):
                self.found[alignment, gamma, x, y] = linear_maps.apply(
                    self.study.symmetry, self.study.model, linear_map, self.networks[y], self.images
                )
        found: State = self.found[alignment, gamma, reference, other]
        return found

    def _between(self, alignment: str, gamma: float | None, x: int, y: int) -> LinearMap:
        """Return what takes network y into the frame of network x."""
        from onebasin.match import linear_maps

        pair = self.study.seeds.index(x), self.study.seeds.index(y)
        if ("permutation", pair) not in self.found:
            states = self.networks[x], self.networks[y]
            permuted = linear_maps.permutation_of(self.study.symmetry, self.moments, pair, states)
            self.found["permutation", pair] = permuted.permutation
        permutation = linear_maps.of_permutation(self.found["permutation", pair], self.images.device)
        if alignment == "permutation":
            return permutation
        if gamma is None:
            return linear_maps.procrustes(self.moments, pair, permutation)
        return linear_maps.cca(self.moments, pair, permutation, gamma)


def finding(table: DataFrame) -> str:
    """Say what maps make of a network, and how the mean grows worse with the number of networks."""
    from onebasin import findings

    rows = findings.where(summarise(table, SUMMARY), metric="error", split="test", correction="none")
    sentences = []
    for name, part in findings.widest(rows):
        counts = part.loc[part["what"] == "mean", "count"]
        ends = sorted({int(counts.min()), int(counts.max())})
        alone = findings.where(part, what="alone", alignment=["cca", "procrustes"])
        by_itself, means = findings.each(alone, lambda row: _by(row["alignment"]), "excess"), []
        for alignment in ALIGNMENTS:
            of = findings.where(part, what="mean", alignment=alignment, count=ends)
            told = findings.each(of, lambda row: f"for {row['count']}", "excess")
            means.append(f"{told} {_by(alignment)}")
        sentences.append(
            f"CCA and Procrustes maps are no symmetries: alone, a mapped network {name} errs on {by_itself} more of "
            f"the test images than before. The mean of networks errs on {'; '.join(means)} more than they do "
            f"({findings.of_networks(part)})."
        )
    return findings.joined(sentences)


def _by(alignment: str) -> str:
    return "without a map" if alignment == "none" else f"by {NAMES[alignment]}"


def _members(rows: DataFrame) -> list[list[int]]:
    """Return the networks of each row, the reference repeated where others have more."""
    found = [
        [reference, *map(int, others.split("-"))]
        for reference, others in zip(rows["reference"].tolist(), rows["others"].tolist(), strict=True)
    ]
    most = max(map(len, found), default=0)
    return [row + [row[0]] * (most - len(row)) for row in found]


def figure(table: DataFrame) -> Figure:
    """Draw errors above those of the networks as they were trained, on test data: a row of panels per model and width.

    One panel for each correction, in it the mapped network alone, the line to it, and means of all numbers.
    """
    import numpy as np

    from onebasin.figures import panels, style
    from onebasin.figures.legend import legend
    from onebasin.figures.series import beside, handles, series

    table = table[(table["split"] == "test") & (table["metric"] == "error")]
    rows = style.unique(zip(table["model"], table["width"], strict=True))
    compared = style.unique(table.loc[table["what"] == "mean", "correction"])
    marks = {
        alignment: style.Mark(NAMES[alignment], colour, marker, line=line)
        for alignment, colour, marker, line in zip(
            ALIGNMENTS, (style.GREY, *style.OKABE_ITO), "Dosp", ((0, (1, 1)), *style.LINES), strict=False
        )
    }
    counts = sorted(table.loc[table["what"] == "mean", "count"].unique())
    places = [("alone", 1), ("line", 2), *(("mean", count) for count in counts)]
    drawn, axes = panels.grid(len(rows), len(compared), 1.6, sharey="row", sharex=True)
    for (model, width), line in zip(rows, axes, strict=True):
        of = table[(table["model"] == model) & (table["width"] == width)]
        for axis, correction in zip(line, compared, strict=True):
            panels.bands(axis, range(len(places)))
            # A network alone is what it is: a correction leaves the networks at the ends as they are.
            shown = of[(of["correction"] == correction) | (of["what"] == "alone")]
            for slot, (alignment, mark) in enumerate(marks.items()):
                for what in ("alone", "line", "mean"):
                    part = shown[(shown["what"] == what) & (shown["alignment"] == alignment)]
                    at = [places.index((what, count)) for count in part["count"]]
                    where, value = beside(axis, at, slot, len(marks)), "rise" if what == "line" else "excess"
                    series(axis, part, value, mark, where, np.array(_members(part)), joined=what == "mean")
            axis.set_xticks(range(len(places)), ["alone", "barrier", *(f"mean\nof {count}" for count in counts)])
            axis.set_xlim(-0.6, len(places) - 0.4)
        line[0].set_ylabel(f"{model}, width {width}\nerror above that\nas trained")
    for axis, correction in zip(axes[0], compared, strict=True):
        axis.set_title("uncorrected" if correction == "none" else correction)
    networks = len(set(table["reference"]))
    entries = [
        *(mark.handle() for mark in marks.values()),
        *handles(f"one reference of {networks} networks"),
    ]
    legend(drawn, entries, 4)
    return drawn
