"""``onebasin barrier`` measures what networks lose on the way between them, as they are and aligned."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from onebasin.commands import arguments, progress
from onebasin.commands.align import add_method

if TYPE_CHECKING:
    import pandas as pd


PLOTS = (".png", ".pdf", ".svg")


def add(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command."""
    command = commands.add_parser(
        "barrier",
        help="measure the barrier between networks",
        description="Measure loss and error on the straight line between two networks, on training and test data, as "
        "they are and, with --align, after the others were permuted to fit the first. Of three or more networks all "
        "pairs are measured, and mixtures of all of them (the simplex).",
        epilog="example: onebasin barrier own_net:build a.pt b.pt --data own_data.pt --align weights --plot curve.png",
    )
    arguments.add_networks(command)
    add_method(command, "--align", None)
    add_correction(command, "of mixtures: reset (running statistics of batch norm) or repair (default: none)")
    command.add_argument("--points", type=int, default=25, metavar="N", help="points of each line (default: 25)")
    command.add_argument("--plot", metavar="FILE", help="draw the curves of the error: .png, .pdf or .svg")
    command.add_argument("--csv", metavar="FILE", help="write loss and error of every point")
    command.set_defaults(run=run)


def add_correction(command: argparse.ArgumentParser, text: str) -> None:
    """Add --correction."""
    command.add_argument("--correction", choices=("none", "reset", "repair"), default=None, help=text)


def run(given: argparse.Namespace) -> None:
    """Measure, write, and print the barriers."""
    from pathlib import Path

    import pandas as pd

    from onebasin.commands import files
    from onebasin.networks import align, barriers, points
    from onebasin.networks.merge import CORRECTED_IMAGES

    correction = given.correction or "none"
    if given.plot and Path(given.plot).suffix not in PLOTS:
        raise ValueError(f"--plot {given.plot}: give a name that ends in {', '.join(PLOTS)}")
    with progress.shown():
        brought = arguments.networks(given)
        for name in filter(None, (given.plot, given.csv)):
            files.refuse_input(Path(name), brought.paths)
        images, labels = brought.train
        ways = {"none": brought.states}
        if given.align is not None:
            ways[given.align] = align(
                brought.model, brought.states, method=given.align, images=images, labels=labels
            ).states
        splits = {"train": brought.train, "test": brought.test}
        options: dict[str, Any] = {
            "alphas": given.points,
            "correction": correction,
            "images": images[:CORRECTED_IMAGES],
        }
        measured = pd.concat(
            [points(brought.model, states, splits, **options).assign(method=name) for name, states in ways.items()]
        )
    measured = measured[["method", *measured.columns.drop("method")]]
    found = barriers(measured)
    written = []
    if given.csv:
        files.write_table(Path(given.csv), measured)
        written.append(given.csv)
    if given.plot:
        _plot(measured, Path(given.plot))
        written.append(given.plot)
    ends = _ends(brought)
    result = {
        "networks": dict(enumerate(brought.names)),
        "correction": correction,
        "barriers": found.to_dict("records"),
        "files": written,
    }
    lines = [f"{index}: {name}, error {errors} (train / test)" for index, (name, errors) in enumerate(ends.items())]
    lines += [_table(found), *(f"wrote {path}" for path in written), *advice(brought.model, correction)]
    arguments.show(given, result, "\n".join(lines))


def advice(model: Any, correction: str) -> list[str]:
    """Say what batch norm needs, where the model has one and nothing is corrected."""
    from onebasin.landscape.repair import has_running_statistics

    if correction != "none" or not has_running_statistics(model):
        return []
    return [
        "The model has batch norm, whose running statistics fit no mixture of networks; --correction reset measures "
        "them anew."
    ]


def _ends(brought: arguments.Given) -> dict[str, str]:
    """Return the errors of the networks as they are, by their names."""
    from torch import eye, float64

    from onebasin.landscape.evaluate import measure

    splits = {"train": brought.train, "test": brought.test}
    values = measure(brought.model, brought.states, eye(len(brought.states), dtype=float64), splits)
    errors = zip(values["train"].error, values["test"].error, strict=True)
    return {name: f"{train:.4f} / {test:.4f}" for name, (train, test) in zip(brought.names, errors, strict=True)}


def _table(found: pd.DataFrame) -> str:
    rows: list[tuple[str, ...]] = [("path, permutation", "error: train", "test", "loss: train", "test")]
    for path_and_method, part in found.groupby(["path", "method"], sort=False):
        values = {(row["split"], row["metric"]): row["barrier"] for row in part.to_dict("records")}
        shown = [f"{values[split, metric]:.4f}" for metric in ("error", "loss") for split in ("train", "test")]
        rows.append((", ".join(map(str, path_and_method)), *shown))
    return arguments.table(rows)


def _plot(measured: pd.DataFrame, path: Any) -> None:
    from matplotlib.figure import Figure

    from onebasin.figures.plot import plot
    from onebasin.files import atomic
    from onebasin.networks.barriers import SIMPLEX

    lines = measured[measured["path"] != SIMPLEX]
    curves = len(lines.groupby(["path", "method"]))
    figure = Figure(figsize=(7.2, 2.8 + 0.2 * curves), layout="constrained")
    for axes, split in zip(figure.subplots(1, 2, sharey=True), ("train", "test"), strict=True):
        named: Mapping[str, pd.DataFrame] = {
            f"{way!s}, {method!s}" if lines["path"].nunique() > 1 else str(method): part
            for (way, method), part in lines[lines["split"] == split].groupby(["path", "method"], sort=False)
        }
        plot(named, "error", axes)
        axes.set_ylabel(f"error, {split}")
    with atomic(path) as temporary:
        figure.savefig(temporary, format=path.suffix[1:], dpi=150)
