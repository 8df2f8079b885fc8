"""What do learned permutations buy by themselves?

Permutations learned through the loss could lower it without any likeness of two networks: they are many choices, made
by the labels. Here they are learned where there is nothing to find. *Trained*: two networks as they are. *One
shuffled*: the weights of network *b* stand in random order, each tensor by itself; *both shuffled*: those of network
*a* too. *Random labels*: trained networks, and labels in random order, by which permutations are learned and the
middle judged, on the training data. Drawn is the middle between the two networks.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from onebasin.columns import CONFIGURATION, METHOD, METRIC, NUMBER, PAIR, SPLIT, TEXT, Column
from onebasin.experiments import Counts, Needs, Row, widths
from onebasin.summaries import Summary, summarise

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from pandas import DataFrame
    from torch import Tensor

    from onebasin.study.study import Study
    from onebasin.symmetry import State

PLACE, CATEGORY = 65, "Matching"
NEEDS = Needs(
    networks=2,
    purpose="a pair",
    widths="control.widths",
    points=None,
    corrected=False,
    parts=("none", "methods"),
)
SETTINGS: dict[str, Any] = {
    "widths": widths("Widths at which permutations are learned where there is nothing to find."),
    "seed": {"description": "Seed of the random orders.", "type": "integer", "minimum": 0},
}
KINDS = ("trained", "one shuffled", "both shuffled", "random labels")
COLUMNS = (
    *CONFIGURATION,
    Column("kind", TEXT, "`trained`, `one shuffled`, `both shuffled` or `random labels`: what was matched"),
    *METHOD,
    *PAIR,
    SPLIT,
    METRIC,
    Column("middle", NUMBER, "metric half-way between the two networks, in its unit"),
    Column("end_a", NUMBER, "metric of network a, in its unit"),
    Column("end_b", NUMBER, "metric of network b, in its unit"),
)
SUMMARY = Summary("model width kind method split metric", "middle end_a end_b", "a b")


def work(settings: Mapping[str, Any], counts: Counts) -> dict[str, Any]:
    """Count four matchings, and three points of four lines, for each of the disjoint pairs."""
    matchings = len(KINDS) * (counts.networks // 2)
    return {"matchings": matchings, "evaluations": 3 * matchings * counts.series}


def shuffled(state: State, *address: str | int) -> dict[str, Tensor]:
    """Return a state whose floating-point tensors have their entries in random order.

    Args:
        state: a state dict.
        address: of the random order, as in ``seeding.derive``.
    """
    import torch

    from onebasin import seeding

    moved = {}
    for key, tensor in state.items():
        moved[key] = tensor
        if tensor.is_floating_point() and tensor.numel() > 1:
            order = torch.randperm(tensor.numel(), generator=seeding.generator("control", *address, key))
            moved[key] = tensor.flatten()[order.to(tensor.device)].reshape(tensor.shape)
    return moved


def measure(study: Study, settings: Mapping[str, Any]) -> Iterator[Row]:
    """Measure the middle between the networks of disjoint pairs, as trained and where there is nothing to find."""
    import torch

    from onebasin import seeding
    from onebasin.landscape import evaluate, paths
    from onebasin.landscape.interpolate import line

    images, labels = study.images("train")
    order = torch.randperm(len(labels), generator=seeding.generator("control", settings["seed"], "labels"))
    random = labels[order.to(labels.device)]
    limit, method, networks = settings["train_images"], study.method, study.networks()
    for a, b in paths.pairs(study.seeds, "disjoint"):
        ends = networks[a], networks[b]
        without = tuple(shuffled(networks[seed], settings["seed"], seed) for seed in (a, b))
        cases = {
            "trained": (ends, None),
            "one shuffled": ((ends[0], without[1]), None),
            "both shuffled": (without, None),
            "random labels": (ends, random),
        }
        for kind, ((first, second), instead) in cases.items():
            if method.name != "none":
                second = study.symmetry.apply(study.match(first, second, method, labels=instead), second)
            if instead is None:
                points = list(study.measurement.curve([first, second], 3))
            else:
                seen = {"train": (images[:limit], instead[:limit])}
                values = evaluate.measure(
                    study.model, [first, second], line(3), seen, batch_size=settings["batch_size"]
                )
                points = [{"split": "train", **row} for row in values["train"].rows()]
            about = {**study.configuration, "kind": kind, **method.columns, "a": a, "b": b}
            for split in dict.fromkeys(point["split"] for point in points):
                end_a, middle, end_b = (point for point in points if point["split"] == split)
                for metric in ("loss", "error"):
                    values_of = {"middle": middle[metric], "end_a": end_a[metric], "end_b": end_b[metric]}
                    yield {**about, "split": split, "metric": metric, **values_of}


def finding(table: DataFrame) -> str:
    """Say what the middle between networks misses under the same permutations, trained and shuffled."""
    from onebasin import findings

    rows = findings.where(summarise(table, SUMMARY), metric="error", split="train")
    sentences = []
    for name, part in findings.widest(rows[rows["method"] != "none"]):
        for method, tried in part.groupby("method", sort=False):
            sentences.append(
                f"By {method}, the middle of two networks {name} misses {findings.each(tried, 'kind', 'middle')} on "
                f"training images ({findings.of_networks(tried)})."
            )
    return findings.joined(sentences)


def figure(table: DataFrame) -> Figure:
    """Draw the error of the middle against the width: one row of panels per model, a column for each kind of pair."""
    from onebasin.figures import panels, style
    from onebasin.figures.legend import legend, paths
    from onebasin.figures.series import columns_of, handles, split_handles

    table = table[table["metric"] == "error"]
    models = style.unique(table["model"])
    marks = style.method_marks(table)
    drawn, axes = panels.grid(len(models), len(KINDS), 1.7, sharey=True)
    for model, line in zip(models, axes, strict=True):
        for axis, kind in zip(line, KINDS, strict=True):
            part = table[(table["model"] == model) & (table["kind"] == kind)]
            widths_of = sorted(part["width"].unique())
            places = [widths_of.index(width) for width in part["width"]]
            networks = list(zip(part["a"], part["b"], strict=True))
            panels.bands(axis, range(len(widths_of)))
            columns_of(axis, part, "middle", places, networks, marks)
            axis.set_xticks(range(len(widths_of)), [f"{width}" for width in widths_of])
            axis.set_ylim(0, 1)
            axis.set_title(kind)
            axis.set_xlabel("width")
        line[0].set_ylabel(f"{model}\nerror half-way")
    entries = [*(mark.handle() for mark in marks.values()), *split_handles(), *handles(f"one of {paths(table)}")]
    legend(drawn, entries, 4)
    return drawn
