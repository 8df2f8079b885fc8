"""Which share of the fall of barriers with width is there without a permutation?

Of the fall from the barrier between the narrowest networks of a model as they are, to the barrier at a width after *b*
was permuted to match *a*, the share that is there without a permutation: (B(narrowest) - B(width)) over (B(narrowest) -
B(width, matched)), with means B over pairs. At 1 the permutation adds nothing, at 0 all of the fall comes from it. For
the error, the loss and the loss after calibration; bars are 95 % intervals over networks. Train is filled, test open.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from onebasin.columns import CONFIGURATION, METHOD, METRIC, NUMBER, SPLIT, WHOLE, Column
from onebasin.experiments import Needs, Row
from onebasin.summaries import Summary

if TYPE_CHECKING:
    import numpy as np
    from matplotlib.figure import Figure
    from pandas import DataFrame

PLACE, CATEGORY = 37, "Networks and width"
NEEDS = Needs(networks=2, purpose="a pair", widths="mechanism.widths", points=None, gathers={"table mechanism": ()})
COLUMNS = (
    *CONFIGURATION,
    *METHOD,
    SPLIT,
    METRIC,
    Column("narrowest", WHOLE, "the least width of the model, from which the fall is counted"),
    Column(
        "from_none", NUMBER, "mean barrier of the narrowest networks without a permutation, in the unit of the metric"
    ),
    Column("none", NUMBER, "mean barrier at the width without a permutation"),
    Column("matched", NUMBER, "mean barrier at the width after the permutation"),
    Column(
        "share",
        NUMBER,
        "(from_none - none) / (from_none - matched); empty where that fall is not above 0 by its 95 % interval",
        optional=True,
    ),
    Column("low", NUMBER, "lower bound of its 95 % interval, by the jackknife over networks; empty with too few", True),
    Column("high", NUMBER, "upper bound of the interval", True),
    Column("networks", WHOLE, "number of networks of the width; those of the narrowest were left out one by one too"),
)
SUMMARY = Summary("model width method split metric narrowest", "share low high from_none none matched networks")


def check(config: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Refuse widths of which no model has two."""
    widths = config["mechanism"]["widths"]
    if all(len({*widths} & {*model["widths"]}) < 2 for model in config["models"]):
        yield "mechanism.widths", f"no model has two of {widths}, between which barriers fall. Allowed: two and more"


def table(parts: Mapping[str, Iterable[Row]], settings: Mapping[str, Any]) -> Iterator[Row]:
    """Compare every width of a model with its narrowest, for each method, split and metric."""
    import numpy as np

    from onebasin import statistics

    series: dict[tuple[Any, ...], dict[int, list[Row]]] = {}
    for row in parts["table mechanism"]:
        if row["kind"] in ("none", "matched"):
            name = row["model"], row["split"], row["metric"], *(row[column.name] for column in METHOD)
            series.setdefault(name, {}).setdefault(row["width"], []).append(row)
    for (model, split, metric, *method), widths in series.items():
        if method[0] == "none":
            continue
        plain = series[model, split, metric, "none", "none", "none"]
        narrowest = min(plain)
        start, start_without = _means(plain[narrowest])
        for width in sorted(widths.keys() & plain.keys() - {narrowest}):
            none, none_without = _means(plain[width])
            matched, matched_without = _means(widths[width])
            found = statistics.jackknife(
                _falls(start, none, matched),
                [_falls(start_without, none, matched), _falls(start, none_without, matched_without)],
            )
            (fall, share), (least, low), (_, high) = (found.value, *found.bounds())
            told = (share, low, high) if fall > 0 and not least <= 0 else [np.nan] * 3
            bounds = zip(("share", "low", "high"), told, strict=True)
            yield {
                "model": model,
                "width": width,
                **dict(zip((column.name for column in METHOD), method, strict=True)),
                "split": split,
                "metric": metric,
                "narrowest": narrowest,
                "from_none": start,
                "none": none,
                "matched": matched,
                **{name: float(value) if np.isfinite(value) else None for name, value in bounds},
                "networks": len(none_without),
            }


def _means(rows: list[Row]) -> tuple[float, np.ndarray]:
    """Return the mean barrier of pairs, and the means without each network."""
    import numpy as np

    from onebasin import statistics

    values = np.array([row["barrier"] for row in rows])
    return float(values.mean()), statistics.means_without(values, np.array([(row["a"], row["b"]) for row in rows]))


def _falls(start: Any, none: Any, matched: Any) -> np.ndarray:
    """Return the fall from start to matched, and the share of it that is there from start to none, [..., 2]."""
    import numpy as np

    fall = np.asarray(start - matched)
    share = np.divide(start - none, fall, out=np.full(fall.shape, np.nan), where=fall != 0)
    return np.stack([fall, share], axis=-1)


def finding(table: DataFrame) -> str:
    """Say which share of the fall is there without a permutation at the largest width, for each metric."""
    from onebasin import findings

    words = {"error": "of the error", "loss": "of the loss", "loss_calibrated": "of the calibrated loss"}
    sentences = []
    for name, part in findings.widest(findings.where(table, split="train")):
        lowest = findings.by_best(findings.where(part, metric="error"), "matched")
        told = findings.where(part, method=lowest["method"].tolist())
        shares = [
            f"{findings.estimate(row['share'], row['low'], row['high'])} {text}"
            for metric, text in words.items()
            for _, row in findings.where(told, metric=metric).dropna(subset="share").iterrows()
        ]
        if shares:
            sentences.append(
                f"Training barriers fall from width {told['narrowest'].iloc[0]} as trained to {name} matched by "
                f"{told['method'].iloc[0]}; of this fall, there is without a permutation a share of "
                f"{findings.listed(shares)} ({findings.of_networks(told)} a width)."
            )
    return findings.joined(sentences)


def figure(table: DataFrame) -> Figure:
    """Draw the share against width, a row of panels for each model, a column for each metric."""
    from matplotlib.lines import Line2D

    from onebasin.experiments.mechanism import LABELS
    from onebasin.figures import panels, style
    from onebasin.figures.intervals import bars
    from onebasin.figures.legend import legend
    from onebasin.figures.series import beside, split_handles

    metrics = [metric for metric in LABELS if metric in set(table["metric"])]
    models, marks = style.unique(table["model"]), style.method_marks(table)
    slots = [(method, split) for method in marks for split in style.SPLITS]
    drawn, axes = panels.grid(len(models), len(metrics), 1.7, sharey=True, fold=1)
    axes[0][0].set_ylim(min(-0.2, 1.2 * table["share"].min()), max(1.2, 1.1 * table["share"].max()))
    for model, line in zip(models, axes, strict=True):
        for metric, axis in zip(metrics, line, strict=True):
            part = table[(table["model"] == model) & (table["metric"] == metric)]
            panels.width_axis(axis, sorted(part["width"].unique()))
            for place in (0, 1):
                axis.axhline(place, color=style.GREY, linewidth=0.5, linestyle=(0, (1, 1)), zorder=1)
            for slot, (method, split) in enumerate(slots):
                rows = part[(part["method"] == method) & (part["split"] == split)]
                mark, filled = marks[method], split == style.SPLITS[0]
                places, _ = beside(axis, rows["width"], slot, len(slots))
                bars(axis, places, rows["low"], rows["high"], mark.colour, whole=False)
                axis.plot(
                    places, rows["share"], color=mark.colour, marker=mark.marker, markersize=3.6, linewidth=0.8,
                    linestyle=mark.line if filled else "none", gid="measurement", zorder=4,
                    markerfacecolor=mark.colour if filled else "white",
                )  # fmt: skip
        line[0].set_ylabel(f"{model}\nshare")
    for metric, top, bottom in zip(metrics, axes[0], axes[-1], strict=True):
        top.set_title(LABELS[metric].removesuffix(" (nats)"))
        bottom.set_xlabel("width")
    counts = style.unique(table["networks"].sort_values())
    spread = f"95 % interval: {' to '.join(map(str, [counts[0], *counts[1:][-1:]]))} networks a width"
    bar = Line2D([], [], color=style.GREY, marker="|", markersize=8, linestyle="none", label=spread)
    legend(drawn, [*(mark.handle() for mark in marks.values()), *split_handles(), bar], 3)
    return drawn
