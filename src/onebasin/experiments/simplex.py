"""What does the loss look like between three networks?

The loss (cross-entropy, in nats) over the triangle between three networks: each point is a network whose parameters
are the weighted mean of those at the corners. *No permutation*; *aligned to the first*: *b* and *c* permuted to match
*a*, so that the edge from *b* to *c* is between two networks that were not matched with each other; *common frame*:
one permutation for each network, found for all of them at once, by universe where it was asked; *lowest barrier of
all*: the method that does best, whatever its kind, which stands in brackets. Where there are several methods of a kind,
the one with the lowest barrier is drawn; the table has all of them, and their ranks. Corners: networks by their seeds,
each with a permutation π of its own. Black edges are the lines between two networks; white lines join points of equal
loss. The barrier is the highest rise above the plane through the corners.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from itertools import combinations
from typing import TYPE_CHECKING, Any

from onebasin.columns import CLAIM, CONFIGURATION, METHOD, NUMBER, SPLIT, VALUES, WHOLE, Column
from onebasin.experiments import Counts, Needs, Row, widths
from onebasin.landscape.barrier import highest, simplex_height, split_of, summit
from onebasin.summaries import Summary, framed, summarise

if TYPE_CHECKING:
    import numpy as np
    from matplotlib.axes import Axes
    from matplotlib.contour import ContourSet
    from matplotlib.figure import Figure
    from pandas import DataFrame, Series

    from onebasin.study.study import Study

PLACE, CATEGORY = 40, "More than two"
NEEDS = Needs(
    networks=4,
    purpose="a triangle aligned to a fourth network",
    widths="simplex.widths",
    points=None,
    permutations=("last",),
    frames=True,
)
SETTINGS: dict[str, Any] = {
    "widths": widths("Widths at which triangles are drawn, for every model that has them."),
    "resolution": {
        "description": "Steps along each side of the triangle.",
        "type": "integer",
        "minimum": 1,
        "maximum": 200,
    },
}
COLUMNS = (
    *CONFIGURATION,
    *METHOD,
    CLAIM[0].meant(
        "`none`, `weak` or `strong`: no permutation, b and c aligned to a, all in a fourth's or common frame"
    ),
    CLAIM[1].meant("seed of the fourth network; empty unless the claim is `strong`, and in the frame common to all"),
    Column("a", WHOLE, "seed of the network at the first corner"),
    Column("b", WHOLE, "seed of the network at the second corner"),
    Column("c", WHOLE, "seed of the network at the third corner"),
    SPLIT,
    Column(
        "rank", WHOLE, "of the triangle among those of its model, width and split, by loss barrier; 1 is the lowest"
    ),
    Column("weight_a", NUMBER, "share of network a, 0 to 1; the three shares sum to 1"),
    Column("weight_b", NUMBER, "share of network b, 0 to 1"),
    Column("weight_c", NUMBER, "share of network c, 0 to 1"),
    *VALUES,
)
CORNERS = ((0.0, 0.0), (1.0, 0.0), (0.5, 3**0.5 / 2))
"""Positions of networks a, b, c: an equilateral triangle of side 1."""
KINDS = {
    "none": "no permutation",
    "first": "aligned to the first",
    "frame": "common frame",
    "best": "lowest barrier of all",
}
FOUND = {"first": "aligned to the first", "third": "aligned to a fourth", "frame": "a common frame too"}
"""What the triangle with the lowest barrier is, to how it is said."""


def pairs(networks: Sequence[int], settings: Mapping[str, Any]) -> list[tuple[int, int]]:
    """Return the pairs of the first four networks."""
    return list(combinations(networks[:4], 2))


def work(settings: Mapping[str, Any], counts: Counts) -> dict[str, Any]:
    """Count one triangle without a permutation, two by each method, one by each common frame."""
    triangles = counts.unpermuted + 2 * counts.methods + counts.frames
    return {"evaluations": triangles * math.comb(settings["resolution"] + 2, 2)}


def measure(study: Study, settings: Mapping[str, Any]) -> list[Row]:
    """Measure every triangle on a grid, and rank them."""
    from onebasin.landscape import claims
    from onebasin.landscape.interpolate import grid

    weights, networks = grid(3, settings["resolution"]), study.networks()
    triangles = []
    for method in (study.unpermuted, *study.methods.values(), *study.frames.values()):
        if method.is_frame:
            states = claims.into_common_frame(study.symmetry, study.frame(method.name), networks)
            first = claims.triangles(study.seeds, matched=False)[0].corners
            drawn = [(claims.Triangle("strong", None, first), [states[seed] for seed in first])]
        else:
            permutations = study.permutations(method.name)
            drawn = [
                (triangle, claims.corners(triangle, networks, permutations, study.symmetry))
                for triangle in claims.triangles(study.seeds, matched=bool(permutations))
            ]
        for triangle, corners in drawn:
            about = {**study.configuration, **method.columns, "claim": triangle.claim, "reference": triangle.reference}
            about |= dict(zip("abc", triangle.corners, strict=True))
            triangles.append((about, list(study.measurement.points(corners, weights))))
    # The least barrier first; what is no number comes last.
    rows = []
    for split in ("train", "test"):
        heights = [summit(split_of(points, split), "loss").rise for _, points in triangles]
        order = sorted(range(len(triangles)), key=lambda index: (math.isnan(heights[index]), heights[index]))
        for index, (about, points) in enumerate(triangles):
            rank = order.index(index) + 1
            for (a, b, c), values in split_of(points, split):
                rows.append({**about, "rank": rank, "weight_a": a, "weight_b": b, "weight_c": c, **values})
    return rows


def _barriers(rows: DataFrame) -> DataFrame:
    """Return the largest rise over each triangle."""
    import pandas as pd

    keys = ["model", "width", "method", "claim", "reference", "a", "b", "c", "split"]
    shares = ["weight_a", "weight_b", "weight_c"]
    found = []
    for key, points in rows.groupby(keys, sort=False, dropna=False):
        weights = points[shares].to_numpy().tolist()
        corners = [weights.index([float(place == corner) for place in range(3)]) for corner in range(3)]
        rises = {}
        for metric, column in (("error", "barrier"), ("loss", "loss_barrier")):
            values = points[metric].tolist()
            rises[column] = highest(weights, values, [values[corner] for corner in corners]).rise
        found.append({**dict(zip(keys, key, strict=True)), **rises})
    return framed(pd.DataFrame(found))


SUMMARY = Summary("model width method claim frame split", "barrier loss_barrier", "reference a b c", _barriers)


def finding(table: DataFrame) -> str:
    """Say how far the error rises anywhere between three networks."""
    from onebasin import findings

    rows = findings.where(summarise(table, SUMMARY), split="train")
    sentences = []
    for name, part in findings.widest(rows):
        plain, others = part[part["claim"] == "none"], part[part["claim"] != "none"]
        told = [f"{findings.mean(row)} {findings.way(row)}" for _, row in plain.iterrows()]
        if len(others):
            least = findings.best(others)
            aligned = {
                "first": "aligned to the first",
                "third": "in the frame of a fourth",
                "common": "in a common frame",
            }
            way = f"{aligned[least['frame']]} {findings.way(least)}"
            told.append(f"{findings.mean(least)} {way}, the lowest of {len(others)} ways")
        sentences.append(f"Between three networks {name}, the training error rises by {findings.listed(told)}.")
    return findings.joined(sentences)


def figure(table: DataFrame) -> Figure:
    """Draw four triangles for each model and width, by the training loss.

    They are the one without permutation, the one of networks aligned to the first, that of a universe or another common
    frame, and the one with the lowest barrier of all; where there are several of a kind, the one with the lowest. All
    share one logarithmic colour scale, cut at a thousandth of its largest value.
    """
    import numpy as np
    from matplotlib.ticker import FuncFormatter, LogLocator

    from onebasin.figures import panels, style

    split = style.SPLITS[0] if style.SPLITS[0] in set(table["split"]) else style.SPLITS[1]
    table = table[table["split"] == split]
    rows = style.unique(zip(table["model"], table["width"], strict=True))
    kinds = {kind: _of_kind(table, kind) for kind in KINDS}
    columns = [kind for kind, part in kinds.items() if len(part)]
    loss = table["loss"].to_numpy(dtype=float)
    high = loss[np.isfinite(loss)].max()
    low = max(loss[np.isfinite(loss)].min(), high / 1000)
    levels = np.geomspace(low, high * 1.001, 25)
    labels = style.method_labels(table)
    row_height = 2.3 if style.narrow() else (style.WIDTH - 1.0) / max(len(columns), 3)
    drawn, axes = panels.grid(len(rows), len(columns), row_height, extra=0.85)
    contours = []
    for (model, width), line in zip(rows, axes, strict=True):
        for axis, kind in zip(line, columns, strict=True):
            axis.set_axis_off()
            part = kinds[kind][(kinds[kind]["model"] == model) & (kinds[kind]["width"] == width)]
            if len(part):
                best = _first(part[part["rank"] == part["rank"].min()])
                contours.append(_draw_triangle(axis, best, levels))
                axis.set_title(_title(kind, best.iloc[0], labels))
        line[0].annotate(
            f"{model}, width {width}", (-0.12, 0.5), xycoords="axes fraction", rotation=90, ha="center", va="center"
        )
    where = "bottom" if style.narrow() else "right"
    bar = drawn.colorbar(
        contours[-1], ax=axes, location=where, shrink=0.8 if len(rows) == 1 else 0.6, aspect=25, pad=0.02
    )
    bar.set_label(f"{split} loss (nats)")
    bar.set_ticks(LogLocator(subs=(1.0, 3.0) if high / low < 200 else (1.0,)))
    bar.ax.minorticks_off()
    bar.formatter = FuncFormatter(lambda value, _: f"{value:g}")
    bar.outline.set_linewidth(0.6)
    return drawn


def _of_kind(table: DataFrame, kind: str) -> DataFrame:
    """Return the triangles among which a picture is chosen."""
    if kind == "none":
        return table[table["claim"] == "none"]
    if kind == "first":
        return table[table["claim"] == "weak"]
    if kind == "frame":
        common = table[(table["claim"] == "strong") & table["reference"].isna()]
        universe = common[common["algorithm"] == "universe"]
        return universe if len(universe) else common
    return table[table["claim"] != "none"]


def _title(kind: str, row: Series, labels: Mapping[str, str]) -> str:
    import pandas as pd

    if kind == "none":
        return KINDS[kind]
    found = "first" if row["claim"] == "weak" else "frame" if pd.isna(row["reference"]) else "third"
    return f"{KINDS[kind]}\n{labels[row['method']]}" + (f"\n({FOUND[found]})" if kind == "best" else "")


def _first(part: DataFrame) -> DataFrame:
    """Return the grid points of the first triangle in the table."""
    key = ["reference", "a", "b", "c"]
    first = part[key].iloc[0]
    same = (part[key] == first) | (part[key].isna() & first.isna())
    return part[same.all(axis=1)]


def _draw_triangle(axis: Axes, points: DataFrame, levels: np.ndarray) -> ContourSet:
    import numpy as np
    from matplotlib.colors import LogNorm
    from matplotlib.patches import Polygon
    from matplotlib.tri import Triangulation

    from onebasin.figures import style
    from onebasin.prose import number

    weights = points[["weight_a", "weight_b", "weight_c"]].to_numpy(dtype=float)
    loss = points["loss"].to_numpy(dtype=float)
    corners = np.array(CORNERS)
    mesh = Triangulation(*(weights @ corners).T)
    shown = np.clip(np.nan_to_num(loss, nan=levels[-1], posinf=levels[-1]), levels[0], levels[-1])
    contours = axis.tricontourf(mesh, shown, levels=levels, cmap="viridis", norm=LogNorm(levels[0], levels[-1]))
    contours.set(edgecolor="face", linewidth=0.3)
    lines = axis.tricontour(mesh, shown, levels=levels, colors="white", linewidths=0.25, alpha=0.6)
    edge = axis.add_patch(Polygon(corners, facecolor="none", edgecolor="black", linewidth=0.7, zorder=4))
    contours.set_clip_path(edge)
    lines.set_clip_path(edge)
    first = points.iloc[0]
    for corner, name in enumerate("abc"):
        moved = first["claim"] == "strong" or (first["claim"] == "weak" and name != "a")
        subscript = f"_{{{first[name]}}}"
        text = rf"$\pi{subscript}\theta{subscript}$" if moved else rf"$\theta{subscript}$"
        x, y = corners[corner]
        axis.text(x, y - 0.04 if corner < 2 else y + 0.03, text, ha="center", va="top" if corner < 2 else "bottom")
    ends = [loss[weights[:, corner] == 1][0] for corner in range(3)]
    barrier = simplex_height(weights.tolist(), loss, ends)
    axis.text(0.5, -0.17, f"barrier {number(barrier)}", ha="center", va="top", fontsize=style.size("ticks"))
    axis.set_aspect("equal")
    axis.set_xlim(-0.12, 1.12)
    axis.set_ylim(-0.3, 1.0)
    return contours
