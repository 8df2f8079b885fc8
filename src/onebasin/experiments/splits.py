"""What do networks that saw parts of the data gain from being merged?

The training images are divided, and each network is trained on its part alone: in *equal* parts, each class in
proportion; by *classes*, where most of each class goes to one part, which alternates; or by *Dirichlet*, where the
proportions of each class are drawn (Horoi et al. 2024, arXiv 2407.05385). *Whole*: every network sees all images. All
are evaluated on images of the whole data set. *Alone*: each network; *ensemble*: the mean of their probabilities; *all
data*: one network that was trained on all images; *mean*: of the parameters of the networks, without a permutation and
after all were permuted to match the first, with statistics as they are (filled) and corrected (open). Below, the error
barriers of the lines between two of them. Networks have independent starts, or one start in common and other batches.
Matching and corrections see images of the whole data set, and so does the normalisation of images.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import combinations
from typing import TYPE_CHECKING, Any

from onebasin.columns import CONFIGURATION, METHOD, METRIC, NUMBER, SPLIT, TEXT, WHOLE, Column
from onebasin.experiments import TEXTS, Counts, Needs, Row, corrections, widths
from onebasin.landscape.barrier import METRICS, Point, highest
from onebasin.summaries import Summary, summarise

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from pandas import DataFrame, Series

    from onebasin.study.study import Study
    from onebasin.symmetry import State

PLACE, CATEGORY = 195, "Other sizes and other data"
NEEDS = Needs(
    networks=1,
    purpose="a study",
    widths="splits.widths",
    points="splits.points",
    corrected=False,
    states=("splits",),
    unread=("widths",),
    parts=("none", "methods"),
)
WHOLE_DATA = "whole"
STARTS = ("independent", "common")
SETTINGS: dict[str, Any] = {
    "widths": widths("Widths at which networks are trained on parts, for every model that has them."),
    "parts": {
        "description": "How the training images are divided, as `data.parts`; or whole, where every network sees all.",
        "type": "array",
        "minItems": 1,
        "uniqueItems": True,
        "items": {"$ref": "#/$defs/parts"},
    },
    "starts": {
        "description": "Whether networks have independent initialisations, or that of the first one in common.",
        "type": "array",
        "items": {"type": "string", "enum": list(STARTS)},
        "minItems": 1,
        "uniqueItems": True,
    },
    "divisions": {
        "description": "How many divisions of each kind are drawn, each with networks of its own.",
        "type": "integer",
        "minimum": 1,
    },
    "corrections": corrections(),
    "points": {
        "description": "Points on the line between two networks, in place of `barrier.points`; an odd number.",
        "type": "integer",
        "minimum": 3,
    },
}
COLUMNS = (
    *CONFIGURATION,
    Column(
        "by",
        TEXT,
        "how the training images are divided: `equal`, `classes`, `dirichlet` as in `data.parts`; `whole`: not at all",
    ),
    Column("number", WHOLE, "number of parts, and of networks"),
    Column("share", NUMBER, "share of each class that goes to one part, of `classes`; else empty", True),
    Column("concentration", NUMBER, "concentration of `dirichlet`; else empty", True),
    Column("start", TEXT, "`independent` initialisations, or that of the first network in `common`"),
    Column("division", WHOLE, "number of the division, each with images drawn anew and with networks of its own"),
    *METHOD,
    Column("correction", TEXT, "`none`, `reset` or `repair`: how the statistics of mixtures were corrected"),
    Column(
        "network",
        TEXT,
        "`alone`: one network; `all data`: one that was trained on all images; `ensemble`: mean of the probabilities; "
        "`mean`: of the parameters; `line`: the point between two that rises most",
    ),
    Column("members", TEXT, "seeds of the networks, joined by `-`"),
    SPLIT,
    METRIC,
    Column("value", NUMBER, "the metric, in its unit"),
    Column(
        "baseline",
        NUMBER,
        "the same of the networks alone, mean or interpolation; empty for these and `all data`",
        True,
    ),
    Column("barrier", NUMBER, "value less baseline, of `mean` and `line`; of a line at least 0", True),
)
SUMMARY = Summary(
    "model width by number share concentration start method correction network split metric",
    "value baseline barrier",
    "division",
)
KINDS = ("alone", "ensemble", "all data", "mean", "line")
"""What is judged, in the order in which it is drawn and told."""
WORDS = {"alone": "alone", "ensemble": "their ensemble", "all data": "one on all data"}

Way = dict[str, Any]


def label(way: Mapping[str, Any]) -> str:
    """Return the name of a way to divide the data, as it stands in paths: equal2, classes2-0.8, dirichlet5-0.5."""
    amount = way.get("share", way.get("concentration"))
    return f"{way['by']}{way['number']}" + ("" if amount is None else f"-{amount:g}")


def addresses(way: Mapping[str, Any], start: str, division: int) -> list[dict[str, Any]]:
    """Return the networks of a division: seeds that follow each other, each with its part.

    The first one has its own start in any case, and so is a network of the independent ones too.

    Args:
        way: an item of `splits.parts`.
        start: one of ``STARTS``.
        division: its number.
    """
    own = WHOLE_DATA if way["by"] == WHOLE_DATA else label(way)
    first = division * way["number"]
    names = [own, *[own if start == "independent" else f"{label(way)}-common"] * (way["number"] - 1)]
    return [{"seed": first + index, "split": name} for index, name in enumerate(names)]


def trained_on_all(way: Mapping[str, Any], division: int) -> dict[str, Any]:
    """Return the network beside those of a division that is trained on all images, from the start of the first one."""
    return {"seed": division * way["number"], "split": WHOLE_DATA}


def networks(settings: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the addresses of all networks, each once.

    Args:
        settings: the section of the config.
    """
    found = []
    for way, start, division in _divisions(settings):
        found += [*addresses(way, start, division), trained_on_all(way, division)]
    return list({(address["split"], address["seed"]): address for address in found}.values())


def ways(settings: Mapping[str, Any]) -> dict[str, Way]:
    """Return what the names in these addresses mean: how the data are divided, and whether the start is `common`."""
    found: dict[str, Way] = {WHOLE_DATA: {"by": WHOLE_DATA, "number": 1, "common": False}}
    for way in settings["parts"]:
        found.setdefault(WHOLE_DATA if way["by"] == WHOLE_DATA else label(way), {**way, "common": False})
        found[f"{label(way)}-common"] = {**way, "common": True}
    return found


def check(config: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Refuse text that is divided by classes, and lines without a middle."""
    section, name = config["splits"], config["data"]["name"]
    for index, way in enumerate(section["parts"]):
        if way["number"] < 2:
            yield (
                f"splits.parts[{index}].number",
                "1 leaves nothing to be merged. Allowed: a whole number of at least 2",
            )
        if name in TEXTS and way["by"] not in ("equal", WHOLE_DATA):
            yield (
                f"splits.parts[{index}].by",
                f"{way['by']!r} divides classes, and {name!r} is text. Allowed: equal, whole",
            )
    if section["points"] % 2 == 0:
        yield "splits.points", f"{section['points']} points have no middle. Allowed: an odd number"


def _divisions(settings: Mapping[str, Any]) -> Iterator[tuple[Way, str, int]]:
    for way in settings["parts"]:
        for start in settings["starts"]:
            for division in range(settings["divisions"]):
                yield way, start, division


def work(settings: Mapping[str, Any], counts: Counts) -> dict[str, Any]:
    """Count the lines and the mean of each division, under each correction."""
    numbers = [way["number"] for way, _, _ in _divisions(settings)]
    mixtures = sum(number * (number - 1) // 2 * settings["points"] + number + 1 for number in numbers)
    return {
        "matchings": sum(number - 1 for number in numbers),
        "evaluations": counts.series * len(settings["corrections"]) * mixtures,
        "correction": "repair" if "repair" in settings["corrections"] else "reset",
    }


def measure(study: Study, settings: Mapping[str, Any]) -> Iterator[Row]:
    """Measure the networks of each division alone and together."""
    import torch

    method = study.method
    for way, start, division in _divisions(settings):
        members = addresses(way, start, division)
        states = [study.state(address) for address in members]
        about = {**study.configuration, "share": None, "concentration": None, **way, "start": start}
        about |= {"division": division, **method.columns}
        if method.name == "none":
            whole = trained_on_all(way, division)
            found = [("alone", [address], _one(study, study.state(address))) for address in members]
            found.append(("all data", [whole], _one(study, study.state(whole))))
            together = {values["split"]: values for values in study.measurement.ensemble(states)}
            found.append(("ensemble", members, together))
            alone = [values for kind, _, values in found if kind == "alone"]
            for kind, who, by_split in found:
                named = {**about, "correction": "none", "network": kind, "members": _joined(who)}
                for split, values in by_split.items():
                    for metric in _measured(values):
                        ends = [one[split][metric] for one in alone]
                        baseline = sum(ends) / len(ends) if kind == "ensemble" else None
                        row = {"split": split, "metric": metric, "value": values[metric]}
                        yield {**named, **row, "baseline": baseline, "barrier": None}
        moved = [states[0]]
        for state in states[1:]:
            found_by = None if method.name == "none" else study.match(states[0], state, method)
            moved.append(study.symmetry.apply(found_by, state) if found_by else state)
        mixed = _mixtures(len(moved), settings["points"])
        weights = torch.tensor([shares for _, _, shares in mixed], dtype=torch.float64)
        for correction in settings["corrections"]:
            points = list(study.measurement.points(moved, weights, correction))
            for split in dict.fromkeys(values["split"] for _, values in points):
                of_split = [point for point in points if point[1]["split"] == split]
                named = {**about, "correction": correction}
                for row in _judged(mixed, of_split):
                    who = [members[index] for index in row.pop("of")]
                    yield {**named, "members": _joined(who), "split": split, **row}


def _one(study: Study, state: State) -> dict[str, Row]:
    """Return the values of one network as it is, by split."""
    import torch

    measured = study.measurement.points([state], torch.ones(1, 1, dtype=torch.float64), "none")
    return {values["split"]: dict(values) for _, values in measured}


def _joined(members: list[dict[str, Any]]) -> str:
    return "-".join(str(address["seed"]) for address in members)


def _measured(values: Mapping[str, Any]) -> list[str]:
    return [metric for metric in METRICS if values.get(metric) is not None]


Mixture = tuple[str, tuple[int, ...], list[float]]


def _mixtures(count: int, points: int) -> list[Mixture]:
    """Return what is measured of some networks: themselves, the points between two of them, and the mean of all.

    Args:
        count: how many networks.
        points: on a line, its ends included.

    Returns:
        For each mixture its kind, "alone", "line" or "mean", the networks that it is of, and the share of each network.
    """
    found: list[Mixture] = []
    for index in range(count):
        found.append(("alone", (index,), [float(other == index) for other in range(count)]))
    for a, b in combinations(range(count), 2):
        for step in range(1, points - 1):
            shares = [0.0] * count
            shares[a], shares[b] = 1 - step / (points - 1), step / (points - 1)
            found.append(("line", (a, b), shares))
    found.append(("mean", tuple(range(count)), [1 / count] * count))
    return found


def _judged(mixed: list[Mixture], points: list[Point]) -> Iterator[Row]:
    """Yield, for the mean and for each line, its value where it rises most, and the networks that it is of."""
    ends = [values for (kind, _, _), (_, values) in zip(mixed, points, strict=True) if kind == "alone"]
    inside: dict[tuple[str, tuple[int, ...]], list[Point]] = {}
    for (kind, of, shares), (_, values) in zip(mixed, points, strict=True):
        if kind != "alone":
            inside.setdefault((kind, of), []).append((shares, values))
    for (kind, of), found in inside.items():
        for metric in _measured(ends[0]):
            own = [end[metric] for end in ends]
            corners = [([float(index == other) for other in range(len(own))], ends[index]) for index in of]
            looked_at = [*found, *corners] if kind == "line" else found
            top = highest([shares for shares, _ in looked_at], [values[metric] for _, values in looked_at], own)
            row = {"value": top.value, "baseline": top.baseline, "barrier": top.rise}
            yield {"network": kind, "of": of, "metric": metric, **row}


def _named(row: Series | Mapping[str, Any]) -> str:
    """Say how the data are divided."""
    number = row["number"]
    return {
        WHOLE_DATA: f"whole, {number} networks",
        "equal": f"{number} equal parts",
        "classes": f"{number} parts, {row['share']:.0%} of a class in one".replace("%", " %"),
        "dirichlet": f"{number} parts, Dirichlet({row['concentration']:g})",
    }[row["by"]]


def finding(table: DataFrame) -> str:
    """Say how networks do alone, together, and beside one that saw all data, where those alone err most."""
    from onebasin import findings

    rows = findings.where(summarise(table, SUMMARY), metric="error", split="test")
    sentences = []
    for name, part in findings.widest(rows[rows["by"] != WHOLE_DATA]):
        hardest = findings.worst(findings.where(part, network="alone"), "value")
        named = ["by", "number", "share", "concentration"]
        way = part[(part[named].eq(hardest[named]) | (part[named].isna() & hardest[named].isna())).all(axis=1)]
        told = []
        for start in dict.fromkeys(way["start"]):
            of_start = findings.where(way, start=start)
            single = of_start[of_start["network"].isin(KINDS[:3])].sort_values(
                "network", key=lambda kinds: kinds.map(KINDS.index), kind="stable"
            )
            means = findings.where(of_start, network="mean")
            plain = (means["method"] == "none") & (means["correction"] == "none")
            figures = [findings.each(single, lambda row: WORDS[row["network"]], "value")]
            figures += [f"{findings.mean(row, 'value')} their mean" for _, row in means[plain].iterrows()]
            if any(~plain):
                best = findings.best(means[~plain], "value")
                how = findings.way(best) + f", {best['correction']}" * (best["correction"] != "none")
                figures.append(f"{findings.mean(best, 'value')} the best other mean ({how})")
            told.append(f"from {'independent starts' if start == 'independent' else 'one start'} {', '.join(figures)}")
        divisions = findings.counted(int(way["networks"].max()), "division")
        sentences.append(
            f"Test error {name} where networks alone err most ({_named(hardest)}; {divisions}): {'; '.join(told)}."
        )
    return findings.joined(sentences)


def figure(table: DataFrame) -> Figure:
    """Draw errors on the test data: a column of panels for each way to divide the data, and for each model and width a
    row of errors and one of barriers; starts in colours, corrected mixtures open.
    """
    from textwrap import fill

    from onebasin.figures import panels, style
    from onebasin.figures.legend import legend
    from onebasin.figures.series import beside, handles, series

    table = table[(table["metric"] == "error") & (table["split"] == "test")]
    table = table.assign(way=[_named(row) for _, row in table.iterrows()])
    ways_drawn, starts = style.unique(table["way"]), style.unique(table["start"])
    methods = style.unique(table["method"])
    places = [kind for kind in KINDS[:3] if kind in set(table["network"])] + methods
    at_kind = table["network"].where(~table["network"].isin(["mean", "line"]), table["method"])
    table = table.assign(place=[places.index(kind) for kind in at_kind])
    looks = [(start, correction) for start in starts for correction in style.unique(table["correction"])]
    marks = {
        (start, correction): style.Mark(
            f"{start} start" + ("" if correction == "none" else f", {correction}"),
            style.OKABE_ITO[starts.index(start) % 6],
            style.MARKERS[starts.index(start) % 6],
            filled=correction == "none",
        )
        for start, correction in looks
    }
    configurations = _drawn(table, style.narrow())
    rows = [(which, value) for which in configurations for value in ("value", "barrier")[: 1 if style.narrow() else 2]]
    heights = [1.5 if value == "value" else 1.0 for _, value in rows]
    drawn, axes = panels.grid(len(rows), len(ways_drawn), heights, sharex=True, sharey="row", extra=0.5)
    clipped = 0
    for ((model, width), value), line in zip(rows, axes, strict=True):
        part = table[(table["model"] == model) & (table["width"] == width)]
        part = part[part["network"] == "line"] if value == "barrier" else part[part["network"] != "line"]
        floor = panels.barrier_axis(line, part[value], "error" if value == "barrier" else "")
        for axis, way in zip(line, ways_drawn, strict=True):
            panels.bands(axis, range(len(places)))
            shown = part[part["way"] == way]
            for slot, (look, mark) in enumerate(marks.items()):
                measured = shown[(shown["start"] == look[0]) & (shown["correction"] == look[1])]
                where = beside(axis, measured["place"], slot, len(marks))
                clipped += series(axis, measured, value, mark, where, ["division"], floor=floor, joined=False)
            axis.set_xlim(-0.5, len(places) - 0.5)
            if (model, width) == configurations[0] and value == "value":
                axis.set_title(fill(way, 16))
        line[0].set_ylabel(f"{model}, width {width}\n{'test error' if value == 'value' else 'error barrier'}")
    names = ["mean" if place == "none" else f"mean, {place}" if place in methods else place for place in places]
    for number, line in enumerate(axes):
        for column, axis in enumerate(line):
            axis.set_xticks(range(len(places)), names, rotation=90, fontsize=style.size("small"))
            # In one column of a paper there are two panels beside each other.
            lowest = number + 1 == len(axes) and (not style.narrow() or column + 2 >= len(line))
            axis.tick_params(axis="x", labelbottom=lowest)
    divisions = int(table.groupby(["model", "width", "way"])["division"].nunique().max())
    counts = sorted(table["number"].unique())
    of = f"{counts[0]} networks" if len(counts) == 1 else f"{counts[0]} to {counts[-1]} networks"
    entries = [
        *(mark.handle(linestyle="none") for mark in marks.values()),
        *([] if style.narrow() else [panels.connected_handle()]),
        *handles(f"one of {of}, or of what is made of them; {divisions} division{'s' * (divisions > 1)}", clipped),
    ]
    legend(drawn, entries, 3)
    return drawn


def _drawn(table: DataFrame, narrow: bool) -> list[tuple[str, int]]:
    """Return the models and widths that are drawn: of each model the smallest and largest width, or that alone."""
    found = []
    for model, part in table.groupby("model", sort=False):
        widths_of = sorted({int(width) for width in part["width"]})
        found += [(str(model), width) for width in dict.fromkeys([*([] if narrow else widths_of[:1]), widths_of[-1]])]
    return found
