"""How good is each network by itself?

Error and loss of every network as it was trained, or as it came from elsewhere, against width; dotted, where it is in
view, the error of who always names the most frequent class. A network whose error is near that of such a guess, or lies
far from the others', is remarked on in the table: barriers between networks that have learned nothing, or that see
other inputs than in their training, say little. On all of the test data, and on at most {barrier[train_images]} of the
training data.
"""

from __future__ import annotations

import statistics
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from onebasin.columns import CONFIGURATION, NUMBER, SPLIT, TEXT, VALUES, WHOLE, Column
from onebasin.experiments import Counts, Needs, Row
from onebasin.summaries import Summary, summarise

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from pandas import DataFrame

    from onebasin.study.study import Study

PLACE, CATEGORY = 5, "Networks and width"
NEEDS = Needs(networks=1, purpose="a network", points=None, corrected=False)
COLUMNS = (
    *CONFIGURATION,
    Column("seed", WHOLE, "seed of the network"),
    SPLIT,
    *VALUES,
    Column("guess", NUMBER, "error of who always names the most frequent class of the split, 0 to 1"),
    Column("remark", TEXT, "what is strange about the error; empty where nothing is", optional=True),
)
SUMMARY = Summary("model width split", "error loss guess", "seed")
NEAR = 0.9
"""An error above this share of that of a guess is near chance."""
FAR, FARTHER_BY = 5, 0.02
"""An error is far from the others' where it is so many times their median, and by so much larger."""


def work(settings: Mapping[str, Any], counts: Counts) -> dict[str, Any]:
    """Count every network."""
    return {"evaluations": counts.states}


def measure(study: Study, settings: Mapping[str, Any]) -> list[Row]:
    """Measure every network as it is, and remark on errors that are strange."""
    from torch import ones

    rows = []
    for seed, state in study.networks().items():
        for _, values in study.measurement.points([state], ones(1, 1), correction="none"):
            _, labels = study.measurement.splits[values["split"]]
            rows.append({**study.configuration, "seed": seed, **values, "guess": guess(labels)})
    for split in study.measurement.splits:
        of_split = {row["seed"]: row for row in rows if row["split"] == split}
        found = remarks({seed: row["error"] for seed, row in of_split.items()}, next(iter(of_split.values()))["guess"])
        for seed, row in of_split.items():
            row["remark"] = found.get(seed)
    return rows


def guess(labels: Any) -> float:
    """Return the error of who always names the most frequent class.

    Args:
        labels: class indices, a tensor of any shape.
    """
    return 1 - int(labels.flatten().bincount().max()) / labels.numel()


def remarks(errors: Mapping[int, float], guessed: float) -> dict[int, str]:
    """Return what is strange about the errors of networks of one model and width, by their seeds.

    Args:
        errors: by seed.
        guessed: the error of a guess on the same labels.
    """
    found = {}
    for seed, error in errors.items():
        others = [other for name, other in errors.items() if name != seed]
        median = statistics.median(others) if others else error
        if error > NEAR * guessed:
            found[seed] = f"error {error:.3f}, near that of a guess, {guessed:.3f}"
        elif error > FAR * median and error > median + FARTHER_BY:
            found[seed] = f"error {error:.3f}, far from the others', {median:.3f}"
    return found


def finding(table: DataFrame) -> str:
    """Say what the narrowest and the widest networks miss, and which are strange."""
    from onebasin import findings

    rows = findings.where(summarise(table, SUMMARY), split="test")
    sentences = []
    for model, part in rows.groupby("model", sort=False):
        ends = part[part["width"].isin([part["width"].min(), part["width"].max()])]
        missed = findings.each(ends, lambda row: f"at width {row['width']}", "error")
        sentences.append(f"Of the test images, {model} misses {missed} ({findings.of_networks(part)} a width).")
    strange = table.dropna(subset="remark").drop_duplicates(["model", "width", "seed"])
    if len(strange):
        first = strange.iloc[0]
        name = f"{first['model']} {first['width']}, seed {first['seed']}, {first['split']}: {first['remark']}"
        sentences.append(f"Strange: {findings.counted(len(strange), 'network')}, such as {name}.")
    return findings.joined(sentences)


def figure(table: DataFrame) -> Figure:
    """Draw one row of panels per model; error and loss against width."""
    from matplotlib.lines import Line2D

    from onebasin.figures import panels, style
    from onebasin.figures.legend import legend, networks
    from onebasin.figures.series import beside, handles, series

    models = style.unique(table["model"])
    marks = {
        "train": style.Mark("train", style.OKABE_ITO[0]),
        "test": style.Mark("test", style.OKABE_ITO[1], "s", line=(0, (4, 1.5))),
    }
    drawn, axes = panels.grid(len(models), 2, 2.0)
    look: dict[str, Any] = {"color": style.GREY, "linewidth": 0.8, "linestyle": ":"}
    guessing = []
    for model, line in zip(models, axes, strict=True):
        part = table[table["model"] == model]
        for axis, metric in zip(line, ("error", "loss"), strict=True):
            panels.width_axis(axis, sorted(part["width"].unique()))
            for slot, (split, mark) in enumerate(marks.items()):
                rows = part[part["split"] == split]
                series(axis, rows, metric, mark, beside(axis, rows["width"], slot, len(marks)), ["seed"])
            panels.from_zero(axis)
        if part["guess"].max() <= line[0].get_ylim()[1]:
            line[0].axhline(part["guess"].max(), **look)
            guessing = [Line2D([], [], label="a guess", **look)]
        line[0].set_ylabel(model)
    for top, bottom, title in zip(axes[0], axes[-1], ("error", "loss (nats)"), strict=True):
        top.set_title(title)
        bottom.set_xlabel("width")
    one = f"one of {networks(table, ['seed'])}"
    legend(drawn, [*(mark.handle() for mark in marks.values()), *guessing, *handles(one)], 3)
    return drawn
