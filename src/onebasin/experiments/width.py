"""Do barriers fall as networks widen, weak and strong ones?

The barrier against the width of the networks. *None*: no permutation. *Weak*: *b* permuted to match *a*, every pair.
*Strong*: *a* and *b* both permuted to match a third network, the reference, every triple; nothing was done to match
*a* and *b* with each other; or one permutation for each network into a frame common to all. Networks count as
connected where the mean of the error barriers and the upper end of its 95 % interval lie below 0.02, as not connected
where the lower end does not, and else as not decided; on training and on test images apart. Error above, loss below;
filled marks are training data, open ones test data; an interval that goes on beyond the axis, down to 0 as well, ends
in an arrow. Where the networks themselves err more than a tenth of the time, a thin line says how much.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from onebasin.columns import BARRIER, CLAIM, CONFIGURATION, CURVE, METHOD, PAIR
from onebasin.experiments import Counts, Needs, Row
from onebasin.landscape.barrier import barriers
from onebasin.summaries import Summary, framed, summarise

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.lines import Line2D
    from pandas import DataFrame, Series

    from onebasin.study.study import Study

PLACE, CATEGORY = 20, "Networks and width"
NEEDS = Needs(
    networks=2,
    purpose="a pair",
    permutations=("last",),
    strong=True,
    frames=True,
    parts=("none", "methods", "frames"),
    shared=True,
    gathers={"width": ("none", "methods", "frames")},
)
ENDS: dict[str, Any] = {"color": "black", "linewidth": 0.6, "linestyle": "-"}
"""How the error of the networks themselves is drawn."""
COLUMNS = (*CONFIGURATION, *METHOD, *CLAIM, *PAIR, *BARRIER)
SUMMARY = Summary("model width method claim frame split metric", "barrier", "reference a b", framed)
GRID = {"lines": "frame method split", "across": "width"}
MEASURED = (*CONFIGURATION, *METHOD, *CLAIM, *PAIR, *CURVE)


def work(settings: Mapping[str, Any], counts: Counts) -> dict[str, Any]:
    """Count each pair once, and by a method each strong path too."""
    paths = (counts.series + counts.frames) * counts.pairs + counts.methods * counts.strong
    return {"evaluations": paths * settings["points"]}


def measure(study: Study, settings: Mapping[str, Any]) -> Iterator[Row]:
    """Measure the curve of every path between two networks: none, weak and strong."""
    from onebasin.landscape import claims, compositions, paths

    networks, method = study.networks(), study.method
    permutations: claims.Permutations = {}
    if method.is_frame:
        looked_at = paths.common(study.pairs)
        permutations = compositions.within(study.frame(method.name))
    elif permutations := study.permutations(method.name):
        triples = settings["strong"] if "strong" in settings else paths.triples(study.seeds)
        looked_at = paths.weak(study.pairs) + paths.strong(triples)
    else:
        looked_at = paths.none(study.pairs)
    for path in study.share(looked_at):
        states = claims.endpoints(path, networks, permutations, study.symmetry)
        about = {"claim": path.claim, "reference": path.reference, "a": path.a, "b": path.b}
        yield from study.curve(states, {**study.configuration, **method.columns, **about})


def table(parts: Mapping[str, Iterable[Row]], settings: Mapping[str, Any]) -> Iterator[Row]:
    """Reduce every curve to its barriers."""
    return barriers(parts["width"])


KINDS = {"weak": "weak", "third": "strong, through a third network", "frame": "strong, in a common frame"}
"""Which paths are drawn together, to their title."""
UNTRAINED = 0.1
"""Mean error of networks above which it is drawn beside their barriers."""


def finding(table: DataFrame) -> str:
    """Say at which widths networks of each model are connected, for each claim by its best method."""
    from onebasin import findings

    sentences = []
    for model, rows in findings.where(summarise(table, SUMMARY), metric="error").groupby("model", sort=False):
        told = {}
        for frame, part in rows.groupby("frame", sort=False):
            last = findings.where(part, width=int(part["width"].max()), split="train")
            told[frame] = findings.best(last if len(last) else part)["method"], part
        # What no permutation does is told where there is none.
        shown = [
            f"{findings.claimed(str(frame), method)} {findings.connected(findings.where(part, method=method))}"
            for frame, (method, part) in told.items()
            if frame != "none" or len(told) == 1
        ]
        sentences.append(f"{model}, {findings.of_networks(rows)} a width: {'; '.join(shown)}.")
    if set(table["claim"]) - {"none"}:
        sentences.append(
            "Of each claim, this is the method whose mean on training images is lowest at the largest width."
        )
    return findings.joined([*sentences, *_untrained(table)])


def _untrained(table: DataFrame) -> Iterator[str]:
    """Say which of the widest networks err much by themselves, so that a barrier can hardly show."""
    from onebasin import findings

    for name, part in findings.widest(findings.where(table, metric="error", split="train")):
        missed = float(part[["end_a", "end_b"]].to_numpy().mean())
        if missed > UNTRAINED:
            yield f"{name} itself misses {findings.number(missed)} of the training labels: these barriers say little."


def figure(table: DataFrame) -> Figure:
    """Draw error barriers, and below them, lower, those of the loss; a panel for each model and kind of path.

    Both axes are logarithmic. Barriers without a permutation stand beside all others. Train is filled, test open. Where
    the networks themselves err much, their mean error is a thin line.
    """
    from dataclasses import replace

    from pandas import concat

    from onebasin.figures import panels, style
    from onebasin.figures.legend import legend, paths
    from onebasin.figures.series import beside, handles, series, split_handles

    of = table["claim"].where((table["claim"] != "strong") | table["reference"].isna(), "third")
    table = table.assign(kind=of.replace("strong", "frame"))
    kinds = [kind for kind in KINDS if kind in set(table["kind"])] or ["none"]
    splits = [split for split in style.SPLITS if split in set(table["split"])]
    metrics, models, marks = style.metrics(table), style.unique(table["model"]), style.method_marks(table)
    widths = {model: sorted(table.loc[table["model"] == model, "width"].unique()) for model in models}
    drawn, axes = _panels(metrics, kinds, widths)
    clipped, erring = 0, False
    for metric in metrics:
        of_metric = table[table["metric"] == metric]
        ends = _ends(of_metric[of_metric["split"] == splits[0]]) if metric == "error" else {}
        erring |= bool(ends)
        seen = concat([of_metric["barrier"], *ends.values()])
        for kind, model in itertools.product(kinds, models):
            axis = axes[metric, kind, model]
            part = of_metric[(of_metric["model"] == model) & of_metric["kind"].isin(["none", kind])]
            floor = panels.barrier_axis(axis, seen, metric)
            panels.width_axis(axis, widths[model])
            slots = [(method, split) for method in marks if method in set(part["method"]) for split in splits]
            for slot, (method, split) in enumerate(slots):
                rows = part[(part["method"] == method) & (part["split"] == split)]
                networks = ["a", "b", "reference"] if rows["reference"].notna().all() else ["a", "b"]
                mark, first = marks[method], split == splits[0]
                places = beside(axis, rows["width"], slot, len(slots))
                clipped += series(
                    axis, rows, "barrier", replace(mark, filled=first), places, networks, floor=floor, joined=first
                )
            if model in ends:
                reach = 2 ** (panels.HALF * panels.step(widths[model]))
                untrained = ends[model].index
                axis.hlines(ends[model], untrained / reach, untrained * reach, zorder=2, gid="ends", **ENDS)
    entries = [*(mark.handle() for mark in marks.values()), *(split_handles() if len(splits) > 1 else [])]
    entries += [
        panels.connected_handle(),
        *([_ends_handle(splits[0])] if erring else []),
        *handles(f"one of {paths(table)}", clipped),
    ]
    legend(drawn, entries, 3)
    return drawn


def _panels(
    metrics: Sequence[str], kinds: Sequence[str], widths: Mapping[str, Sequence[int]]
) -> tuple[Figure, dict[tuple[str, str, str], Axes]]:
    """Return the panel of each metric, kind of path and model: models side by side, as broad as they have widths.

    Where there are few widths, kinds of paths stand side by side.
    """
    from onebasin.figures import panels, style

    count = sum(map(len, widths.values()))
    turned = count <= 3 and len(kinds) > 1
    rows, columns = (list(widths), list(kinds)) if turned else (list(kinds), list(widths))
    cells = [(metric, row) for metric in metrics for row in rows]
    heights = [(1.5 if metric == metrics[0] else 1.0) * (1.0 if len(rows) > 1 else 1.5) for metric, _ in cells]
    ratios = None if turned else [float(max(len(found), 1)) for found in widths.values()]
    drawn, axes = panels.grid(len(cells), len(columns), heights, width_ratios=ratios, sharey="row", fold=1)
    found = {}
    for place, ((metric, row), line) in enumerate(zip(cells, axes, strict=True)):
        for column, axis in zip(columns, line, strict=True):
            model, kind = (row, column) if turned else (column, row)
            found[metric, kind, model] = axis
            title = KINDS.get(kind, "no permutation")
            if not turned and style.narrow():
                title = f"{model}: {title}"
            elif not turned:
                # A narrow panel has no room for both: models stand above their columns, kinds before their rows.
                title = (f"{model}\n" if place == 0 else "") + (title if axis is line[0] else "")
            axis.set_title(title, loc="left", pad=2)
        line[0].set_ylabel((f"{row}\n" if turned else "") + style.BARRIERS[metric].replace(" (", "\n("))
    for axis in axes[-1]:
        axis.set_xlabel("width")
    return drawn, found


def _ends(table: DataFrame) -> dict[str, Series]:
    """Return, for every model, the mean error of the networks at the widths where it is high, if any."""
    means = table.assign(end=(table["end_a"] + table["end_b"]) / 2).groupby(["model", "width"])["end"].mean()
    high = means[means > UNTRAINED]
    return {model: high.loc[model] for model in high.index.unique("model")}


def _ends_handle(split: str) -> Line2D:
    from matplotlib.lines import Line2D

    return Line2D([], [], label=f"mean error of the networks, {split}", **ENDS)
