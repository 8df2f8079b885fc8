"""Do barriers fall with width without a permutation too?

Barriers of the error, of the loss, and of the loss after the logits of each network on the way are divided by a
temperature of its own, where images were held out to fit it on: the plain mean of wide networks is said to work once it
is calibrated (`arXiv 2510.08023 <https://arxiv.org/abs/2510.08023>`_). *No permutation*; *b* permuted to match *a*; and
two controls. *Random order*: the units of *b* in random order, which leaves its function as it is. *Random direction*:
how far the metric rises on a step from either network in a random direction, in each parameter as long as half of the
way to the other network, which says how flat it is. Train is filled, test open.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from onebasin.columns import BARRIER, CONFIGURATION, METHOD, PAIR, TEXT, Column
from onebasin.experiments import Counts, Needs, Row, widths
from onebasin.landscape.barrier import METRICS, barriers, split_of
from onebasin.summaries import Summary, summarise

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from pandas import DataFrame

    from onebasin.figures.style import Mark
    from onebasin.landscape.interpolate import State
    from onebasin.study.study import Study

PLACE, CATEGORY = 36, "Networks and width"
NEEDS = Needs(networks=2, purpose="a pair", widths="mechanism.widths", permutations=("last",))
SETTINGS: dict[str, Any] = {
    "widths": widths("Widths at which barriers are compared with their controls, for every model that has them."),
}
KIND = Column(
    "kind", TEXT, "`none`, `matched`, `random order` (of the units of b), or `random direction` (in place of the way)"
)
COLUMNS = (*CONFIGURATION, KIND, *METHOD, *PAIR, *BARRIER)
SUMMARY = Summary("model width kind method split metric", "barrier", "a b")


def work(settings: Mapping[str, Any], counts: Counts) -> dict[str, Any]:
    """Count the line of each pair under each permutation, the random one too, and two random directions."""
    return {"evaluations": counts.pairs * ((counts.series + 1) * settings["points"] + 4)}


def ways(study: Study, a: int, b: int) -> Iterator[tuple[Row, State]]:
    """Yield network b as it is, as each method permutes it to match network a, and in a random order of its units.

    Args:
        study: the networks and their permutations.
        a: the seed of the first network.
        b: the seed of the second network.

    Yields:
        The columns that say what was done, and the state.
    """
    from onebasin import seeding

    state = study.networks()[b]
    yield {"kind": "none", **study.unpermuted.columns}, state
    for method in study.methods.values():
        found = study.permutations(method.name)[a, b]
        yield {"kind": "matched", **method.columns}, study.symmetry.apply(found, state)
    order = study.symmetry.random(seeding.generator("mechanism", "order", a, b))
    yield {"kind": "random order", **study.unpermuted.columns}, study.symmetry.apply(order, state)


def astray(study: Study, a: int, b: int) -> list[State]:
    """Return two networks, each moved in a random direction, in each parameter by half of what the two are apart."""
    import torch

    from onebasin import seeding

    ends = [study.networks()[seed] for seed in (a, b)]
    found: list[State] = []
    for seed, end in zip((a, b), ends, strict=True):
        moved = dict(end)
        for key in sorted(study.symmetry.parameters):
            step = torch.randn(end[key].shape, generator=seeding.generator("mechanism", "direction", a, b, seed, key))
            step = step.to(end[key])
            moved[key] = end[key] + step * (0.5 * (ends[0][key] - ends[1][key]).norm() / step.norm())
        found.append(moved)
    return found


def measure(study: Study, settings: Mapping[str, Any]) -> Iterator[Row]:
    """Measure the barrier of every pair under each permutation, and the rise in a random direction."""
    import torch

    networks = study.networks()
    for a, b in study.pairs:
        about = {**study.configuration, "a": a, "b": b}
        for way, state in ways(study, a, b):
            yield from barriers(study.curve((networks[a], state), {**about, **way}))
        about |= {"kind": "random direction", **study.unpermuted.columns}
        states = [networks[a], networks[b], *astray(study, a, b)]
        points = list(study.measurement.points(states, torch.eye(4), correction="none"))
        for split in study.measurement.splits:
            first, last, *moved = (values for _, values in split_of(points, split))
            middle = {
                metric: sum(values[metric] for values in moved) / 2
                for metric in METRICS
                if None not in (values[metric] for values in moved)
            }
            curve = [{**first, "alpha": 0.0}, {**middle, "alpha": 0.5}, {**last, "alpha": 1.0}]
            yield from barriers({**about, "split": split, **point} for point in curve)


def finding(table: DataFrame) -> str:
    """Say how high barriers of the widest networks are by each way, and how flat the loss is about them."""
    from onebasin import findings

    rows = findings.where(summarise(table, SUMMARY), metric="error", split="train")
    return findings.joined(
        f"The training error barrier of {name} is {findings.each(part, _way)} ({findings.of_networks(part)})."
        for name, part in findings.widest(rows)
    )


def _way(row: Any) -> str:
    from onebasin import findings

    named = {"random order": "with units in random order", "random direction": "as far in a random direction"}
    return named.get(row["kind"]) or findings.way(row)


LABELS = {"error": "error barrier", "loss": "loss barrier (nats)", "loss_calibrated": "calibrated loss barrier (nats)"}


def figure(table: DataFrame) -> Figure:
    """Draw barriers against width, a row of panels for each model, a column for each metric."""
    from dataclasses import replace

    from onebasin.figures import panels, style
    from onebasin.figures.legend import legend, paths
    from onebasin.figures.series import beside, handles, series, split_handles

    metrics = style.metrics(table) + [metric for metric in LABELS if metric not in style.METRICS and not style.narrow()]
    metrics = [metric for metric in metrics if metric in set(table["metric"])]
    models, marks = style.unique(table["model"]), _marks(table)
    splits = [split for split in style.SPLITS if split in set(table["split"])]
    drawn, axes = panels.grid(len(models), len(metrics), 1.9, sharey="col", fold=1)
    clipped = 0
    for model, line in zip(models, axes, strict=True):
        for metric, axis in zip(metrics, line, strict=True):
            of_metric = table[table["metric"] == metric]
            part = of_metric[of_metric["model"] == model]
            floor = panels.barrier_axis(axis, of_metric["barrier"], metric)
            panels.width_axis(axis, sorted(part["width"].unique()))
            slots = [(way, split) for way in marks for split in splits]
            for slot, ((kind, method), split) in enumerate(slots):
                rows = part[(part["kind"] == kind) & (part["method"] == method) & (part["split"] == split)]
                mark = replace(marks[kind, method], filled=split == splits[0])
                places = beside(axis, rows["width"], slot, len(slots))
                clipped += series(
                    axis, rows, "barrier", mark, places, ["a", "b"], floor=floor, joined=split == splits[0]
                )
        line[0].set_ylabel(model)
    for metric, top, bottom in zip(metrics, axes[0], axes[-1], strict=True):
        top.set_title(LABELS[metric])
        bottom.set_xlabel("width")
    entries = [*(mark.handle() for mark in marks.values()), *split_handles(), panels.connected_handle()]
    legend(drawn, [*entries, *handles(f"one of {paths(table)}", clipped)], 3)
    return drawn


def _marks(table: DataFrame) -> dict[tuple[str, str], Mark]:
    """Return the mark of each way, by its kind and method."""
    from onebasin.figures.style import OKABE_ITO, Mark, method_marks

    found = {("none" if name == "none" else "matched", name): mark for name, mark in method_marks(table).items()}
    found["random order", "none"] = Mark("random order", OKABE_ITO[4], "^", line=(0, (3, 1)))
    found["random direction", "none"] = Mark("random direction", "black", "X", line=(0, (1, 1)))
    return found
