"""Is one permutation for several moments of training better than one for each?

One permutation matched on several checkpoints at once, against those matched on single ones. Weight matching
maximises the sum of its objective over the checkpoints; activation matching takes the activations of all of them.
*Left*: the error barrier on training data at the end of training, every pair drawn. *Right*: along training, means
over pairs.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from onebasin.columns import BARRIER, CONFIGURATION, METHOD, PAIR, TEXT, WHOLE, Column
from onebasin.experiments import Counts, Needs, Row
from onebasin.summaries import Summary, summarise

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from pandas import DataFrame, Series

    from onebasin.figures.style import Mark
    from onebasin.study.study import Study

PLACE, CATEGORY = 120, "Along training"
NEEDS = Needs(
    networks=2,
    purpose="a pair",
    widths="history.widths",
    points="history.points",
    states=("history",),
    parts=("methods",),
    gathers={"trajectory": ("none", "methods"), "superposition": ("methods",)},
)
SETTINGS: dict[str, Any] = {
    "sets": {
        "description": "Sets of epochs whose checkpoints are matched at once, of `history.epochs` and the last one.",
        "type": "array",
        "items": {
            "type": "array",
            "items": {"type": "integer", "minimum": 0},
            "minItems": 1,
            "uniqueItems": True,
        },
        "minItems": 1,
        "uniqueItems": True,
    },
}
COLUMNS = (
    *CONFIGURATION,
    *METHOD,
    Column(
        "matched", TEXT, "epochs whose checkpoints were matched at once, joined by `+`; `none` without a permutation"
    ),
    Column("epoch", WHOLE, "epoch at which the two networks are measured"),
    *PAIR,
    *BARRIER,
)
SUMMARY = Summary(
    "model width method matched epoch split metric",
    "barrier",
    "a b",
    trivial=lambda rows: rows["epoch"] == 0,
    moments="epoch",
)


def check(config: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Refuse epochs whose checkpoints are not kept."""
    kept = sorted({*config["history"]["epochs"], config["training"]["epochs"]})
    for index, epochs in enumerate(config["superposition"]["sets"]):
        for epoch in sorted(set(epochs) - set(kept)):
            allowed = ", ".join(map(str, kept))
            yield f"superposition.sets[{index}]", f"{epoch} is no epoch of history.epochs. Allowed: {allowed}"


def work(settings: Mapping[str, Any], counts: Counts) -> dict[str, Any]:
    """Count a matching of each set, measured at every epoch."""
    matchings = counts.pairs * len(settings["sets"])
    return {"matchings": matchings, "evaluations": counts.methods * matchings * counts.stages * settings["points"]}


def measure(study: Study, settings: Mapping[str, Any]) -> Iterator[Row]:
    """Match several checkpoints at once, and measure the barriers at each epoch."""
    method = study.method
    for a, b in study.pairs:
        tried = {}
        for epochs in map(sorted, settings["sets"]):
            first, second = ([study.networks(epoch=epoch)[seed] for epoch in epochs] for seed in (a, b))
            tried["+".join(map(str, epochs))] = study.match(first, second, method)
        for epoch in study.epochs:
            networks = study.networks(epoch=epoch)
            about = {**study.configuration, **method.columns}
            for matched, values in study.barriers((networks[a], networks[b]), tried):
                yield {**about, "matched": matched, "epoch": epoch, "a": a, "b": b, **values}


def table(parts: Mapping[str, Iterable[Row]], settings: Mapping[str, Any]) -> Iterator[Row]:
    """Join the barriers under permutations of single checkpoints with those of several."""
    for row in parts["trajectory"]:
        values = {column: value for column, value in row.items() if column != "found"}
        yield {**values, "matched": "none" if row["found"] is None else str(row["found"])}
    yield from parts["superposition"]


def finding(table: DataFrame) -> str:
    """Say whether permutations of several moments do better at the end than those of the end, and at every moment."""
    from onebasin import findings

    rows = findings.where(summarise(table, SUMMARY), metric="error")
    sentences = []
    for name, part in findings.widest(rows[rows["method"] != "none"]):
        last = part["epoch"].max()
        end = findings.where(part, epoch=last, split="train")
        method = findings.by_best(end)["method"].iloc[0] if len(end) else ""
        tried = findings.where(end, method=method)
        several = tried[tried["matched"].str.contains("+", regex=False)]
        single = findings.where(tried, matched=str(last))
        if len(several) and len(single):
            least = findings.best(several)
            epochs = findings.listed(least["matched"].split("+"))
            moments = findings.where(part, method=method, matched=least["matched"])
            moments = moments[moments["epoch"] > 0]
            sentences.append(
                f"{name} by {method}: at the end the training error barrier is {findings.mean(single.iloc[0])} by the "
                f"permutation found there, and {findings.mean(least)} by the one found at epochs {epochs} at once, the "
                f"lowest of {len(several)} such; by this one permutation networks are, at epochs "
                f"{moments['epoch'].min()} to {last}, {findings.simultaneously(moments, _when)} "
                f"({findings.of_networks(moments)})."
            )
    return findings.joined(sentences)


def _when(row: Series) -> str:
    return f"at epoch {row['epoch']}"


def figure(table: DataFrame) -> Figure:
    """Draw the error barrier on training data, one row of panels per model and width.

    First the end of training for single checkpoints and several at once, every pair drawn; then, for each method, means
    over pairs along training.
    """
    import numpy as np
    from matplotlib.lines import Line2D

    from onebasin.figures import panels, style
    from onebasin.figures.legend import legend, paths
    from onebasin.figures.series import handles

    table = table[(table["metric"] == "error") & (table["split"] == style.SPLITS[0]) & np.isfinite(table["barrier"])]
    rows = style.unique(zip(table["model"], table["width"], strict=True))
    marks = style.method_marks(table)
    methods = [method for method in marks if method != "none"]
    drawn, lines = panels.groups(len(rows), [1, len(methods)], [1.9, 1.9], sharey=True)
    clipped = 0
    for (model, width), ((end,), along) in zip(rows, lines, strict=True):
        part = table[(table["model"] == model) & (table["width"] == width)]
        matched = sorted(set(part["matched"]) - {"none"}, key=lambda name: [name.count("+"), *_epochs(name)])
        floor = panels.barrier_axis([end, *along], part["barrier"], "error")
        clipped += _draw_end(end, part[part["epoch"] == part["epoch"].max()], matched, marks, floor)
        for axis, method in zip(along, methods, strict=True):
            _draw_along(axis, part[part["method"].isin([method, "none"])], matched, floor)
            axis.set_title(marks[method].label)
            axis.set_xlabel("measured at epoch")
        for axis in (end, *along[:1]) if style.narrow() else (end,):
            axis.set_ylabel(f"{model}, width {width}\ntrain {style.BARRIERS['error']}")
        end.set_title("end of training")
        end.set_xlabel("matched on checkpoints of epochs")
    last = max((name for name in table["matched"] if "+" not in name and name != "none"), key=int)
    entries = [mark.handle() for mark in marks.values()] + handles(f"one of {paths(table)}", clipped)
    entries.append(Line2D([], [], color=style.GREY, linewidth=0.5, alpha=0.7, label="mean, matched on one other epoch"))
    entries.append(Line2D([], [], color="black", linewidth=1.2, label=f"mean, matched on epoch {last}"))
    for name, (colour, line) in _several(style.unique(table["matched"])).items():
        label = f"mean, matched on {name.replace('+', ' + ')}"
        entries.append(Line2D([], [], color=colour, linestyle=line, linewidth=1.4, label=label))
    legend(drawn, [*entries, panels.connected_handle()], 3)
    return drawn


def _epochs(name: str) -> list[int]:
    return [int(epoch) for epoch in name.split("+")]


def _shorten(name: str) -> str:
    epochs = name.split("+")
    return "\n+".join(epochs) if len(epochs) < 3 else f"{epochs[0]}…\n{epochs[-1]}"


def _several(names: Sequence[str]) -> dict[str, tuple[str, Any]]:
    """Return colour and line of each set of epochs; the colours of the methods come first in the palette."""
    from onebasin.figures.style import LINES, OKABE_ITO

    sets = [name for name in names if "+" in name]
    return {name: (OKABE_ITO[(index + 2) % 6], LINES[index % 6]) for index, name in enumerate(sets)}


def _draw_end(axis: Axes, table: DataFrame, matched: list[str], marks: Mapping[str, Mark], floor: float) -> int:
    from onebasin.figures.series import beside, series
    from onebasin.figures.style import GREY

    clipped = 0
    for slot, (method, mark) in enumerate(marks.items()):
        part = table[table["method"] == method]
        if method == "none":
            axis.axhline(max(part["barrier"].mean(), floor), color=mark.colour, linestyle=mark.line)
            continue
        places, _ = beside(axis, part["matched"].map(matched.index), slot, len(marks), room=0.3)
        clipped += series(axis, part, "barrier", mark, (places, 0.0), ["a", "b"], floor=floor, joined=False)
    axis.set_xticks(range(len(matched)), [_shorten(name) for name in matched])
    axis.axvline(sum("+" not in name for name in matched) - 0.5, color=GREY, linewidth=0.5)
    return clipped


def _draw_along(axis: Axes, table: DataFrame, matched: list[str], floor: float) -> None:
    from onebasin.figures.style import GREY

    means = table.groupby(["epoch", "matched"])["barrier"].mean().unstack().clip(lower=floor)
    several, last = _several(matched), max((name for name in matched if "+" not in name), key=int)
    places = range(len(means))
    for name in means.columns:
        if name == "none":
            axis.plot(places, means[name], color=GREY, linestyle=(0, (1, 1)), marker="D", markersize=3)
        elif name in several:
            colour, line = several[name]
            axis.plot(places, means[name], color=colour, linestyle=line, linewidth=1.4, zorder=4)
        elif name == last:
            axis.plot(places, means[name], color="black", linewidth=1.2, zorder=3)
        else:
            axis.plot(places, means[name], color=GREY, linewidth=0.5, alpha=0.7)
    axis.set_xticks(list(places), [str(epoch) for epoch in means.index])
