"""Which matching is best?

What each matching method reaches and costs, pair by pair: its objective, which is what it maximises, the cosine of all
parameters of the two networks after matching, which is what matching by weights maximises, steps, seconds, memory, and
the barrier that it leaves: between the two networks that were matched (*weak*), or in the frame common to all
(*strong*) for a method that takes all networks at once. The seconds of such a method are its time over the number of
pairs.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from onebasin.columns import CONFIGURATION, MEMORY, METHOD, METRIC, NUMBER, PAIR, REACHED, SPLIT, TEXT, WHOLE, Column
from onebasin.experiments import Needs, Row
from onebasin.landscape.barrier import barriers
from onebasin.summaries import Summary, summarise

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from pandas import DataFrame

PLACE, CATEGORY = 60, "Matching"
NEEDS = Needs(
    networks=2,
    purpose="a pair",
    gathers={"matching": ("methods",), "frame": ("frames",), "width": ("methods", "frames")},
)
COLUMNS = (
    *CONFIGURATION,
    *METHOD,
    Column("claim", TEXT, "`weak` for a method for two networks, `strong` for one for n networks"),
    *PAIR,
    *REACHED,
    Column("steps", WHOLE, "sweeps of a method for two networks, iterations of one for n networks"),
    Column("seconds", NUMBER, "wall time of the matching, s; of a method for n networks, its share for one pair"),
    MEMORY,
    SPLIT,
    METRIC,
    Column("barrier", NUMBER, "barrier of the pair under this permutation, in the unit of the metric"),
)
SUMMARY = Summary("model width method claim split metric", "barrier objective similarity seconds", "a b")
LEAST = {"seconds": 1e-6, "memory": 0.1}
"""Costs under these are not told apart."""
BARRIERS = {"weak": "weak", "strong": "strong, in a common frame"}
COSTS = {
    "similarity": "cosine of parameters",
    "seconds": "seconds per pair",
    "memory": "memory (MB)",
}
"""What is drawn, to its title."""


def table(parts: Mapping[str, Iterable[Row]], settings: Mapping[str, Any]) -> Iterator[Row]:
    """Join what each matching reached and cost with the barrier that it left.

    The barrier of a matching of two networks is the weak one, that of a frame the strong one in this frame. Pairs that
    were matched for the sake of other paths alone are left out.

    Raises:
        ValueError: when a barrier has no matching, or none of the pairs that a method matched has a barrier.
    """
    matched = {(*_pair(row), "weak"): {**row, "claim": "weak", "steps": row["sweeps"]} for row in parts["matching"]}
    frames = list(parts["frame"])
    pairs = Counter(_pair(row)[:3] for row in frames)
    for row in frames:
        share = row["seconds"] / pairs[_pair(row)[:3]]
        matched[(*_pair(row), "strong")] = {
            **row,
            "claim": "strong",
            "steps": row["iterations"],
            "seconds": share,
        }
    names, lacking = [column.name for column in COLUMNS], {_of_method(key) for key in matched}
    for row in barriers(parts["width"]):
        if row["claim"] == "none" or row["reference"] is not None:
            continue
        key = (*_pair(row), row["claim"])
        if key not in matched:
            raise ValueError(f"the barrier of {key} has no matching")
        lacking.discard(_of_method(key))
        joined = {**matched[key], "split": row["split"], "metric": row["metric"], "barrier": row["barrier"]}
        yield {name: joined[name] for name in names}
    if lacking:
        raise ValueError(f"the matching of {min(lacking)} has no barrier")


def _of_method(key: tuple[Any, ...]) -> tuple[Any, ...]:
    model, width, method, *_, claim = key
    return model, width, method, claim


def _pair(row: Mapping[str, Any]) -> tuple[Any, ...]:
    return row["model"], row["width"], row["method"], row["a"], row["b"]


def finding(table: DataFrame) -> str:
    """Say which method leaves the lowest barrier, and what it takes."""
    from onebasin import findings

    rows = findings.where(summarise(table, SUMMARY), metric="error", split="train")
    sentences = []
    for name, part in findings.widest(rows):
        told = []
        for claim, words in (("weak", "between the two that were matched"), ("strong", "in a frame common to all")):
            if len(of_claim := part[part["claim"] == claim]):
                row = findings.best(of_claim)
                told.append(f"{row['method']} {words}, {findings.mean(row)} in {row['seconds']:.2g} s a pair")
        sentences.append(
            f"The lowest training error barriers of {name} are left by {findings.listed(told)} "
            f"({findings.of_networks(part)})."
        )
    return findings.joined(sentences)


def figure(table: DataFrame) -> Figure:
    """Draw two lines of panels per model: error barriers, then similarity, seconds and memory.

    Methods for two networks leave weak barriers, methods for n networks strong ones, which have panels of their own;
    train is filled, test open.
    """
    from dataclasses import replace

    from onebasin.figures import panels, style
    from onebasin.figures.legend import legend, paths
    from onebasin.figures.series import beside, handles, series, split_handles

    errors = table[table["metric"] == next(iter(style.metrics(table)))]
    models, marks = style.unique(table["model"]), style.method_marks(table)
    splits = [split for split in style.SPLITS if split in set(table["split"])]
    claims = [claim for claim in BARRIERS if claim in set(table["claim"])]
    costs = [column for column in COSTS if errors[column].notna().any()]
    drawn, lines = panels.uneven([len(claims), len(costs)] * len(models), [1.75, 1.55] * len(models), fold=3)
    clipped = 0
    for model, above, below in zip(models, lines[::2], lines[1::2], strict=True):
        part = errors[errors["model"] == model]
        once = part[part["split"] == splits[0]]
        shown = [(axis, part[part["claim"] == claim], "barrier") for axis, claim in zip(above, claims, strict=True)]
        shown += [(axis, once[once[column].notna()], column) for axis, column in zip(below, costs, strict=True)]
        for axis, rows, column in shown:
            panels.width_axis(axis, sorted(part["width"].unique()))
            floor = _axis(axis, part if column == "barrier" else rows, column)
            sides = splits if column == "barrier" else splits[:1]
            slots = [(method, split) for method in marks if method in set(rows["method"]) for split in sides]
            for slot, (method, split) in enumerate(slots):
                rows_of = rows[(rows["method"] == method) & (rows["split"] == split)]
                mark, first = marks[method], split == splits[0]
                places = beside(axis, rows_of["width"], slot, len(slots))
                hidden = series(
                    axis, rows_of, column, replace(mark, filled=first), places, ["a", "b"], floor=floor, joined=first
                )
                clipped += hidden if column == "barrier" else 0
            axis.set_title({**COSTS, "barrier": BARRIERS[claims[above.index(axis)]] if axis in above else ""}[column])
        for axis in above[1:]:
            axis.sharey(above[0])
        above[0].set_ylabel(f"{model}\nerror barrier")
        below[0].set_ylabel(model)
    for axis in lines[-1]:
        axis.set_xlabel("width")
    entries = [*(mark.handle() for mark in marks.values()), *(split_handles() if len(splits) > 1 else [])]
    legend(drawn, [*entries, panels.connected_handle(), *handles(f"one of {paths(errors)}", clipped)], 3)
    return drawn


def _axis(axis: Axes, rows: DataFrame, column: str) -> float | None:
    """Make the y axis of a panel, and return the floor of what it shows."""
    from onebasin.figures import panels

    if column == "barrier":
        return panels.barrier_axis(axis, rows["barrier"], "error")
    if column == "similarity" or rows.empty:
        return None
    cost = rows[column].clip(lower=LEAST[column])
    panels.log_axis(axis, cost.min() / 1.4, cost.max() * 1.4)
    return LEAST[column]
