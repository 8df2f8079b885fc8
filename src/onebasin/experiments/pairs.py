"""What happens on the line between two networks?

Loss (cross-entropy, in nats) and classification error on the straight line from network *a* (α = 0) to network *b* (α
= 1), for every pair of networks: without a permutation, and with *b* permuted to match *a* by each method.
{barrier[points]} values of α; at most {barrier[train_images]} unaugmented examples of the training data, and all of the
test data.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from onebasin.columns import CLAIM, CONFIGURATION, CURVE, METHOD, PAIR
from onebasin.experiments import Needs, Row
from onebasin.landscape.barrier import barriers
from onebasin.summaries import Summary, summarise

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from pandas import DataFrame

    from onebasin.figures.style import Mark

PLACE, CATEGORY = 10, "Networks and width"
NEEDS = Needs(networks=2, purpose="a pair", gathers={"width": ("none", "methods")})
COLUMNS = (*CONFIGURATION, *METHOD, *CLAIM, *PAIR, *CURVE)
SUMMARY = Summary("model width method claim split alpha", "loss error", "a b")
BARRIERS = Summary("model width method claim split metric", "barrier", "a b")


def table(parts: Mapping[str, Iterable[Row]], settings: Mapping[str, Any]) -> Iterator[Row]:
    """Keep the curves without a permutation, and with that of the pair."""
    return (row for row in parts["width"] if row["claim"] != "strong")


def finding(table: DataFrame) -> str:
    """Say how far the error rises on the line between two networks of the largest width."""
    import pandas as pd

    from onebasin import findings

    curves = table[["model", "width", "method", "claim", "a", "b", "split", "alpha", "loss", "error"]]
    found = pd.DataFrame(barriers(curves.to_dict("records")))  # type: ignore[arg-type]
    rows = findings.where(summarise(found, BARRIERS), metric="error", split="train")
    return findings.joined(
        f"Between two networks {name}, the training error rises by {findings.each(part, findings.way)} "
        f"({findings.counted(int(part['rows'].max()), 'pair')} of {findings.of_networks(part)})."
        for name, part in findings.widest(rows)
    )


def figure(table: DataFrame) -> Figure:
    """Draw one row of panels per model and metric; train and test of the smallest, a middle and the largest width as
    columns; each pair thin, the mean over pairs bold.
    """
    from matplotlib.lines import Line2D

    from onebasin.figures import panels, style
    from onebasin.figures.legend import legend, paths, some

    models = style.unique(table["model"])
    splits = [split for split in style.SPLITS if split in set(table["split"])]
    widths = {model: style.chosen(table.loc[table["model"] == model, "width"]) for model in models}
    rows = [
        (metric, model) for metric in (list(style.METRICS)[:1] if style.narrow() else style.METRICS) for model in models
    ]
    marks = style.method_marks(table)
    shown = {model: [(width, split) for width in widths[model] for split in splits] for model in models}
    heights = [1.5 if metric == "error" else 1.25 for metric, _ in rows]
    drawn, axes = panels.uneven([len(shown[model]) for _, model in rows], heights, sharey=True)
    for (metric, model), line in zip(rows, axes, strict=True):
        for axis, (width, split) in zip(line, shown[model], strict=True):
            part = table[(table["model"] == model) & (table["width"] == width) & (table["split"] == split)]
            for method, mark in marks.items():
                _draw(axis, part[part["method"] == method], metric, mark)
            axis.set_xlim(0, 1)
            axis.set_xticks([0, 0.5, 1], ["0", "½", "1"])
            axis.set_title(f"width {width}, {split}", pad=2)
        line[0].set_ylim(bottom=0)
        line[0].set_ylabel(f"{model}\n{style.METRICS[metric]}")
    for axis in axes[-1]:
        axis.set_xlabel("α")
    entries = [mark.handle(marker="", linewidth=1.6) for mark in marks.values()]
    entries.append(
        Line2D([], [], color=style.GREY, linewidth=0.5, alpha=0.6, label=f"one of {paths(table)} (bold: mean)")
    )
    legend(drawn, [*entries, *some(table, widths)], 4)
    return drawn


def _draw(axis: Axes, part: DataFrame, metric: str, mark: Mark) -> None:
    if part.empty:
        return
    curves = part.pivot(index="alpha", columns=["a", "b"], values=metric)
    axis.plot(curves.index, curves.to_numpy(), color=mark.colour, linewidth=0.5, alpha=0.45, gid="measurement")
    axis.plot(curves.index, curves.mean(axis=1), color=mark.colour, linewidth=1.6, linestyle=mark.line, zorder=3)
