"""Does the initialisation decide the permutation, or the data?

What decides which permutation matches two networks, their initialisation and architecture, or the data? Networks of
the same seeds, and so of the same initial parameters, were trained on a second data set ({transfer[data][name]},
variant {transfer[data][variant]}). Barriers between two networks of one data set, and between networks of the two,
without a permutation and under the one found between the networks of the same two seeds on the first set, on the
second set, and across. Networks of one seed are compared across the sets as well. Below: the fraction of units
that the permutation places as the pair's own one does (for networks of one seed: that stay in place). The output layer
is never permuted. Where every barrier is 0 there is no panel, as for the loss on data that one of the networks has not
learned.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import combinations_with_replacement
from typing import TYPE_CHECKING, Any

from onebasin.columns import BARRIER, CONFIGURATION, METHOD, NUMBER, PAIR, TEXT, Column
from onebasin.experiments import TEXTS, Counts, Needs, Row, widths
from onebasin.landscape.barrier import barriers
from onebasin.summaries import Summary, summarise

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from pandas import DataFrame, Series

    from onebasin.figures.style import Mark
    from onebasin.study.study import Study

PLACE, CATEGORY = 180, "Other sizes and other data"
NEEDS = Needs(
    networks=2,
    purpose="a pair",
    widths="transfer.widths",
    states=("last", "second"),
    permutations=("last", "second", "across"),
    data=("first", "second"),
    unread=("widths", "level", "data"),
    parts=("none", "methods"),
)
SETTINGS: dict[str, Any] = {
    "widths": widths("Widths at which networks are trained on a second data set, for every model that has them."),
    "level": {
        "description": "Level of pruning on the first data set whose masks are used on the second, by transfer_masks.",
        "type": "integer",
        "minimum": 1,
    },
    "data": {
        "description": "The second data set, of the same image shape and classes; it lies in `data.data_dir`.",
        "type": "object",
        "additionalProperties": False,
        "properties": {
            "name": {
                "description": "Name of the data set; same for that of the study, which then needs a variant.",
                "$ref": "#/$defs/second_data_set",
            },
            "variant": {
                "description": "What is done to all its images; inverted is bright for dark, rotated is by 90 degrees, "
                "permuted has all pixels in one random order, drawn by `data.seed`.",
                "type": "string",
                "enum": ["none", "inverted", "rotated", "permuted"],
            },
        },
    },
}
COLUMNS = (
    *CONFIGURATION,
    *METHOD,
    Column("trained_a", TEXT, "`first` or `second`: the data set on which network a was trained"),
    Column("trained_b", TEXT, "`first` or `second`: the data set on which network b was trained"),
    Column(
        "permutation",
        TEXT,
        "found between networks a and b of the `first` or `second` set, or `across` both; `none`",
    ),
    PAIR[0],
    PAIR[1].meant("seed of the second network; the same as a only for networks of different data sets"),
    Column(
        "agreement",
        NUMBER,
        "fraction of units placed as by the permutation found between networks a and b themselves",
        optional=True,
    ),
    Column("fixed_points", NUMBER, "fraction of units that the permutation leaves in place", optional=True),
    Column("chance", NUMBER, "either fraction for uniformly random permutations", optional=True),
    Column("data", TEXT, "`first` or `second`: the data set on which it is measured"),
    *BARRIER,
)
FOUND = ("none", "first", "second", "across")
PANELS = {
    ("first", "first", "first"): "both trained\non the first set",
    ("second", "second", "second"): "both trained\non the second set",
    ("first", "second", "first"): "one on each set,\nmeasured on first",
    ("first", "second", "second"): "one on each set,\nmeasured on second",
}


def check(config: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Refuse a second data set of another shape, or the first one again."""
    first, second = config["data"]["name"], config["transfer"]["data"]
    if first in TEXTS:
        yield "data.name", f"{first!r} is text, which makes no second data set. Allowed: a data set of images"
    alike = like(first)
    if second["name"] not in ("same", *alike):
        yield (
            "transfer.data.name",
            f"{second['name']!r} has other images or classes than {first!r}. Allowed: {', '.join(alike)}",
        )
    if second["name"] in ("same", first) and second["variant"] == "none":
        yield "transfer.data.variant", "'none' makes no second data set. Allowed: another variant, or another name"


def like(name: str) -> tuple[str, ...]:
    """Return the data sets that have images of the shape, and as many classes, as those of a data set; it is one."""
    return next((group for group in (("mnist", "fashion_mnist"), ("cifar10", "svhn")) if name in group), (name,))


def work(settings: Mapping[str, Any], counts: Counts) -> dict[str, Any]:
    """Count the pairs of one set and of both, under three permutations, those of both on both sets."""
    return {"evaluations": 12 * counts.series * counts.pairs * settings["points"]}


def measure(study: Study, settings: Mapping[str, Any]) -> Iterator[Row]:
    """Measure pairs of one and of two data sets under permutations found between the same or other networks."""
    from onebasin.landscape.compositions import chance, fixed_points

    method, networks = study.method, {"first": study.networks(), "second": study.networks(data="second")}
    pairs = [(name, name, pair) for name in networks for pair in study.pairs]
    both = [pair for pair in combinations_with_replacement(study.seeds, 2) if study.crosses(*pair)]
    pairs += [("first", "second", pair) for pair in both]
    stages: dict[str, dict[str, Any]] = {"first": {}, "second": {"data": "second"}, "across": {"data": "across"}}
    if method.name == "none":
        permutations = {}
    else:
        permutations = {name: study.permutations(method.name, **stage) for name, stage in stages.items()}
    for trained_a, trained_b, pair in pairs:
        state_a, state_b = networks[trained_a][pair[0]], networks[trained_b][pair[1]]
        tried: list[tuple[str, Any, Row]] = [
            ("none", state_b, {"agreement": None, "fixed_points": None, "chance": None})
        ]
        if permutations:
            own = permutations[trained_a if trained_a == trained_b else "across"][pair]
            tried = [
                (
                    name,
                    study.symmetry.apply(known[pair], state_b),
                    {
                        "agreement": fixed_points(known[pair] @ own.inverse()),
                        "fixed_points": fixed_points(known[pair]),
                        "chance": chance(own),
                    },
                )
                for name, known in permutations.items()
                if pair in known  # networks of one seed are matched across the data sets alone
            ]
        for name, end, agreement in tried:
            about: Row = {**study.configuration, **method.columns, "trained_a": trained_a, "trained_b": trained_b}
            about |= {"permutation": name, "a": pair[0], "b": pair[1], **agreement}
            # On the data set of both networks, or on each of theirs.
            for data in dict.fromkeys((trained_a, trained_b)):
                yield from barriers(study.curve((state_a, end), {**about, "data": data}, data=data))


def _seeds(rows: DataFrame) -> DataFrame:
    """Tell pairs of one seed, trained on two data sets, from pairs of two."""
    return rows.assign(seeds=(rows["a"] != rows["b"]).map({False: "one", True: "two"}))


SUMMARY = Summary(
    "model width method trained_a trained_b seeds permutation data split metric",
    "barrier agreement fixed_points chance",
    "a b",
    _seeds,
)


def finding(table: DataFrame) -> str:
    """Say whether a permutation of one data set serves networks of the other."""
    from onebasin import findings

    rows = findings.where(summarise(table, SUMMARY), metric="error", split="train", seeds="two")
    rows = findings.where(rows, trained_a="second", trained_b="second", data="second")
    sentences = []
    for name, part in findings.widest(rows[rows["method"] != "none"]):
        for method in dict.fromkeys(findings.by_best(findings.where(part, permutation="second"))["method"]):
            tried = findings.where(part, method=method)
            sentences.append(
                f"Two networks {name} of {findings.SECOND}, by {method}: the training error barrier is "
                f"{findings.each(tried, _found)} ({findings.of_networks(tried)})."
            )
    return findings.joined(sentences)


def _found(row: Series) -> str:
    words = {
        "first": "by the permutation between the networks of the same seeds on the first data set",
        "second": "by their own",
        "across": "by that between one network of each data set",
    }
    return words[row["permutation"]]


def figure(table: DataFrame) -> Figure:
    """Draw, for each model and width, barriers of error and loss, and below how many units a permutation places as the
    pair's own one does; pairs of one data set at the left, across both at the right.
    """
    from matplotlib.lines import Line2D
    from pandas import concat

    from onebasin.figures import panels, style
    from onebasin.figures.legend import legend, networks
    from onebasin.figures.series import handles, split_handles

    # Networks of the same seed stand apart, behind the others.
    of = zip(table["trained_a"], table["trained_b"], table["data"], strict=True)
    table = table.assign(
        panel=[PANELS[which] for which in of],
        place=table["permutation"].map(FOUND.index) + 4 * (table["a"] == table["b"]),
    )
    marks = style.method_marks(table)
    models = style.unique(zip(table["model"], table["width"], strict=True))
    rows = [(which, what) for which in models for what in (*style.metrics(table), "agreement")]
    parts = {which: rows_of for which, rows_of in table.groupby(["model", "width"], sort=False)}
    shown_of = [_shown(parts[which], what) for which, what in rows]
    counts = [len(shown) for shown in shown_of]
    drawn, axes = panels.uneven(counts, [1.7] * len(rows), sharey=True, extra=0.3)
    clipped = 0
    random_orders: dict[str, Any] = {"color": style.GREY, "linewidth": 0.8, "linestyle": (0, (2, 1))}
    for ((model, width), what), shown_in, line in zip(rows, shown_of, axes, strict=True):
        column = "agreement" if what == "agreement" else "barrier"
        every = concat(shown_in.values())
        if column == "barrier":
            floor = panels.barrier_axis(line, every["barrier"], what)
        else:
            floor = every["chance"].min() / 4
            panels.log_axis(line[0], floor, 1.4)
        for axis, (title, shown) in zip(line, shown_in.items(), strict=True):
            if column == "agreement" and len(shown):
                axis.axhline(shown["chance"].iloc[0], zorder=1, **random_orders)
            places = sorted(table.loc[table["panel"] == title, "place"].unique())
            hidden = _draw_found(axis, shown, column, places, marks, floor)
            clipped += hidden if column == "barrier" else 0
            axis.set_title(title, pad=3)
        name = "agreement" if what == "agreement" else style.BARRIERS[what]
        line[0].set_ylabel(f"{model}, width {width}\n{name}")
    entries = [
        *(mark.handle(linestyle="none") for mark in marks.values()),
        *split_handles(),
        panels.connected_handle(),
        *handles(f"one pair of {networks(table)} a data set", clipped),
        Line2D([], [], label="agreement of random orders", **random_orders),
    ]
    label = "permutation found between networks of these seeds on the first set, the second, or across (*: of one seed)"
    drawn.supxlabel(label, fontsize=style.size("labels"))
    legend(drawn, entries, 4)
    return drawn


def _shown(table: DataFrame, what: str) -> dict[str, DataFrame]:
    """Return the rows of each panel of a line: agreement, or the barriers of a metric where one of them is not 0."""
    if what == "agreement":
        table = _agreement(table)
        return {title: table[table["panel"] == title] for title in PANELS.values()}
    of = {title: table[(table["panel"] == title) & (table["metric"] == what)] for title in PANELS.values()}
    return {title: rows for title, rows in of.items() if (rows["barrier"] > 0).any()} or of


def _agreement(table: DataFrame) -> DataFrame:
    """Return what other permutations than the pair's own agree on; for networks of one seed, the fixed points."""
    own = table["trained_a"].where(table["trained_a"] == table["trained_b"], "across")
    once = (table["metric"] == "error") & (table["split"] == "train") & (table["permutation"] != "none")
    table = table[once]
    same = table["a"] == table["b"]
    table = table.assign(agreement=table["agreement"].where(~same, table["fixed_points"]))
    return table[(table["permutation"] != own[once]) | same]


def _draw_found(
    axis: Axes, table: DataFrame, column: str, places: Sequence[int], marks: Mapping[str, Mark], floor: float
) -> int:
    """Draw the permutations side by side, by where they were found, train filled and test open; count those too low."""
    from onebasin.figures.panels import bands
    from onebasin.figures.series import columns_of
    from onebasin.figures.style import size

    # The networks of one seed on two data sets are two networks.
    across = (table["trained_a"] != table["trained_b"]).astype(int)
    networks = list(zip(2 * table["a"], 2 * table["b"] + across, strict=True))
    at = [places.index(place) for place in table["place"]]
    bands(axis, range(len(places)))
    clipped = columns_of(axis, table, column, at, networks, marks, floor=floor)
    labels = [FOUND[place % 4] + ("*" if place >= 4 else "") for place in places]
    axis.set_xticks(range(len(places)), labels, rotation=40, ha="right", rotation_mode="anchor", fontsize=size("small"))
    axis.set_xlim(-0.5, len(places) - 0.5)
    return clipped
