"""Which matching is best?

What each matching method reaches and costs, pair by pair: its objective (in its own unit), the cosine of all
parameters of the two networks after matching, steps, seconds, memory, and the barrier that it leaves: between the two
networks that were matched (*weak*), or in the frame common to all (*strong*) for a method that takes all networks at
once. The seconds of such a method are its time over the number of pairs.
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
                told.append(
                    f"{row['method']} {words}, {findings.mean(row)} in {findings.number(row['seconds'])} s a pair"
                )
        sentences.append(
            f"The lowest training error barriers of {name} are left by {findings.listed(told)} "
            f"({findings.of_networks(part)})."
        )
    return findings.joined(sentences)


def figure(table: DataFrame) -> Figure:
    """Draw one row per model; similarity, seconds, memory, and the error barrier on train and test.

    Methods for two networks leave a weak barrier, with filled marks, methods for n networks a strong one, open.
    """
    from dataclasses import replace

    from onebasin.figures import panels, style
    from onebasin.figures.series import beside, handles, series

    models = style.unique(table["model"])
    splits = [split for split in style.SPLITS if split in set(table["split"])]
    marks = style.method_marks(table)
    for method in style.unique(table.loc[table["claim"] == "strong", "method"]):
        marks[method] = replace(marks[method], filled=False, label=f"{marks[method].label} (strong)")
    titles = ["similarity (cosine)", "seconds per pair", "memory (MB)"]
    titles += [f"error barrier, {split}" for split in splits]
    drawn, axes = panels.grid(len(models), len(titles), 1.7)
    errors = table[table["metric"] == "error"]
    clipped = 0
    for model, line in zip(models, axes, strict=True):
        part = errors[errors["model"] == model]
        once = part[part["split"] == splits[0]]
        shown = [(once, "similarity"), (once, "seconds"), (once[once["memory"].notna()], "memory")]
        shown += [(part[part["split"] == split], "barrier") for split in splits]
        for axis, (rows, column) in zip(line, shown, strict=True):
            panels.width_axis(axis, sorted(part["width"].unique()), every=2 if part["width"].nunique() > 4 else 1)
            floor = None
            if column == "barrier":
                floor = panels.barrier_axis(axis, part["barrier"])
            elif column != "similarity" and len(rows):
                floor = LEAST[column]
                cost = rows[column].clip(lower=floor)
                panels.log_axis(axis, cost.min() / 1.4, cost.max() * 1.4)
            for slot, (method, mark) in enumerate(marks.items()):
                rows_of = rows[rows["method"] == method]
                places = beside(axis, rows_of["width"], slot, len(marks))
                hidden = series(axis, rows_of, column, mark, places, ["a", "b"], floor=floor)
                clipped += hidden if column == "barrier" else 0
        line[0].set_ylabel(model)
    for top, bottom, title in zip(axes[0], axes[-1], titles, strict=True):
        top.set_title(title)
        bottom.set_xlabel("width")
    entries = [*(mark.handle() for mark in marks.values()), *handles("one pair", clipped)]
    style.legend(drawn, entries, 4 if len(entries) == 4 else 3)
    return drawn
