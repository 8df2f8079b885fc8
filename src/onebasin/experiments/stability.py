"""When is the permutation between two networks decided?

When in training is the permutation between two networks decided? Fixed points of the permutation found at one epoch
after the inverse of the one found at another: the fraction of units to which both assign the same unit. *Above*: all
groups together, means over pairs. *Below*: each permutation group, counted from the input, against the permutation at
the end of training; thin lines are single pairs. Without shortcuts group *k* is that of the units of layer *k*; the
table has the names. Two unrelated permutations of *n* units agree on one of them on average, a fraction of 1/*n*,
dotted.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import combinations
from typing import TYPE_CHECKING, Any

from onebasin.columns import CONFIGURATION, METHOD, NUMBER, PAIR, TEXT, WHOLE, Column
from onebasin.experiments import Counts, Needs, Row
from onebasin.summaries import Summary, summarise

if TYPE_CHECKING:
    import numpy as np
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from pandas import DataFrame, Index

    from onebasin.study.study import Study

PLACE, CATEGORY = 100, "Along training"
NEEDS = Needs(
    networks=2,
    purpose="a pair",
    widths="history.widths",
    points=None,
    states=(),
    permutations=("compared",),
    data=(),
)
COLUMNS = (
    *CONFIGURATION,
    *METHOD,
    Column("first", TEXT, "stage at which one permutation was found: `epoch5`, or `level2` of pruning"),
    Column("second", TEXT, "stage at which the other one was found"),
    *PAIR,
    Column("group", TEXT, "name of the permutation group"),
    Column("units", WHOLE, "number of units of the group, n; 1/n of them stay in place by chance"),
    Column("fixed", NUMBER, "fraction of the group's units to which both permutations assign the same unit, 0 to 1"),
)


def work(settings: Mapping[str, Any], counts: Counts) -> dict[str, Any]:
    """Count nothing: permutations are compared without a network."""
    return {}


def measure(study: Study, settings: Mapping[str, Any]) -> Iterator[Row]:
    """Compare the permutations that were found at different stages, pair by pair."""
    for method in study.methods.values():
        for a, b in study.pairs:
            for first, second in combinations(study.stages, 2):
                found, other = (study.permutations(method.name, **stage)[a, b] for stage in (first, second))
                change = found @ other.inverse()
                about = {**study.configuration, **method.columns, "first": _spell(first), "second": _spell(second)}
                for group, fixed in change.fixed_points().items():
                    units = change.sizes[group]
                    yield {**about, "a": a, "b": b, "group": group, "units": units, "fixed": fixed}


def _spell(stage: Mapping[str, Any]) -> str:
    """Write a stage as `epoch5` or `level2`."""
    ((kind, number),) = stage.items()
    return f"{kind}{number}"


def _weighted(rows: DataFrame) -> DataFrame:
    """Weight the shares of the groups of a network, so that their mean is the share of all its units."""
    units = rows["units"]
    every = units.groupby([rows[key] for key in ("model", "width", "method", "first", "second", "a", "b")])
    return rows.assign(fixed=rows["fixed"] * units / every.transform("mean"))


SUMMARY = Summary("model width method first second", "fixed", "a b", _weighted)


def finding(table: DataFrame) -> str:
    """Say what share of units an early permutation already places as the last one does."""
    from onebasin import findings

    rows = summarise(table, SUMMARY)
    rows = rows[rows["first"].str.startswith("epoch") & rows["second"].str.startswith("epoch")]
    sentences = []
    for name, part in findings.widest(rows):
        most = part.groupby("method", sort=False)["fixed"].mean().idxmax()
        for method, tried in findings.where(part, method=most).groupby("method", sort=False):
            last = tried["second"].iloc[-1]
            told = tried[(tried["second"] == last) & (tried["first"] != last)]
            shown = told.iloc[[0, len(told) // 2, -1]] if len(told) > 3 else told
            if len(shown):
                told_at = findings.each(shown, lambda row: f"at {row['first'].replace('epoch', 'epoch ')}", "fixed")
                sentences.append(
                    f"{name} by {method}: of the units, {told_at} are placed as at the end "
                    f"({findings.of_networks(shown)})."
                )
    return findings.joined(sentences)


def figure(table: DataFrame) -> Figure:
    """Draw two rows of panels per model and width, one column per method.

    Above, the fixed points of all groups together for all pairs of stages, means over pairs of networks; below, those
    of each group against the end of training, every pair drawn, and the chance level 1/n of a group of n units.
    """
    from matplotlib.lines import Line2D
    from pandas import concat

    from onebasin.figures import panels, style
    from onebasin.figures.heat_map import colour_bar, heat_map
    from onebasin.figures.legend import legend, paths

    rows = style.unique(zip(table["model"], table["width"], strict=True))
    labels = style.method_labels(table)
    drawn, axes = panels.grid(2 * len(rows), len(labels), 1.85, sharey="row")
    for (model, width), above, below in zip(rows, axes[::2], axes[1::2], strict=True):
        part = table[(table["model"] == model) & (table["width"] == width)]
        stages = sorted(style.unique(concat([part["first"], part["second"]])), key=_order)
        names = [_short(stage) for stage in stages]
        units = part.drop_duplicates("group").set_index("group")["units"].sort_index(key=_by_depth)
        colours = _colours(len(units))
        chance = len(units) / units.sum()
        for axis, (method, label) in zip(above, labels.items(), strict=True):
            heat_map(axis, _overall(part[part["method"] == method], stages), names, names, 1.0)
            axis.set_title(f"{label}\nchance {chance:.3f}", pad=3)
        for axis, method in zip(below, labels, strict=True):
            _draw_groups(axis, part[part["method"] == method], stages, dict(zip(units.index, colours, strict=True)))
            axis.set_ylim(0, 1.02)
            axis.set_xlabel("found at epoch" + (" or level (L)" if names[-1].startswith("L") else ""))
        above[0].set_ylabel(f"{model}, width {width}\nfound at epoch")
        below[0].set_ylabel(f"{model}, width {width}\nfixed against the end")
        colour_bar(drawn, above, "fixed points, all groups")
        _name_groups(drawn, list(below), [f"{number}: 1/{n}" for number, n in enumerate(units, start=1)], colours)
    entries = [
        Line2D([], [], color=style.GREY, linewidth=0.4, alpha=0.6, label=f"one of {paths(table)}"),
        Line2D([], [], color=style.GREY, marker="o", markersize=3, label="mean over pairs"),
        Line2D([], [], color=style.GREY, linewidth=0.7, linestyle=(0, (1, 2)), label="chance, 1/n of n units"),
    ]
    legend(drawn, entries, 3)
    return drawn


def _order(stage: str) -> tuple[bool, int]:
    """Sort epochs in their order, then levels in theirs."""
    return stage.startswith("level"), int(stage.removeprefix("level").removeprefix("epoch"))


def _short(stage: str) -> str:
    return stage.removeprefix("epoch").replace("level", "L")


def _overall(table: DataFrame, stages: list[str]) -> np.ndarray:
    """Return the fixed points of all groups together [stages, stages], means over pairs; a stage agrees with itself."""
    import numpy as np

    weighted = table.assign(stay=table["fixed"] * table["units"]).groupby(["first", "second"])[["stay", "units"]].sum()
    values = np.eye(len(stages))
    for first, second, share in (weighted["stay"] / weighted["units"]).reset_index().itertuples(index=False):
        row, column = stages.index(first), stages.index(second)
        values[row, column] = values[column, row] = share
    return values


def _by_depth(names: Index) -> Index:
    """Return sort keys that put layer 10 behind layer 9."""
    return names.str.replace(r"\d+", lambda number: number[0].zfill(9), regex=True)


def _colours(count: int) -> list[Any]:
    """Return colours that are told apart where they are few, and go from first to last where they are many."""
    import matplotlib
    import numpy as np

    from onebasin.figures.style import OKABE_ITO

    if count <= len(OKABE_ITO):
        return list(OKABE_ITO[:count])
    return list(matplotlib.colormaps["viridis"](np.linspace(0, 0.92, count)))


def _name_groups(drawn: Figure, axes: list[Axes], labels: list[str], colours: list[Any]) -> None:
    """Draw the key of the colours beside a row of panels, first group on top, as high as the panels."""
    import numpy as np
    from matplotlib.cm import ScalarMappable
    from matplotlib.colors import BoundaryNorm, ListedColormap

    from onebasin.figures.style import size

    scale = ScalarMappable(BoundaryNorm(np.arange(len(labels) + 1) - 0.5, len(labels)), ListedColormap(colours))
    bar = drawn.colorbar(scale, ax=axes, pad=0.02, aspect=14)
    bar.set_label("group: chance")
    every = 1 + (len(labels) - 1) // 16
    bar.set_ticks(range(0, len(labels), every), labels=labels[::every], fontsize=size("small"))
    bar.ax.tick_params(length=0)
    bar.ax.invert_yaxis()


def _draw_groups(axis: Axes, table: DataFrame, stages: list[str], colours: Mapping[str, Any]) -> None:
    """Draw the fixed points of each group between the end of training and every other stage."""
    end = max((stage for stage in stages if stage.startswith("epoch")), key=_order)
    against = table[(table["first"] == end) | (table["second"] == end)]
    other = against["first"].where(against["first"] != end, against["second"])
    against = against.assign(place=[stages.index(stage) for stage in other])
    for group, colour in colours.items():
        part = against[against["group"] == group]
        # At the end itself, between epochs and levels, lines break.
        curves = part.pivot(index="place", columns=["a", "b"], values="fixed").reindex(range(len(stages)))
        axis.plot(curves.index, curves.to_numpy(), color=colour, linewidth=0.4, alpha=0.4, gid="measurement")
        axis.plot(curves.index, curves.mean(axis=1), color=colour, marker="o", markersize=3, zorder=3)
        axis.axhline(1 / part["units"].iloc[0], color=colour, linewidth=0.7, linestyle=(0, (1, 2)), zorder=1)
    axis.set_xticks(range(len(stages)), [_short(stage) for stage in stages])
