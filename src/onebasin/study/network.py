"""The module of a network, as the architecture in the params of a job describes it."""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import nn

from onebasin import data, models, seeding, symmetry
from onebasin.models import factory


def build(architecture: Mapping[str, Any], width: int, dataset: data.Dataset) -> nn.Module:
    """Build the module: of a family, or by a function of the user's, whose outputs are then looked at."""
    shape: dict[str, Any] = {"width": width, "image_shape": dataset.image_shape, "classes": dataset.classes}
    if "factory" not in architecture:
        return models.build(**architecture, **shape)
    if dataset.context:
        shape |= {"image_shape": None, "context": dataset.context}
    model = factory.build(architecture["factory"], **shape, options=architecture["options"])
    with symmetry.evaluation(model):
        inputs, labels = dataset.tensors("train", limit=2)
        outputs = model(inputs)
    found = list(outputs.shape) if torch.is_tensor(outputs) else type(outputs).__name__
    expected = [2, dataset.classes, *labels.shape[1:]]
    if found != expected:
        name, what = architecture["factory"], "pieces of text" if dataset.context else "images"
        raise factory.FactoryError(f"factory {name!r}: for 2 {what} the model gives {found}, expected {expected}")
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
