"""The module of a network, as the architecture in the params of a job describes it."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn

from onebasin import data, models, seeding, symmetry
from onebasin.models import asymmetric, factory
from onebasin.symmetry.whereabouts import origin


def build(architecture: Mapping[str, Any], width: int, dataset: data.Dataset) -> nn.Module:
    """Build the module, and say which of its entries training shall hold."""
    plain = {key: value for key, value in architecture.items() if key != "asymmetric"}
    model = _built(plain, width, dataset)
    if "asymmetric" in architecture:
        asymmetric.declare(model, **architecture["asymmetric"])
    return model


def _built(architecture: Mapping[str, Any], width: int, dataset: data.Dataset) -> nn.Module:
    """Build the module: of a family, or by a function of the user's, whose outputs are then looked at."""
    shape: dict[str, Any] = {"width": width, "image_shape": dataset.image_shape, "classes": dataset.classes}
    if "factory" not in architecture:
        try:
            return models.build(**architecture, **shape)
        except ValueError as error:
            raise factory.FactoryError(f"family {architecture['family']!r}: {error}") from error
    if dataset.context:
        shape |= {"image_shape": None, "context": dataset.context}
    inputs, labels = dataset.tensors("train", limit=2)
    with _named(architecture["factory"], "it fails"):
        model = factory.build(architecture["factory"], **shape, options=architecture["options"])
    failing = f"the model fails on inputs of shape {list(inputs.shape)}"
    with _named(architecture["factory"], failing), symmetry.evaluation(model):
        outputs = model(inputs)
    found = list(outputs.shape) if torch.is_tensor(outputs) else type(outputs).__name__
    expected = [2, dataset.classes, *labels.shape[1:]]
    if found != expected:
        name, what = architecture["factory"], "pieces of text" if dataset.context else "images"
        raise factory.FactoryError(f"factory {name!r}: for 2 {what} the model gives {found}, expected {expected}")
    return model


@contextmanager
def _named(name: str, what: str) -> Iterator[None]:
    """Turn what the user's code raises into one line that names the place in it."""
    try:
        yield
    except factory.FactoryError:
        raise
    except Exception as error:  # whatever a foreign function raises
        reason, where = " ".join(str(error).split()), origin({}, error.__traceback__)
        place = "" if where.startswith(__file__) else f" ({where})"
        raise factory.FactoryError(f"factory {name!r}: {what}: {type(error).__name__}: {reason}{place}") from error


def followed(architecture: Mapping[str, Any], width: int, dataset: data.Dataset) -> nn.Module:
    """Build the module, and find its symmetry: what cannot be followed is refused before anything is trained.

    Raises:
        SymmetryError: an operation cannot be followed; the message names the line of the user's code.
    """
    model = build(architecture, width, dataset)
    symmetry.discover(model, dataset.tensors("train", limit=2)[0])
    return model


def initialised(
    architecture: Mapping[str, Any], width: int, dataset: data.Dataset, address: Sequence[str | int]
) -> nn.Module:
    """Build the module with the parameters from which training starts."""
    with seeding.seeded(*address, "initialisation"):
        model = build(architecture, width, dataset)
    if architecture.get("initialisation") != "factory":
        models.initialise(model, seeding.generator(*address, "initialisation"))
    return model


def spell(address: Mapping[str, Any]) -> str:
    """Say which network, or which stage, an address is: seed 2, level 1."""
    return ", ".join(f"{name} {value}" for name, value in address.items())
