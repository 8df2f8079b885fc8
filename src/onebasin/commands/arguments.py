"""What the commands take alike: a model with its options, files of networks, data, and how results are printed."""

from __future__ import annotations

import argparse
import ast
import inspect
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import Tensor, nn

    from onebasin.data import Dataset

MODEL = "what builds the model, as package.module:function; . is searched first"


@dataclass(frozen=True)
class Given:
    """What a command was given.

    Attributes:
        model: the module, in evaluation mode, on the device to compute on.
        dataset: the data set.
        paths: of the networks' files.
        originals: the tensors of each file, as they are in it.
        wrappings: the names of the dictionaries around them in each file.
        states: the same as states of the model, on the device.
        train: training images and labels, on the device.
        test: test images and labels, on the device.
    """

    model: nn.Module
    dataset: Dataset
    paths: list[Path]
    originals: list[dict[str, Tensor]]
    wrappings: list[tuple[str, ...]]
    states: list[dict[str, Tensor]]
    train: tuple[Tensor, Tensor]
    test: tuple[Tensor, Tensor]

    @property
    def names(self) -> list[str]:
        """What the networks are called: the names of their files, or their paths where names are alike."""
        names = [path.name for path in self.paths]
        return names if len(set(names)) == len(names) else [str(path) for path in self.paths]


def add_networks(command: argparse.ArgumentParser, files: str = "two or more files") -> None:
    """Add the arguments of a command that works on so many files of networks."""
    command.add_argument("model", metavar="MODEL", help=MODEL)
    command.add_argument(
        "arguments",
        nargs="+",
        metavar="KEY=VALUE … FILE …",
        help=f"keyword arguments of the function, then {files} of networks: safetensors, an index.json with "
        "its shards, or what torch.save wrote",
    )
    command.add_argument(
        "--data",
        required=True,
        metavar="DATA",
        help="a data set by name (digits, mnist, …), a folder of images or texts, a file with images and labels, or "
        "package.module:function, which returns these",
    )
    command.add_argument(
        "--data-dir", default="data", metavar="DIR", help="where data sets by name lie (default: data)"
    )
    command.add_argument(
        "--normalise",
        default=None,
        metavar="HOW",
        help="the inputs that the networks were trained on: channels (minus mean, over deviation, of each channel of "
        "the training images: the default for bytes), none (as they are, bytes over 255: the default for other "
        "numbers), or MEAN/STD, such as 0.1307/0.3081 or .485,.456,.406/.229,.224,.225",
    )
    command.add_argument("--image-size", type=int, default=None, metavar="N", help="pixels of a folder's images (32)")
    command.add_argument("--context", type=int, default=None, metavar="N", help="bytes of a piece of text (64)")
    command.add_argument("--images", type=int, default=None, metavar="N", help="use the first N of each split alone")
    command.add_argument("--device", default="cpu", help="to compute on (default: cpu)")
    add_json(command)


def add_json(command: argparse.ArgumentParser) -> None:
    """Add --json."""
    command.add_argument("--json", action="store_true", help="print the result as JSON, for scripts")


def networks(given: argparse.Namespace, least: int = 2, most: int | None = None) -> Given:
    """Read the data, build the model, and read the networks.

    Args:
        given: the arguments of the command.
        least: the number of networks that it needs.
        most: the number that it takes; None for any.

    Raises:
        ValueError: for a bad argument, file or model; the message names it.
    """
    import torch

    from onebasin import foreign
    from onebasin.commands import data
    from onebasin.symmetry import Network, check_images

    if ":" not in given.model:
        raise ValueError(f"{given.model!r} is no model: give package.module:function first, then its options and files")
    options, paths = split(given.arguments)
    if len(paths) < least or (most is not None and len(paths) > most):
        wanted = f"{least} files of networks" if least == most else f"at least {least} files of networks"
        raise ValueError(f"give {wanted} after the model, not {len(paths)}")
    try:
        device = torch.device(given.device)
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError) as error:
        raise ValueError(f"--device {given.device}: {str(error).splitlines()[0]}") from None
    originals, wrappings = zip(*map(foreign.read_wrapped, paths), strict=True)
    dataset = data.find(given)
    model = build(given.model, options, dataset).to(device).eval()
    states = [
        {key: value.to(device) for key, value in foreign.fit(model, original, path).items()}
        for original, path in zip(originals, paths, strict=True)
    ]
    if given.images is not None and given.images < 1:
        raise ValueError(f"--images {given.images}: give a number of at least 1")
    train, test = (dataset.tensors(split, limit=given.images, device=device) for split in ("train", "test"))
    check_images(Network(model, states[0]), *train)
    return Given(model, dataset, paths, list(originals), list(wrappings), states, train, test)


def split(arguments: Sequence[str]) -> tuple[dict[str, Any], list[Path]]:
    """Tell the options of the model, KEY=VALUE, from the files that follow them.

    A name such as epoch=3.ckpt is a file where there is one.
    """
    options: dict[str, Any] = {}
    paths: list[Path] = []
    for text in arguments:
        key, equals, _ = text.partition("=")
        if paths or not (equals and key.isidentifier()) or Path(text).exists():
            paths.append(Path(text))
        else:
            options |= [option(text)]
    return options, paths


def option(text: str) -> tuple[str, Any]:
    """Read KEY=VALUE; a value that is no Python literal is a string."""
    key, equals, value = text.partition("=")
    if not (equals and key.isidentifier()):
        raise ValueError(f"argument {text!r}: give KEY=VALUE")
    try:
        return key, ast.literal_eval(value)
    except (ValueError, SyntaxError):
        return key, value


def build(spec: str, options: Mapping[str, Any], dataset: Dataset | None = None) -> nn.Module:
    """Build the model; what its function asks for by name of the data's shape, it gets.

    Raises:
        ValueError: if the function cannot be found, raises, or returns no module.
    """
    from torch import nn

    from onebasin.models import factory

    function = factory.load(spec)
    known: dict[str, Any] = {}
    if dataset is not None:
        shape = {"context": dataset.context} if dataset.context else {"image_shape": dataset.image_shape}
        known = {"classes": dataset.classes, **shape}
    names = inspect.signature(function).parameters
    try:
        model = function(**{key: value for key, value in known.items() if key in names} | dict(options))
    except Exception as error:  # whatever a foreign function raises
        reason = " ".join(str(error).split("\n\n")[0].split())
        raise ValueError(f"factory {spec!r}: {type(error).__name__}: {reason}") from error
    if not isinstance(model, nn.Module):
        raise ValueError(f"factory {spec!r}: it returned a {type(model).__name__}, not a torch.nn.Module")
    return model


def show(given: argparse.Namespace, result: Mapping[str, Any], text: str) -> None:
    """Print a result, as JSON if that was asked for."""
    print(json.dumps(result, indent=2, default=_plain) if given.json else text)


def _plain(value: Any) -> Any:
    return value.tolist() if hasattr(value, "tolist") else str(value)


def table(rows: Sequence[Sequence[str]]) -> str:
    """Lay out rows of text in columns, the first to the left and the others to the right."""
    widths = [max(len(row[index]) for row in rows) for index in range(len(rows[0]))]
    return "\n".join(
        "  ".join(
            cell.ljust(width) if index == 0 else cell.rjust(width)
            for index, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    )
