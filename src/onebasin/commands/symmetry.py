"""``onebasin symmetry package.module:function`` prints the permutation groups of a model."""

from __future__ import annotations

import argparse
import ast
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import Tensor


def add(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command."""
    command = commands.add_parser(
        "symmetry",
        help="print the permutation groups of a model",
        description="Print the permutation groups of a model as a table, and why the other axes stay fixed.",
        epilog="example: onebasin symmetry torchvision.models:resnet18 num_classes=10 --input 1x3x64x64",
    )
    command.add_argument("factory", help="what builds the model, as package.module:function; . is searched first")
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
    command.set_defaults(run=run)


def run(given: argparse.Namespace) -> None:
    """Print the groups."""
    from torch import nn

    from onebasin import symmetry
    from onebasin.models import factory

    inputs = tuple(_input(shape) for shape in given.input or ["1x3x224x224"])
    options = dict(_option(text) for text in given.options)
    build = factory.load(given.factory)
    try:
        model = build(**options)
    except Exception as error:  # whatever a foreign function raises
        reason = " ".join(str(error).split("\n\n")[0].split())
        raise ValueError(f"factory {given.factory!r}: {type(error).__name__}: {reason}") from error
    if not isinstance(model, nn.Module):
        raise ValueError(f"factory {given.factory!r}: it returned a {type(model).__name__}, not a torch.nn.Module")
    found = symmetry.discover(model, inputs, training=given.training)
    print(found.table(axes=None if given.all_axes else 4))
    units = sum(found.sizes.values())
    print(f"\n{len(found.groups)} groups, {units} units; random permutations left the outputs equal, {found.proof}")


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


def _option(text: str) -> tuple[str, Any]:
    key, equals, value = text.partition("=")
    if not (equals and key.isidentifier()):
        raise ValueError(f"argument {text!r}: give KEY=VALUE")
    try:
        return key, ast.literal_eval(value)
    except (ValueError, SyntaxError):
        return key, value
