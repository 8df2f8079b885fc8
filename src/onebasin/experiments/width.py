"""Do barriers fall as networks widen, weak and strong ones?

The barrier against the width of the networks. *None*: no permutation. *Weak*: *b* permuted to match *a*, every pair.
*Strong*: *a* and *b* both permuted to match a third network, the reference, every triple; nothing was done to match
*a* and *b* with each other; or one permutation for each network into a frame common to all. Networks count as
linearly connected when the barrier of the error is below 0.02.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from onebasin.columns import BARRIER, CLAIM, CONFIGURATION, CURVE, METHOD, PAIR
from onebasin.experiments import Counts, Needs, Row
from onebasin.landscape.barrier import barriers

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from pandas import DataFrame

    from onebasin.study.study import Study

PLACE, CATEGORY = 20, "Width"
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
COLUMNS = (*CONFIGURATION, *METHOD, *CLAIM, *PAIR, *BARRIER)
MEASURED = (*CONFIGURATION, *METHOD, *CLAIM, *PAIR, *CURVE)


def work(settings: Mapping[str, Any], counts: Counts) -> dict[str, Any]:
    """Count each pair once, and by a method each strong path too."""
    paths = (counts.series + counts.frames) * counts.pairs + counts.methods * counts.strong
    return {"evaluations": paths * settings["points"]}


def measure(study: Study, settings: Mapping[str, Any]) -> Iterator[Row]:
    """Measure the curve of every path between two networks: none, weak and strong."""
    from onebasin.landscape import claims, paths

    networks, method = study.networks(), study.method
    permutations: claims.Permutations = {}
    if method.is_frame:
        looked_at = paths.common(study.pairs)
        networks = claims.into_common_frame(study.symmetry, study.frame(method.name), networks)
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


def figure(table: DataFrame) -> Figure:
    """Draw one row of panels per metric and model; weak and strong, train and test side by side.

    Both axes are logarithmic. Barriers without a permutation stand beside the weak and beside the strong ones.
    """
    from onebasin.figures import panels, style
    from onebasin.figures.series import beside, handles, series

    splits = [split for split in style.SPLITS if split in set(table["split"])]
    claims = [claim for claim in ("weak", "strong") if claim in set(table["claim"])] or ["none"]
    columns = [(claim, split) for claim in claims for split in splits]
    marks = style.method_marks(table)
    drawn, rows = panels.barriers(table, [f"{claim}, {split}" for claim, split in columns], "width")
    clipped = 0
    for metric, part, line in rows:
        floor = panels.barrier_axis(line[0], part["barrier"], metric)
        widths = sorted(part["width"].unique())
        for axis, (claim, split) in zip(line, columns, strict=True):
            panels.width_axis(axis, widths, every=2 if len(widths) > 4 and len(columns) > 2 else 1)
            shown = part[(part["split"] == split) & part["claim"].isin(["none", claim])]
            methods = [method for method in marks if method in set(shown["method"])]
            for slot, method in enumerate(methods):
                rows_of = shown[shown["method"] == method]
                triples = rows_of["reference"].notna().all()
                networks = ["a", "b", "reference"] if triples else ["a", "b"]
                places = beside(axis, rows_of["width"], slot, len(methods))
                clipped += series(axis, rows_of, "barrier", marks[method], places, networks, floor=floor)
            if metric == "error":
                panels.connected(axis)
    entries = [*(mark.handle() for mark in marks.values()), panels.connected_handle(), *handles("one path", clipped)]
    style.legend(drawn, entries, 3)
    return drawn
