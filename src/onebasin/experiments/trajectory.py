"""Does one permutation connect two networks at every moment of their training?

*Left*: the error barrier on training data between the networks at one epoch, after one of them was permuted as
matched at another epoch; means over pairs. Epoch 0 is the initialisation, where the error is that of guessing at both
ends and between. The summary has the intervals of these means. *Right*: the barrier at the end of training against the
epoch at which the permutation was found, every pair drawn, and without a permutation. {history[points]} points on each
line. Simultaneous weak linear connectivity (Sharma et al. 2024) asks for one permutation whose whole column is low.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from onebasin.columns import BARRIER, CONFIGURATION, METHOD, PAIR, WHOLE, Column
from onebasin.experiments import Counts, Needs, Row
from onebasin.summaries import Summary, summarise

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from pandas import DataFrame, Series

    from onebasin.figures.style import Mark
    from onebasin.permutation import Permutation
    from onebasin.study.study import Study

PLACE, CATEGORY = 90, "Along training"
NEEDS = Needs(
    networks=2,
    purpose="a pair",
    widths="history.widths",
    points="history.points",
    states=("history",),
    permutations=("history",),
    parts=("none", "methods"),
)
COLUMNS = (
    *CONFIGURATION,
    *METHOD,
    Column(
        "found",
        WHOLE,
        "epoch at which the permutation was found, 0 for the initialisation; empty without a permutation",
        optional=True,
    ),
    Column("epoch", WHOLE, "epoch at which the two networks are measured"),
    *PAIR,
    *BARRIER,
)
PLAIN: dict[str, Any] = {"linewidth": 0.3, "alpha": 0.6}
"""How a pair without a permutation is drawn."""
SUMMARY = Summary(
    "model width method found epoch split metric",
    "barrier",
    "a b",
    trivial=lambda rows: rows["epoch"] == 0,
    moments="epoch",
)


def work(settings: Mapping[str, Any], counts: Counts) -> dict[str, Any]:
    """Count every pair at every epoch, under the permutation of every epoch."""
    return {"evaluations": counts.series * counts.pairs * counts.stages**2 * settings["points"]}


def measure(study: Study, settings: Mapping[str, Any]) -> Iterator[Row]:
    """Measure the barriers at each epoch under the permutations found at each epoch."""
    method = study.method
    for a, b in study.pairs:
        tried: dict[int | None, Permutation] = {None: study.symmetry.identity()}
        if method.name != "none":
            tried = {epoch: study.permutations(method.name, epoch=epoch)[a, b] for epoch in study.epochs}
        for epoch in study.epochs:
            networks = study.networks(epoch=epoch)
            about = {**study.configuration, **method.columns}
            for found, values in study.barriers((networks[a], networks[b]), tried):
                yield {**about, "found": found, "epoch": epoch, "a": a, "b": b, **values}


def finding(table: DataFrame) -> str:
    """Say whether the permutation of the end connects networks at every moment, and what earlier ones do at the end."""
    from onebasin import findings

    rows = findings.where(summarise(table, SUMMARY), metric="error")
    sentences = []
    for (model, width), part in rows[rows["found"].notna()].groupby(["model", "width"], sort=False):
        last = part["epoch"].max()
        moments = part[(part["found"] == last) & (part["epoch"] > 0)]
        training = findings.where(moments, split="train")
        if training.empty:
            continue
        method = findings.by_best(training)["method"].iloc[0]
        column = findings.where(moments, method=method)
        told = (
            f"{model} {width}, {findings.of_networks(column)}, by one permutation, found at the end of training by "
            f"{method}: at epochs {column['epoch'].min()} to {last}, {findings.simultaneously(column, _when)}"
        )
        at_end = findings.where(part, method=method, epoch=last, split="train")
        earlier = at_end[(at_end["found"] > 0) & (at_end["found"] < last)]
        if len(earlier):
            early = findings.best(earlier, "found")
            told += (
                f"; at the end it leaves a training error barrier of {findings.mean(at_end.iloc[-1])}, and the one "
                f"that was found at epoch {early['found']:.0f} leaves {findings.mean(early)}"
            )
        sentences.append(f"{told}.")
    return findings.joined(sentences)


def _when(row: Series) -> str:
    return f"at epoch {row['epoch']}"


def figure(table: DataFrame) -> Figure:
    """Draw the error barrier on training data, one row of panels per model and width.

    A heat map per method, epochs at which permutations were found against epochs at which networks are measured, means
    over pairs; beside them the end of training, every pair drawn, with the networks as they are for comparison.
    """
    import numpy as np
    from matplotlib.lines import Line2D

    from onebasin.figures import panels, style
    from onebasin.figures.heat_map import colour_bar, heat_map
    from onebasin.figures.legend import legend, paths
    from onebasin.figures.series import handles

    table = table[(table["metric"] == "error") & (table["split"] == style.SPLITS[0])]
    rows = style.unique(zip(table["model"], table["width"], strict=True))
    marks = style.method_marks(table)
    methods = [method for method in marks if method != "none"]
    key = ["model", "width", "method", "epoch", "found"]
    matched = table[table["found"].notna()].groupby(key)["barrier"].mean()
    high = float(matched[np.isfinite(matched)].max()) or 1.0
    name = f"train {style.BARRIERS['error']}"
    drawn, lines = panels.groups(len(rows), [len(methods), 1], [2.1, 1.5])
    clipped = 0
    for (model, width), (maps, (end,)) in zip(rows, lines, strict=True):
        part = table[(table["model"] == model) & (table["width"] == width)]
        for axis, method in zip(maps, methods, strict=True):
            means = matched.loc[model, width, method].unstack()
            heat_map(axis, means.to_numpy(dtype=float), list(means.columns), list(means.index), high)
            axis.set_title(f"{marks[method].label}\nmean {style.BARRIERS['error']}")
            spec = axis.get_subplotspec()
            axis.tick_params(labelleft=spec is not None and spec.is_first_col())
        colour_bar(drawn, maps, name)
        maps[0].set_ylabel(f"{model}, width {width}, train\nmeasured at epoch")
        clipped += _draw_end(end, part[part["epoch"] == part["epoch"].max()], marks)
        end.set_title("end of training")
        for axis in (*maps, end):
            axis.set_xlabel("matched at epoch")
        end.set_ylabel(name)
    entries = [mark.handle() for mark in marks.values()]
    entries.append(Line2D([], [], color=style.GREY, label="one pair, no permutation", **PLAIN))
    entries += [panels.connected_handle(), *handles(f"one of {paths(table)}", clipped)]
    legend(drawn, entries, 3)
    return drawn


def _draw_end(axis: Axes, table: DataFrame, marks: Mapping[str, Mark]) -> int:
    """Draw the barriers at one epoch against the epoch at which the permutation was found; count those at the floor."""
    import numpy as np

    from onebasin.figures.panels import barrier_axis
    from onebasin.figures.series import beside, series

    epochs = sorted(table["found"].dropna().unique())
    floor, clipped = barrier_axis(axis, table["barrier"], "error"), 0
    for slot, (method, mark) in enumerate(marks.items()):
        part = table[(table["method"] == method) & np.isfinite(table["barrier"])]
        if method == "none":
            for value in part["barrier"]:
                axis.axhline(max(value, floor), color=mark.colour, gid="measurement", **PLAIN)
            axis.axhline(max(part["barrier"].mean(), floor), color=mark.colour, linestyle=mark.line)
            continue
        places, _ = beside(axis, part["found"].map(epochs.index), slot, len(marks), room=0.3)
        clipped += series(axis, part, "barrier", mark, (places, 0.0), ["a", "b"], floor=floor)
    axis.set_xticks(range(len(epochs)), [str(epoch) for epoch in epochs])
    return clipped
