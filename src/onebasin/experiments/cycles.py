"""Is matching transitive?

Is matching transitive? Permutations of pairs are composed along *paths* through several networks, and the last
network, permuted so, is compared with the first. Length 0: no permutation; length 1: the pair's own permutation;
length 2 is the strong barrier, through one reference. Around closed *cycles* the composition would be the identity if
matching were transitive: below, the barrier between a network and itself after a cycle, and the fraction of its units
that come back to their place (dashed: uniformly random permutations). Within a common frame of all networks every
cycle is the identity, and is not drawn. At most {cycles[limit]} paths and cycles of each length, drawn at random.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator, Mapping, Sequence
from itertools import combinations
from typing import TYPE_CHECKING, Any

from onebasin.columns import BARRIER, CONFIGURATION, METHOD, NUMBER, TEXT, WHOLE, Column
from onebasin.experiments import Counts, Needs, Row, widths
from onebasin.landscape.barrier import barriers
from onebasin.summaries import Summary, summarise

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from pandas import DataFrame

    from onebasin.figures.style import Mark
    from onebasin.permutation import Permutation
    from onebasin.study.study import Study

PLACE, CATEGORY = 55, "More than two"
NEEDS = Needs(
    networks=3,
    purpose="a cycle",
    widths="cycles.widths",
    permutations=("last",),
    frames=True,
)
SETTINGS: dict[str, Any] = {
    "widths": widths("Widths at which permutations are composed, for every model that has them."),
    "longest": {
        "description": "Most permutations that are composed; paths of that length need one network more, cycles as "
        "many networks.",
        "type": "integer",
        "minimum": 3,
    },
    "limit": {
        "description": "Largest number of paths, and of cycles, of each length; where there are more, they are drawn.",
        "type": "integer",
        "minimum": 1,
    },
}
COLUMNS = (
    *CONFIGURATION,
    *METHOD,
    Column("kind", TEXT, "`path` or `cycle`: from one network to another, or back to the same one"),
    Column("length", WHOLE, "permutations that were composed; 0 for two networks without a permutation"),
    Column("networks", TEXT, "seeds of the networks on the way; the last one is permuted and compared with the first"),
    Column(
        "fixed_points",
        NUMBER,
        "cycles: fraction of units, of all groups together, that the composition leaves in place",
        optional=True,
    ),
    Column("chance", NUMBER, "cycles: the same fraction for uniformly random permutations", optional=True),
    *BARRIER,
)
TABLES = {
    "fixed_points": (
        *CONFIGURATION,
        *METHOD,
        Column("length", WHOLE, "permutations that were composed"),
        Column("networks", TEXT, "seeds of the networks on the cycle, from one back to itself"),
        Column("group", TEXT, "name of the permutation group"),
        Column("units", WHOLE, "units of the group"),
        Column("fixed_points", NUMBER, "fraction of the units that the composition leaves in place, 0 to 1"),
        Column("chance", NUMBER, "the same fraction for a uniformly random permutation: 1 / units"),
    )
}


def pairs(networks: Sequence[int], settings: Mapping[str, Any]) -> list[tuple[int, int]]:
    """Return the pairs of as many networks as the longest way takes."""
    return list(combinations(networks[: settings["longest"] + 1], 2))


def work(settings: Mapping[str, Any], counts: Counts) -> dict[str, Any]:
    """Count paths and cycles of each length; in a common frame all paths between two networks are one."""
    ways = counts.methods * 2 * settings["longest"] * settings["limit"] + counts.frames * counts.pairs
    return {"evaluations": ways * settings["points"]}


def measure(study: Study, settings: Mapping[str, Any]) -> dict[str, list[Row]]:
    """Compose the permutations along paths and around cycles; measure the way to the network they lead to."""
    from onebasin.landscape import claims, compositions

    identity = study.symmetry.identity()
    # Where pairs are drawn, only these networks are all matched with each other.
    seeds = study.seeds if study.every_pair else study.seeds[: settings["longest"] + 1]

    @functools.cache
    def points(first: int, last: int, permutation: Permutation) -> list[Row]:
        """Measure the way between two networks once, however many paths lead to the same permutation of the last."""
        networks = study.networks()
        ends = networks[first], study.symmetry.apply(permutation, networks[last])
        # From a network to itself there is nothing between the ends.
        same = first == last and permutation == identity
        return list(study.curve(ends, {}, points=2 if same else None))

    def curve(permutation: Permutation, networks: Sequence[int], about: Row) -> Iterator[Row]:
        """Yield the points of the way from the first network to the last one as it comes out."""
        for row in points(networks[0], networks[-1], permutation):
            yield {**study.configuration, **about, "networks": _spell(networks), **row}

    curves: list[Row] = []
    groups: list[Row] = []
    unfixed = {"fixed_points": None, "chance": None}
    for networks, _ in _ways(seeds, settings, "path", [1]):
        about = {**study.unpermuted.columns, "kind": "path", "length": 0, **unfixed}
        curves += curve(identity, networks, about)
    for method in (*study.methods.values(), *study.frames.values()):
        if method.is_frame:
            permutations = compositions.within(study.frame(method.name))
        else:
            permutations = study.permutations(method.name)
        for networks, about in _ways(seeds, settings, "path", range(1, settings["longest"] + 1)):
            along = claims.along(permutations, networks)
            curves += curve(along, networks, {**method.columns, **about, **unfixed})
        for networks, about in _ways(seeds, settings, "cycle", range(3, settings["longest"] + 1)):
            around = claims.along(permutations, networks)
            fixed = {"fixed_points": compositions.fixed_points(around), "chance": compositions.chance(around)}
            curves += curve(around, networks, {**method.columns, **about, **fixed})
            named = {**study.configuration, **method.columns, "length": about["length"], "networks": _spell(networks)}
            for group, share in around.fixed_points().items():
                units = around.sizes[group]
                groups.append({**named, "group": group, "units": units, "fixed_points": share, "chance": 1 / units})
    return {"cycles": list(barriers(curves)), "fixed_points": groups}


def _ways(
    seeds: Sequence[int], settings: Mapping[str, Any], kind: str, lengths: Sequence[int]
) -> Iterator[tuple[Sequence[int], Row]]:
    """Yield every way that is measured, for all methods the same ones, with the columns that name it."""
    from onebasin import seeding
    from onebasin.landscape import compositions

    draw = {"path": compositions.paths, "cycle": compositions.closed}[kind]
    for length in lengths:
        generator = seeding.generator("cycles", kind, length)
        for networks in draw(seeds, length, settings["limit"], generator):
            yield networks, {"kind": kind, "length": length}


def _spell(networks: Sequence[int]) -> str:
    return "-".join(map(str, networks))


def _on_the_way(rows: DataFrame) -> DataFrame:
    """Name the networks of a cycle once each."""
    closed = rows["kind"] == "cycle"
    return rows.assign(networks=rows["networks"].where(~closed, rows["networks"].str.rpartition("-")[0]))


SUMMARY = Summary(
    "model width method kind length split metric",
    "barrier fixed_points chance",
    "networks",
    _on_the_way,
    trivial=lambda rows: rows["fixed_points"] == 1,
)


def finding(table: DataFrame) -> str:
    """Say whether units come home after a cycle, and what the way round costs."""
    from onebasin import findings

    rows = findings.where(summarise(table, SUMMARY), metric="error", split="train")
    sentences = []
    # In a common frame every cycle is the identity.
    rows = rows[(rows["method"] != "none") & ~((rows["kind"] == "cycle") & (rows["fixed_points"] == 1))]
    for name, part in findings.widest(rows):
        for method in dict.fromkeys(findings.by_best(part[part["kind"] == "cycle"])["method"]):
            tried = findings.where(part, method=method)
            cycles, paths = tried[tried["kind"] == "cycle"], tried[(tried["kind"] == "path") & (tried["length"] > 0)]
            if cycles.empty or paths.empty:
                continue
            first = findings.best(cycles, "length")
            ends = paths[paths["length"].isin([paths["length"].min(), paths["length"].max()])]
            sentences.append(
                f"{name} by {method}: after a cycle of {first['length']} permutations, "
                f"{findings.mean(first, 'fixed_points')} of the units are back in their place (by chance "
                f"{findings.number(first['chance'], 3)}); between the first and the last network of a path, the "
                f"training error barrier is "
                f"{findings.each(ends, lambda row: 'over ' + findings.counted(row['length'], 'step'))} "
                f"({findings.of_networks(tried)})."
            )
    return findings.joined(sentences)


def figure(table: DataFrame) -> Figure:
    """Draw, for each model at the smallest, a middle and the largest width, one line of panels: barriers against the
    length of paths and of cycles, the error first and broadest, and the fixed points of cycles.

    Cycles within a common frame are left out, for they are the identity.
    """
    from matplotlib.lines import Line2D

    from onebasin.figures import panels, style
    from onebasin.figures.legend import legend, some
    from onebasin.figures.series import handles, split_handles

    marks, cycles = style.method_marks(table), table["kind"] == "cycle"
    table = table[~cycles | table["algorithm"].isin(["weights", "activations", "sinkhorn"])]
    metrics = style.metrics(table)
    widths = {
        model: style.chosen(table.loc[table["model"] == model, "width"]) for model in style.unique(table["model"])
    }
    rows = [(model, width) for model in widths for width in widths[model]]
    ways = sorted({*zip(table["kind"] == "cycle", table["length"], strict=True)})
    columns = [*metrics, *(["fixed_points"] if any(cycle for cycle, _ in ways) else [])]
    ratios = {"error": 3.0, "loss": 2.0, "fixed_points": 1.0}
    drawn, axes = panels.grid(
        len(rows), len(columns), 1.35, extra=0.3, width_ratios=[ratios[column] for column in columns], fold=1
    )
    random_orders: dict[str, Any] = {"color": style.GREY, "linewidth": 0.8, "linestyle": (0, (2, 1))}
    clipped = 0
    for (model, width), line in zip(rows, axes, strict=True):
        part = table[(table["model"] == model) & (table["width"] == width)]
        for axis, column in zip(line, columns, strict=True):
            if column == "fixed_points":
                # The composition is the same whatever is measured with it.
                of = part[(part["kind"] == "cycle") & (part["metric"] == metrics[0]) & (part["split"] == "train")]
                shown = [way for way in ways if way[0]]
                positive = of.loc[of["fixed_points"] > 0, "fixed_points"]
                floor = min(of["chance"].min() / 3, positive.min() / 1.4) if len(positive) else 1e-3
                _draw_ways(axis, of, "fixed_points", shown, marks, floor)
                panels.log_axis(axis, floor, 1.3)
                if len(of):
                    axis.axhline(of["chance"].iloc[0], zorder=1, **random_orders)
                continue
            of = part[part["metric"] == column]
            floor = panels.barrier_axis(axis, table.loc[table["metric"] == column, "barrier"], column)
            clipped += _draw_ways(axis, of, "barrier", ways, marks, floor)
        line[0].set_ylabel(f"{model}, width {width}")
    titles = {**style.BARRIERS, "fixed_points": "fixed points"}
    for axis, column in zip(axes[0], columns, strict=True):
        axis.set_title(titles[column])
    entries = [*(mark.handle(linestyle="none") for mark in marks.values()), *split_handles()]
    entries += [*handles(f"one path or cycle of {_networks(table)}", clipped), panels.connected_handle()]
    entries.append(Line2D([], [], label="fixed points of random orders", **random_orders))
    entries += some(table, widths)
    drawn.supxlabel("permutations composed: along paths, and around cycles (↺)", fontsize=style.size("labels"))
    legend(drawn, entries, 3)
    return drawn


def _networks(table: DataFrame) -> str:
    """Return how many networks each configuration has."""
    counts = [
        len({name for names in set(rows) for name in names.split("-")})
        for _, rows in table.groupby(["model", "width"])["networks"]
    ]
    return f"{counts[0]} networks" if len(set(counts)) == 1 else f"{min(counts)} to {max(counts)} networks"


def _draw_ways(
    axis: Axes,
    table: DataFrame,
    column: str,
    ways: Sequence[tuple[bool, int]],
    marks: Mapping[str, Mark],
    floor: float,
) -> int:
    """Draw paths and cycles of each length side by side, train filled and test open; count those at the floor."""
    from onebasin.figures import panels
    from onebasin.figures.series import columns_of
    from onebasin.figures.style import GREY

    places = [ways.index(way) for way in zip(table["kind"] == "cycle", table["length"], strict=True)]
    # A cycle names the network where it begins and ends twice.
    networks = [tuple(dict.fromkeys(map(int, names.split("-")))) for names in table["networks"]]
    panels.bands(axis, range(len(ways)))
    clipped = columns_of(axis, table, column, places, networks, marks, floor=floor)
    axis.set_xticks(range(len(ways)), [f"{length}↺" if cycle else str(length or "none") for cycle, length in ways])
    axis.set_xlim(-0.5, len(ways) - 0.5)
    paths = sum(not cycle for cycle, _ in ways)
    if 0 < paths < len(ways):
        axis.axvline(paths - 0.5, color=GREY, linewidth=0.5)
    return clipped
