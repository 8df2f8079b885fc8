"""Whether states, images and labels fit a model: one line says what does not."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from onebasin.symmetry.groups import State, Symmetry
from onebasin.symmetry.network import state_of

SHOWN = 4


def check_states(model: nn.Module | Symmetry, states: Mapping[str, State | Sequence[State]]) -> None:
    """Hold states against a model by their keys and shapes.

    Counters of batch norm may be missing, as in networks of old.

    Args:
        model: the networks' module, or its symmetry.
        states: state dicts of networks, or several of each, by what the message calls them.

    Raises:
        ValueError: if keys are missing or unknown, or shapes differ.
    """
    if isinstance(model, Symmetry):
        wanted = model.shapes
    else:
        wanted = {key: tuple(value.shape) for key, value in state_of(model).items()}
    for name, given in states.items():
        for state in given if isinstance(given, list | tuple) else [given]:
            if not isinstance(state, Mapping):
                raise ValueError(f"{name} is a {type(state).__name__}, not a state dict: give model.state_dict()")
            found = {key: tuple(value.shape) for key, value in state.items() if torch.is_tensor(value)}
            problems = [
                f"missing {key}" for key in wanted if key not in found and not key.endswith("num_batches_tracked")
            ]
            problems += [f"unknown {key}" for key in found if key not in wanted]
            problems += [
                f"{key} has shape {list(found[key])}, the model's {list(shape)}"
                for key, shape in wanted.items()
                if key in found and found[key] != shape
            ]
            if problems:
                more = f"; and {len(problems) - SHOWN} more" if len(problems) > SHOWN else ""
                raise ValueError(f"{name} does not fit the model: {'; '.join(problems[:SHOWN])}{more}")


def check_images(network: Callable[[Tensor], Any], images: Tensor, labels: Tensor) -> None:
    """Evaluate a network on two images, and hold its outputs against their labels.

    Args:
        network: maps images to logits.
        images: [N, …], with a batch axis.
        labels: class indices [N]; or [N, …], where the network has logits [N, classes, …].

    Raises:
        ValueError: if there are no images, the network fails on them, or its logits do not fit the labels.
    """
    if images.dim() == 0 or not len(images):
        raise ValueError("there are no images to evaluate on")
    if labels.dtype != torch.int64:
        raise ValueError(f"labels are {str(labels.dtype).removeprefix('torch.')}: give class indices, int64")
    shape = list(images.shape)
    if labels.dim() == 0 or len(labels) != len(images):
        given = "one" if labels.dim() == 0 else len(labels)
        raise ValueError(f"images of shape {shape} are {len(images)}, labels {given}: give [N, …] and as many labels")
    try:
        logits = network(images[:2])
    except Exception as error:  # whatever a foreign model raises
        reason = " ".join(str(error).split())
        missing = "; is the axis of channels missing (images[:, None])?" if images.dim() == 3 else ""
        raise ValueError(
            f"the model fails on images of shape {shape}: {reason}; give [N, …], with a batch axis{missing}"
        ) from error
    found = list(logits.shape) if torch.is_tensor(logits) else type(logits).__name__
    count, *positions = labels[:2].shape
    if not isinstance(found, list) or len(found) < 2 or [found[0], *found[2:]] != [count, *positions]:
        expected = f"[{', '.join(map(str, [count, 'classes', *positions]))}]"
        raise ValueError(f"for {count} images of shape {shape[1:]} the model gives {found}, expected {expected}")
    low, high = int(labels.min()), int(labels.max())
    if low < 0 or high >= found[1]:
        raise ValueError(f"labels lie in {low}..{high}, and the model has {found[1]} outputs: 0..{found[1] - 1}")
