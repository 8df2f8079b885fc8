"""What do corrected statistics repair, with and without a permutation?

Accuracy on the test data on the line from network *a* (α = 0) to network *b* (α = 1), with the networks on the line
as they are, with the running statistics of batch norm recomputed (*reset*), and with mean and standard deviation of
each channel set between those of the ends (*repair*; Jordan et al., REPAIR: REnormalizing Permuted Activations for
Interpolation Repair, ICLR 2023, `arXiv 2211.08403 <https://arxiv.org/abs/2211.08403>`_). Fitted on at most
{barrier[fit_images]} unaugmented training images. Without batch norm there is nothing to reset.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from onebasin.columns import CLAIM, CONFIGURATION, CURVE, METHOD, PAIR, TEXT, Column
from onebasin.experiments import Counts, Needs, Row, corrections, widths
from onebasin.landscape.barrier import barriers
from onebasin.summaries import Summary, summarise

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from pandas import DataFrame

    from onebasin.figures.style import Mark
    from onebasin.study.study import Study

PLACE, CATEGORY = 80, "Matching"
NEEDS = Needs(networks=2, purpose="a pair", widths="correction.widths", corrected=False, permutations=("last",))
SETTINGS: dict[str, Any] = {
    "widths": widths("Widths at which corrections are compared, for every model that has them."),
    "corrections": corrections(),
}
COLUMNS = (
    *CONFIGURATION,
    *METHOD,
    Column("correction", TEXT, "`none`, `reset` or `repair`: how statistics on the line were corrected"),
    CLAIM[0].meant("`none` or `weak`: no permutation, b aligned to a"),
    *PAIR,
    *CURVE,
)
SUMMARY = Summary("model width method claim correction split alpha", "loss error", "a b")
BARRIERS = Summary("model width method claim correction split metric", "barrier", "a b")
# A correction that changes nothing lies on another one: from wide to narrow and dashed, all of them are seen.
WIDTHS = {"none": 3.2, "reset": 1.6, "repair": 1.6}
UNMATCHED = {"none": (0, (1, 5)), "reset": (2, (1, 5)), "repair": (4, (1, 5))}


def work(settings: Mapping[str, Any], counts: Counts) -> dict[str, Any]:
    """Count the line of every pair under every correction."""
    lines = counts.series * counts.pairs * len(settings["corrections"])
    return {"evaluations": lines * settings["points"], "correction": "repair"}


def measure(study: Study, settings: Mapping[str, Any]) -> Iterator[Row]:
    """Measure the way between every pair, for every method and correction."""
    from onebasin.landscape import claims, paths

    for method in (study.unpermuted, *study.methods.values()):
        permutations = study.permutations(method.name)
        for path in paths.weak(study.pairs) if permutations else paths.none(study.pairs):
            ends = claims.endpoints(path, study.networks(), permutations, study.symmetry)
            for correction in settings["corrections"]:
                about = {**study.configuration, **method.columns, "correction": correction}
                about |= {"claim": path.claim, "a": path.a, "b": path.b}
                yield from study.curve(ends, about, correction)


def finding(table: DataFrame) -> str:
    """Say what corrected statistics leave of the barrier."""
    import pandas as pd

    from onebasin import findings

    columns = ["model", "width", "method", "claim", "correction", "a", "b", "split", "alpha", "loss", "error"]
    found = pd.DataFrame(barriers(table[columns].to_dict("records")))  # type: ignore[arg-type]
    rows = findings.where(summarise(found, BARRIERS), metric="error", split="test")
    sentences = []
    for name, part in findings.widest(rows):
        for method, tried in part.groupby("method", sort=False):
            way = "without a permutation" if method == "none" else f"by {method}"
            sentences.append(
                f"The test error barrier of {name} {way} is "
                f"{findings.each(tried, lambda row: 'with ' + row['correction'].replace('none', 'nothing corrected'))}."
            )
    return findings.joined(sentences)


def figure(table: DataFrame) -> Figure:
    """Draw one row of panels per model and method: accuracy on the test data against α at the smallest, a middle and
    the largest width, and at the middle of the way against width, beside the ends.
    """
    from matplotlib.lines import Line2D

    from onebasin.figures import panels, style
    from onebasin.figures.legend import legend, paths, some

    table = table[table["split"] == "test"].assign(accuracy=1 - table["error"])
    labels = style.method_labels(table)
    matched = [method for method in labels if method != "none"]
    rows = [(model, method) for model in style.unique(table["model"]) for method in matched or ["none"]]
    marks = _marks(style.unique(table["correction"]))
    widths = {model: style.chosen(table.loc[table["model"] == model, "width"]) for model, _ in rows}
    counts = [len(widths[model]) + 1 for model, _ in rows]
    drawn, axes = panels.uneven(counts, [1.4] * len(rows), sharey=True)
    for (model, method), line in zip(rows, axes, strict=True):
        part = table[(table["model"] == model) & table["method"].isin([method, "none"])]
        for axis, width in zip(line, widths[model], strict=False):
            _draw_curves(axis, part[part["width"] == width], marks)
            axis.set_title(f"width {width}", pad=2)
        _draw_middle(line[-1], part[part["method"] == method], marks)
        line[-1].set_title("halfway", pad=2)
        named = f"{model}\n{labels[method]}" if len(matched) > 1 else model
        line[0].set_ylabel(f"{named}\ntest accuracy")
        line[0].set_ylim(0, 1.02)
    for axis in axes[-1][:-1]:
        axis.set_xlabel("α")
    axes[-1][-1].set_xlabel("width")
    entries = [mark.handle(linewidth=WIDTHS[name], markersize=5) for name, mark in marks.items()]
    entries.append(Line2D([], [], color="black", marker="_", markersize=10, linestyle="none", label="ends: mean"))
    if matched:
        alone = f"after {labels[matched[0]]}" if len(matched) == 1 else "permuted"
        entries.append(Line2D([], [], color=style.GREY, linewidth=1.6, label=f"{alone}: mean over pairs"))
        entries.append(Line2D([], [], color=style.GREY, linewidth=0.5, alpha=0.6, label=f"one of {paths(table)}"))
        if "none" in labels:
            look: dict[str, Any] = {"color": style.GREY, "linewidth": 1.2, "linestyle": (0, (1, 2))}
            entries.append(Line2D([], [], label="no permutation: mean over pairs", **look))
    legend(drawn, [*entries, *some(table, widths)], 3)
    return drawn


def _marks(corrections: Sequence[str]) -> dict[str, Mark]:
    from onebasin.figures.style import OKABE_ITO, Mark

    marks = {
        "none": Mark("not corrected", "#8C8C8C", "D"),
        "reset": Mark("reset", OKABE_ITO[0], "o"),
        "repair": Mark("repair", OKABE_ITO[1], "s", line=(0, (3, 1.5))),
    }
    return {name: marks[name] for name in corrections}


def _draw_curves(axis: Axes, part: DataFrame, marks: Mapping[str, Mark]) -> None:
    for name, mark in marks.items():
        for method, group in part[part["correction"] == name].groupby("method"):
            curves = group.pivot(index="alpha", columns=["a", "b"], values="accuracy")
            mean = curves.mean(axis=1)
            if method == "none" and part["method"].nunique() > 1:
                axis.plot(curves.index, mean, color=mark.colour, linewidth=1.2, linestyle=UNMATCHED[name], zorder=2)
                continue
            axis.plot(curves.index, curves.to_numpy(), color=mark.colour, linewidth=0.4, alpha=0.35, gid="measurement")
            axis.plot(curves.index, mean, color=mark.colour, linewidth=WIDTHS[name], linestyle=mark.line, zorder=3)
    axis.set_xlim(0, 1)
    axis.set_xticks([0, 0.5, 1], ["0", "½", "1"])


def _draw_middle(axis: Axes, part: DataFrame, marks: Mapping[str, Mark]) -> None:
    from onebasin.figures import panels
    from onebasin.figures.series import beside, series

    panels.width_axis(axis, sorted(part["width"].unique()))
    middle = min(part["alpha"].unique(), key=lambda alpha: abs(alpha - 0.5))
    for slot, (name, mark) in enumerate(marks.items()):
        rows = part[(part["correction"] == name) & (part["alpha"] == middle)]
        # One slot is left free on each side.
        series(axis, rows, "accuracy", mark, beside(axis, rows["width"], slot + 1, len(marks) + 2), ["a", "b"])
    ends = part[part["alpha"].isin([0, 1]) & (part["correction"] == next(iter(marks)))]
    means = ends.groupby("width")["accuracy"].mean()
    axis.plot(means.index, means, color="black", marker="_", markersize=18, linestyle="none", zorder=5)
