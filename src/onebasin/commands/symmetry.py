"""``onebasin symmetry package.module:function`` prints the permutation groups of a model."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

from onebasin.commands import arguments, progress

if TYPE_CHECKING:
    from torch import Tensor, nn

    from onebasin.symmetry import Symmetry

INPUT = "1x3x224x224"
# On which activations are taken, where the model takes one tensor.
CHECKED_SAMPLES = 64


def add(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command."""
    command = commands.add_parser(
        "symmetry",
        help="print the permutation groups of a model",
        description="Print the permutation groups of a model as a table, and why the other axes stay fixed.",
        epilog="example: onebasin symmetry torchvision.models:resnet18 num_classes=10 --input 1x3x64x64",
    )
    command.add_argument("model", metavar="MODEL", help=arguments.MODEL)
    command.add_argument("options", nargs="*", metavar="KEY=VALUE", help="keyword arguments of the function")
    command.add_argument(
        "--input",
        action="append",
        metavar="SHAPE",
        help="shape of an input, such as 1x3x224x224 (the default), or 1x16:1000 for integers below 1000; "
        "once for each input",
    )
    command.add_argument("--training", action="store_true", help="in training mode, where that is deterministic")
    command.add_argument("--all-axes", action="store_true", help="list every axis of every group")
    command.add_argument(
        "--check",
        action="store_true",
        help="plant a random permutation in a copy of a network, with noise, and say what share of the units each way "
        "of matching finds again",
    )
    command.add_argument(
        "--noise",
        default="0,1,4",
        metavar="N,N,…",
        help="levels of noise for --check, in units of the spread of each parameter (default: %(default)s)",
    )
    command.add_argument(
        "--methods",
        default="weights,activations",
        metavar="NAME,…",
        help="what --check compares, of weights, activations, moments and sinkhorn (default: %(default)s)",
    )
    arguments.add_json(command)
    command.set_defaults(run=run)


def run(given: argparse.Namespace) -> None:
    """Print the groups."""
    from onebasin import symmetry

    shapes = given.input or [INPUT]
    inputs = tuple(_input(shape) for shape in shapes)
    model = arguments.build(given.model, dict(arguments.option(text) for text in given.options))
    try:
        found = symmetry.discover(model, inputs, training=given.training)
    except symmetry.SymmetryError as error:
        if given.input is None and "example input" in str(error):
            raise ValueError(f"{error}; it was {INPUT}: give its shape, such as --input 2x1x28x28") from None
        raise
    units = sum(found.sizes.values())
    result: dict[str, Any] = {
        "groups": [
            {
                "name": group.name,
                "units": group.size,
                "blocks": group.blocks,
                "within": group.within,
                "axes": group.axes,
            }
            for group in found.groups.values()
        ],
        "proof": str(found.proof),
    }
    text = (
        f"{found.table(axes=None if given.all_axes else 4)}\n\n{len(found.groups)} groups, {units} units; random "
        f"permutations left the outputs equal, {found.proof}"
    )
    if given.check:
        result["check"] = _check(given, model, found, inputs)
        text += f"\n\n{_checked(result['check'])}"
    arguments.show(given, result, text)


def _input(text: str) -> Tensor:
    import torch

    from onebasin import seeding

    shape_text, _, limit = text.partition(":")
    try:
        shape = [int(length) for length in shape_text.split("x")]
        if min(shape) < 1 or (limit and int(limit) < 1):
            raise ValueError
    except ValueError as error:
        raise ValueError(f"--input {text!r}: give a shape such as 1x3x224x224, or 1x16:1000 for integers") from error
    generator = seeding.generator("symmetry", "input")
    return torch.randint(int(limit), shape, generator=generator) if limit else torch.randn(shape, generator=generator)


def _check(
    given: argparse.Namespace, model: nn.Module, symmetry: Symmetry, inputs: tuple[Tensor, ...]
) -> list[dict[str, Any]]:
    from onebasin.networks import planted

    try:
        noise = [float(part) for part in given.noise.split(",")]
        if min(noise) < 0:
            raise ValueError
    except ValueError:
        raise ValueError(f"--noise {given.noise!r}: give numbers of at least 0, such as 0,1,4") from None
    methods = given.methods.split(",")
    if not set(methods) <= set(planted.METHODS):
        raise ValueError(f"--methods {given.methods!r}: give names out of {', '.join(planted.METHODS)}")
    if len(inputs) > 1:
        raise ValueError("--check takes a model of one input")
    text = given.input[0] if given.input else INPUT
    images = _input(f"{CHECKED_SAMPLES}x{text.partition('x')[2]}")
    with progress.shown():
        return list(planted.recover(model.eval(), symmetry, images, noise=noise, methods=methods))


def _checked(rows: list[dict[str, Any]]) -> str:
    shown = [("noise, method", "units found", "groups whole", "seconds")]
    for row in rows:
        whole = f"{row['groups']} of {row['of']}"
        shown.append((f"{row['noise']:g}, {row['method']}", f"{row['units']:.1%}", whole, f"{row['seconds']:.2f}"))
    return arguments.table(shown)
