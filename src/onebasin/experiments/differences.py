"""By how much do methods and claims differ on the same networks?

Differences of barriers, that of the one named first less that of the other, path by path between the same networks;
left of 0 the one named first has the lower barrier: methods within a claim (weak or
strong), each method and none, strong and weak. Means with 95 % intervals over networks; where a pair is aligned to
third networks, these are left out too. The last column is the mean over all widths, whose networks are independent. A
colour marks a difference from 0, another one a difference that remains after Holm's correction for all comparisons of
the model, split and metric. Error barriers; the table has those of the loss as well. An interval that leaves its panel
ends in an arrow.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from onebasin.columns import CONFIGURATION, METRIC, NUMBER, SPLIT, TEXT, WHOLE, Column
from onebasin.experiments import Needs, Row
from onebasin.summaries import Summary

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from pandas import DataFrame

PLACE, CATEGORY = 35, "Networks and width"
NEEDS = Needs(networks=2, purpose="a pair", points=None, gathers={"table width": ()})
COLUMNS = (
    CONFIGURATION[0],
    Column("width", WHOLE, "width of the networks; empty for the mean over all widths of the model", optional=True),
    SPLIT,
    METRIC,
    Column(
        "kind",
        TEXT,
        "`method`: two methods of one claim, or a method and `none`; `claim`: strong and weak by one method, or in a "
        "frame common to all and weak by a method that compares the same",
    ),
    Column("first_claim", TEXT, "claim of the first side: `none`, `weak` or `strong`"),
    Column("first", TEXT, "name of its matching method or frame in the config; `none` without a permutation"),
    Column("second_claim", TEXT, "claim of the second side"),
    Column("second", TEXT, "name of its method"),
    Column(
        "difference",
        NUMBER,
        "mean barrier of the second side less that of the first, over the same paths, in the unit of the metric; of a "
        "pair aligned to third networks, the mean over these counts",
    ),
    Column("low", NUMBER, "lower bound of its 95 % interval, by the jackknife over networks; empty with too few", True),
    Column("high", NUMBER, "upper bound of the interval", True),
    Column("networks", WHOLE, "number of networks that were left out one by one, of all widths together"),
    Column(
        "p", NUMBER, "two-sided p value of no difference, of Student's t distribution; empty without interval", True
    ),
    Column(
        "p_holm",
        NUMBER,
        "p value after Holm's correction for all comparisons of the model, split and metric: those of single widths "
        "together, and the means over widths together",
        optional=True,
    ),
    Column("holm", TEXT, "`yes` where this p value is below 0.05, else `no`"),
)
SUMMARY = Summary(
    "model width split metric kind first_claim first second_claim second", "difference low high p_holm networks"
)
COLOURS = {"no": "95 % interval holds 0", "alone": "it excludes 0", "yes": "it does after Holm's correction too"}
"""What the colours of a difference mean."""


def table(parts: Mapping[str, Iterable[Row]], settings: Mapping[str, Any]) -> Iterator[Row]:
    """Compare the barriers of all paths."""
    from onebasin import differences

    return differences.rows(parts["table width"])


def finding(table: DataFrame) -> str:
    """Say how many differences remain after correction, and the largest of them."""
    from onebasin import findings

    rows = findings.where(table, metric="error", split="train")
    sentences = []
    for model, part in rows[rows["width"].isna()].groupby("model", sort=False):
        kept = part[part["holm"] == "yes"]
        several = findings.counted(int(part["networks"].max()), "network")
        told = (
            f"Over all widths of {model} ({several}), {len(kept)} of {len(part)} differences of training error "
            "barriers remain after Holm's correction"
        )
        largest = kept.reindex(kept["difference"].abs().sort_values(ascending=False).index).head(3)
        if len(largest):
            named = _named(part)
            each = (
                f"{named[row['second_claim'], row['second']]} less {named[row['first_claim'], row['first']]} "
                f"{findings.estimate(row['difference'], row['low'], row['high'])}"
                for _, row in largest.iterrows()
            )
            told += f", the largest of them {findings.listed(each)}"
        sentences.append(f"{told}.")
    return findings.joined(sentences)


def _named(rows: DataFrame) -> dict[tuple[str, str], str]:
    """Return what each side of a difference is called, by its claim and method."""
    from pandas import DataFrame, concat

    from onebasin import findings

    sides = [rows[[f"{side}_claim", side]].to_numpy() for side in ("first", "second")]
    found = concat([DataFrame(side, columns=["claim", "method"]) for side in sides])
    names = (
        findings.FRAMES["none"] if frame == "none" else findings.claimed(frame, method)
        for frame, method in zip(findings.frames(found), found["method"], strict=True)
    )
    return dict(zip(zip(found["claim"], found["method"], strict=True), names, strict=True))


def figure(table: DataFrame) -> Figure:
    """Draw one row of panels per model, one line per comparison; three widths and the mean over all of them.

    Where only another metric than the error was measured, it is that one.
    """
    from itertools import pairwise

    from matplotlib.lines import Line2D

    from onebasin.figures import panels, style
    from onebasin.figures.intervals import bars
    from onebasin.figures.legend import legend, some

    metric = next(metric for metric in style.BARRIERS if metric in set(table["metric"]))
    table = table[table["metric"] == metric]
    models = style.unique(table["model"])
    sides = ["kind", "first_claim", "first", "second_claim", "second"]
    lines = style.unique(table[sides].itertuples(index=False, name=None))
    # One width is also the mean over all.
    widths: dict[str, list[int]] = {}
    shown: dict[str, list[Any]] = {}
    for model in models:
        of_model = table.loc[table["model"] == model, "width"].dropna()
        several = of_model.nunique() > 1
        widths[model] = [] if several and style.narrow() else style.chosen(of_model)
        shown[model] = [*widths[model], *([None] if several else [])]
    counts = [len(columns) for columns in shown.values()]
    drawn, axes = panels.uneven(counts, [0.135 * len(lines) + 0.35] * len(models), sharey=True)
    groups = [(kind, claim) for kind, _, _, claim, _ in lines]
    ends = [index for index, (group, following) in enumerate(pairwise(groups)) if group != following]
    colours = dict(zip(COLOURS, (style.GREY, *style.OKABE_ITO[:2]), strict=True))
    for model, row in zip(models, axes, strict=True):
        part = table[table["model"] == model]
        limit = 1.15 * max(part["difference"].abs().max(), 1e-3)
        for axis, width in zip(row, shown[model], strict=True):
            axis.axvline(0, color="black", linewidth=0.6)
            for index in ends:
                axis.axhline(-index - 0.5, color=style.GREY, linewidth=0.3)
            here = part[part["width"].isna() if width is None else (part["width"] == width).fillna(False)]
            for found in here.to_dict("records"):
                filled = found["split"] == "train"
                place = (0.17 if filled else -0.17) - lines.index(tuple(found[name] for name in sides))
                apart = found["low"] > 0 or found["high"] < 0
                colour = colours["yes" if found["holm"] == "yes" else "alone" if apart else "no"]
                bars(axis, [place], [found["low"]], [found["high"]], colour, lying=True, linewidth=0.9)
                look: dict[str, Any] = {"color": colour, "marker": "o" if filled else "s", "markersize": 2.4}
                look |= {"markeredgewidth": 0.6, "markerfacecolor": colour if filled else "white"}
                axis.plot(found["difference"], place, gid="measurement", **look)
            axis.set_xlim(-limit, limit)
            axis.set_title("all widths" if width is None else f"width {width}")
        row[0].set_yticks(
            [-index for index in range(len(lines))], [_label(*line) for line in lines], fontsize=style.size("small")
        )
        row[0].set_ylim(-len(lines) + 0.4, 0.6)
        row[0].set_ylabel(model)
    networks = sorted({*table.loc[table["width"].notna(), "networks"]})
    number = f"{networks[0]}" if len(networks) == 1 else f"{networks[0]} to {networks[-1]}"
    label = f"{style.BARRIERS[metric]} of the one named first less that of the other: left of 0, the first is lower"
    drawn.supxlabel(label, fontsize=style.size("labels"))
    grey: dict[str, Any] = {"color": style.GREY, "linestyle": "none", "markersize": 3}
    entries = [Line2D([], [], **grey, marker="o", label="train")]
    entries += [Line2D([], [], **grey, marker="s", markerfacecolor="white", label="test")]
    entries += [Line2D([], [], color=colours[name], label=label) for name, label in COLOURS.items()]
    entries += [Line2D([], [], linestyle="none", label=f"{number} networks of a width"), *some(table, widths)]
    legend(drawn, entries, 3)
    return drawn


def _label(kind: str, first_claim: str, first: str, second_claim: str, second: str) -> str:
    if kind == "method":
        return f"{second_claim}: {second} − {first}"
    return f"{second}, {second_claim} − {first_claim}" if first == second else f"{second} − {first}, weak"
