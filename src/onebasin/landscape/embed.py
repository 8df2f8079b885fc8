"""A narrow network inside a wide one: padded with units that are zero, so that it computes the same function.

A unit without weights, bias and norm parameters does nothing, and every new entry of the state is 0, running statistics
of batch norm too: they are those of a unit that is always 0. Layer norm needs more, for its statistics are those of all
units. It does not see a constant that is added to all its inputs, so the n inputs can be given the mean 0, by taking
the mean over the output units from the weights and the bias of the layer before it. With N - n inputs of 0 beside them,
the mean is still 0, and the variance n/N of what it was; weights and bias scaled by sqrt(N/n) bring it back, and the
scale of the norm times sqrt(n/N) takes this factor away again. So the function is kept exactly, `eps` included.

Which axes grow is read from the permutation groups, and which layer feeds which layer norm from one evaluation.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from onebasin.symmetry import Network, Operations, State, Symmetry

TOLERANCE = 1e-4
# Operations that hand the values of their first argument on, in another order of axes at most.
_SAME_VALUES = frozenset(
    {"permute", "transpose", "t", "view", "_unsafe_view", "clone", "alias", "detach", "contiguous"}
)
_LAYERS = {"convolution": ("weight", "bias"), "addmm": ("mat2", "self"), "mm": ("mat2", None)}


class EmbeddingError(ValueError):
    """A network that cannot be padded; the message says why."""


def embed(
    narrow: nn.Module, wide: nn.Module, symmetries: tuple[Symmetry, Symmetry], state: State, images: Tensor
) -> dict[str, Tensor]:
    """Pad a network with zero units to the shape of a wider one of the same architecture.

    Args:
        narrow: the module of the network.
        wide: the module that it is to become a state of.
        symmetries: those of both modules, discovered with inputs of the same kind.
        state: the state of the narrow network.
        images: a batch of inputs, on which both networks must give the same outputs.

    Returns:
        A state of the wide module that computes the same function; the new units are the last ones of each group.

    Raises:
        EmbeddingError: if the two are not the same architecture, the wide one has fewer units, a group's units are not
            an axis of their own (a flattened feature map), a layer norm does not follow directly upon a layer, or the
            outputs differ by more than 1e-4 of the largest one.
    """
    inner, outer = symmetries
    if inner.groups.keys() != outer.groups.keys() or state.keys() != wide.state_dict().keys():
        raise EmbeddingError("the two networks are not of the same architecture: their groups or parameters differ")
    grown: dict[tuple[str, int], str] = {}
    for name, group in outer.groups.items():
        if inner.groups[name].axes != group.axes:
            raise EmbeddingError(f"group {name!r} has other axes in the wide network: not the same architecture")
        if inner.sizes[name] > group.size:
            raise EmbeddingError(
                f"group {name!r} has {inner.sizes[name]} units, more than the {group.size} of the wide one"
            )
        for place in outer.places(name):
            if not place.whole:
                raise EmbeddingError(f"the units of group {name!r} are not an axis of {place.key}: it cannot be padded")
            grown[place.key, place.axis] = name
    values = dict(state)
    for norm, layer, units in _layer_norms(narrow, inner, images[:2]):
        share = inner.sizes[units] / outer.sizes[units]
        for key in layer:  # output units are the first axis of weights and biases
            values[key] = (values[key] - values[key].mean(0)) * share**-0.5
        values[norm] = values[norm] * share**0.5
    padded = {}
    for key, target in wide.state_dict().items():
        tensor = values[key]
        for axis, length in enumerate(target.shape):
            if tensor.shape[axis] != length and (key, axis) not in grown:
                raise EmbeddingError(f"axis {axis} of {key} differs in length, but not as units of a group")
        padded[key] = tensor.new_zeros(target.shape)
        padded[key][tuple(slice(length) for length in tensor.shape)] = tensor
    _check(narrow, wide, state, padded, images)
    return padded


def _check(narrow: nn.Module, wide: nn.Module, state: State, padded: State, images: Tensor) -> None:
    before, after = Network(narrow, state)(images), Network(wide, padded)(images)
    error = float((before - after).abs().max() / before.abs().max().clamp_min(torch.finfo(before.dtype).tiny))
    if not error <= TOLERANCE:
        raise EmbeddingError(
            f"the padded network computes another function: relative error {error:.2g}, allowed {TOLERANCE:.0e}"
        )


def _layer_norms(model: nn.Module, symmetry: Symmetry, images: Tensor) -> list[tuple[str, tuple[str, ...], str]]:
    """For each layer norm over the units of a group: its scale, weight and bias of the layer before it, the group."""
    network = Network(model)
    parameters = {id(tensor): key for key, tensor in network.tensors.items()}
    layers: dict[int, tuple[str, ...]] = {}
    found: dict[str, tuple[str, ...]] = {}
    alive: list[Any] = []  # ids are unique only among living objects

    def visit(index: int, func: Any, call: Mapping[str, Any], outs: list[Tensor]) -> None:
        name = func._schema.name.split("::")[1]
        alive.append((call, outs))
        first = call.get("self", call.get("input"))
        if name in _SAME_VALUES:
            if id(first) in parameters:
                parameters[id(outs[0])] = parameters[id(first)]
            if id(first) in layers:
                layers[id(outs[0])] = layers[id(first)]
        elif name in _LAYERS:
            arguments = [call[argument] for argument in _LAYERS[name] if argument and call[argument] is not None]
            if all(id(argument) in parameters for argument in arguments):
                layers[id(outs[0])] = tuple(parameters[id(argument)] for argument in arguments)
        elif name == "native_layer_norm":
            scale = parameters.get(id(call["weight"]))
            if scale is None or id(first) not in layers:
                raise EmbeddingError(
                    f"the layer norm with scale {scale} does not follow directly upon a linear or convolutional layer: "
                    "it cannot be padded"
                )
            found[scale] = layers[id(first)]

    with Operations(visit):
        network(images)
    axes = {place: name for name, group in symmetry.groups.items() for place in group.axes}
    return [(scale, layer, axes[scale, 0]) for scale, layer in found.items()]
