"""How many epochs must networks share to be connected without a permutation?

The barrier between a network and its child, against the number of epochs that they share; 0 is the initialisation
alone. After these epochs the child sees the training images in another order and with other augmentation (instability
analysis, Frankle et al. 2020). Nothing is permuted: this is the linear connectivity that a common start gives by
itself. Dashed: an error barrier of 0.02, below which two networks count as linearly connected.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from onebasin.columns import BARRIER, CONFIGURATION, WHOLE, Column
from onebasin.experiments import Counts, Needs, Row, widths
from onebasin.landscape.barrier import barriers
from onebasin.summaries import Summary, summarise

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from pandas import DataFrame

    from onebasin.study.study import Study

PLACE, CATEGORY = 85, "Along training"
NEEDS = Needs(networks=1, purpose="a network and its child", widths="instability.widths", states=("last", "children"))
SETTINGS: dict[str, Any] = {
    "widths": widths("Widths at which networks have children, for every model that has them."),
    "epochs": {
        "description": "Epochs that a child shares with its network before it sees the data in another order.",
        "type": "array",
        "items": {"type": "integer", "minimum": 0},
        "minItems": 1,
        "uniqueItems": True,
    },
}
COLUMNS = (
    *CONFIGURATION,
    Column("seed", WHOLE, "seed of the network and of its child"),
    Column("shared", WHOLE, "epochs that the two share; 0 is the initialisation alone"),
    *BARRIER,
)
SUMMARY = Summary("model width shared split metric", "barrier", "seed")


def check(config: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Refuse children that would share every epoch."""
    epochs = config["training"]["epochs"]
    for shared in config["instability"]["epochs"]:
        if shared >= epochs:
            yield "instability.epochs", f"{shared} is not allowed. Allowed: epochs below training.epochs, {epochs}"


def work(settings: Mapping[str, Any], counts: Counts) -> dict[str, Any]:
    """Count a line to each child."""
    return {"evaluations": (counts.states - counts.networks) * settings["points"]}


def measure(study: Study, settings: Mapping[str, Any]) -> Iterator[Row]:
    """Measure the barrier between every network and each of its children."""
    networks = study.networks()
    for seed in study.seeds:
        for shared in sorted(settings["epochs"]):
            ends = networks[seed], study.networks(shared=shared)[seed]
            about = {**study.configuration, "seed": seed, "shared": shared}
            yield from barriers(study.curve(ends, about))


def finding(table: DataFrame) -> str:
    """Say after how many shared epochs two children of one network are connected."""
    from onebasin import findings

    rows = findings.where(summarise(table, SUMMARY), metric="error", split="train")
    sentences = []
    for name, part in findings.widest(rows):
        ends = part[part["shared"].isin([part["shared"].min(), part["shared"].max()])]
        told = findings.each(ends, lambda row: f"after {row['shared']} shared epochs")
        calm = part.loc[(part["verdict"] != "connected")[::-1].cumsum()[::-1] == 0, "shared"]
        reached = f"connected from {calm.min()} on" if len(calm) else "not to be called connected after the most"
        sentences.append(
            f"A network {name} and its child have a training error barrier of {told}: {reached} "
            f"({findings.of_networks(part)})."
        )
    return findings.joined(sentences)


def figure(table: DataFrame) -> Figure:
    """Draw one row of panels per metric and model, train and test side by side."""
    from onebasin.figures import panels, style
    from onebasin.figures.legend import legend, networks
    from onebasin.figures.series import beside, handles, series

    splits = [split for split in style.SPLITS if split in set(table["split"])]
    epochs = sorted(table["shared"].unique())
    marks = {
        width: style.Mark(f"width {width}", style.OKABE_ITO[i % 6], style.MARKERS[i % 6], line=style.LINES[i % 6])
        for i, width in enumerate(sorted(table["width"].unique()))
    }
    drawn, rows = panels.barriers(table, splits, "shared epochs")
    clipped = 0
    for metric, part, line in rows:
        floor = panels.barrier_axis(line, part["barrier"], metric)
        for axis, split in zip(line, splits, strict=True):
            shown = sorted(part["width"].unique())
            for slot, width in enumerate(shown):
                rows_of = part[(part["split"] == split) & (part["width"] == width)]
                places, _ = beside(axis, rows_of["shared"].map(epochs.index), slot, len(shown), room=0.5)
                clipped += series(axis, rows_of, "barrier", marks[width], (places, 0.0), ["seed"], floor=floor)
            axis.set_xticks(range(len(epochs)), [str(epoch) for epoch in epochs])
            axis.set_xlim(-0.5, len(epochs) - 0.5)
    entries = [*(mark.handle() for mark in marks.values()), panels.connected_handle()]
    one = f"one of {networks(table, ['seed'])} and its child"
    legend(drawn, [*entries, *handles(one, clipped)], 3)
    return drawn
