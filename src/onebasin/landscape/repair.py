"""Correction of the statistics of interpolated networks.

Averaged parameters do not give averaged statistics: the units of a merged network vary less than those of the networks
that were merged, more so the deeper they lie, and the running statistics of batch norm fit none of them. There are
three corrections, all fitted on training images, without labels and without gradients:

* ``reset``: running mean and variance of every batch norm become those of its inputs over all images.
* ``repair`` (REPAIR, Jordan et al. 2023, arXiv 2211.08403): mean and standard deviation of every channel become the
  interpolation, with the weights of the parameters, of what they are in the networks that were merged.
* ``task`` (TACT, arXiv 2410.12766): of networks that were trained on several tasks, they become what they are in the
  one that was trained on the task of the images, its expert. Each task has a corrected network of its own.

Layers are corrected in the order of evaluation, so that each sees the corrected outputs of those before it, and every
correction is folded into parameters that are there: the result is an ordinary state of the same model.

Where ``repair`` and ``task`` match statistics follows from what the model does with its parameters:

* At the output of a norm with a scale and a shift for each channel (batch, layer, group norm), folded into these two.
  Running statistics are reset as well. This alone gives a batch norm the interpolated shift for a mean and the
  interpolated scale for a deviation, and it is all that the paper does there; the targets here are measured on the same
  images, which differs only as far as the running statistics of the ends are off, and leaves the ends what they are.
* At the output of a linear or convolutional layer, folded into weight and bias; not where such a norm alone reads it,
  which takes out each channel's mean and deviation, or corrects them right behind.
* Not at layers whose output no later layer reads: it is the output of the network, and no hidden unit. The paper's code
  leaves the classifier of its VGG as it is, and that of the multilayer perceptrons in its comparison of data sets, and
  corrects it in one notebook with an MLP on MNIST: here it is the option ``last_layer``.
* Not at residual sums, which have no parameters to fold into; their summands are corrected.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.utils._pytree import tree_leaves

from onebasin.symmetry import Network, Operations
from onebasin.symmetry.trace import is_elementwise

State = Mapping[str, Tensor]
Correction = Callable[[State, Sequence[float]], State]

CORRECTIONS = ("none", "reset", "repair", "task")

_BATCH_NORMS = frozenset(
    {
        "native_batch_norm",
        "_native_batch_norm_legit",
        "_native_batch_norm_legit_no_training",
        "_batch_norm_no_update",
        "cudnn_batch_norm",
        "miopen_batch_norm",
    }
)
_NORMS = _BATCH_NORMS | {"native_layer_norm", "native_group_norm"}
# What hands on a tensor's values as they are, besides views, and what does no more to a parameter than place it.
_COPIES = frozenset({"clone", "_to_copy", "_unsafe_view", "_reshape_alias", "contiguous"})
_PLACING = frozenset({"cat", "stack"})
# A channel whose variance is this small a share of its mean square is constant but for rounding, and is only shifted.
_CONSTANT = 1e-10


class RepairError(ValueError):
    """A model whose statistics cannot be corrected."""


class Role(NamedTuple):
    """What a layer does with a tensor of a state.

    Attributes:
        kind: "weight" of a linear layer or convolution; "shift", its bias or that of a norm; "scale" of a norm; "mean"
            or "variance", running statistics.
        rows: the axis of a weight that counts the layer's outputs; None where none does, and for other kinds.
    """

    kind: str
    rows: int | None = None


@dataclass(frozen=True)
class _Layer:
    """An operation with parameters whose output has channels.

    Attributes:
        kind: "linear", "norm" or "batch_norm".
        name: the state key that stands for the layer.
        weight: state key of the weight or scale; None without.
        bias: state key of the bias or shift; None without.
        channels: the axes of the output that count channels.
        rows: the axis of a linear layer's weight that counts the channels; None where none does.
        running: state keys of running mean and variance, of batch norm.
    """

    kind: str
    name: str
    weight: str | None
    bias: str | None
    channels: tuple[int, ...]
    rows: int | None = None
    running: tuple[str, str] | None = None

    @property
    def keys(self) -> set[str]:
        return {key for key in (self.weight, self.bias, *(self.running or ())) if key is not None}

    def statistics(self, tensor: Tensor, keepdim: bool = False) -> tuple[Tensor, Tensor]:
        """Mean and (population) variance of each channel of the layer's input or output."""
        channels = {axis % tensor.dim() for axis in self.channels}
        others = [axis for axis in range(tensor.dim()) if axis not in channels]
        # Three times as fast on a CPU as torch.var_mean.
        mean = tensor.mean(others, keepdim=True)
        variance = (tensor - mean).square_().mean(others, keepdim=keepdim)
        return mean if keepdim else mean.reshape(variance.shape), variance


def correction(
    name: str,
    model: nn.Module,
    states: Sequence[State],
    images: Tensor,
    *,
    last_layer: bool = False,
    expert: int | None = None,
) -> Correction | None:
    """Prepare to correct networks that lie between the given ones.

    All images pass through a network at once, so memory grows with their number.

    Args:
        name: one of ``CORRECTIONS``.
        model: the networks' module; its own parameters are not used.
        states: n states, already permuted if they are to be, on the device of the images.
        images: [N, …] of at least two training images, normalised, unaugmented; of one task for "task".
        last_layer: whether "repair" and "task" match the statistics of the network's outputs too.
        expert: for "task" alone, which of the states was trained on the task of the images.

    Returns:
        A function from the weighted mean of the n states, and its n weights, to the corrected state; "task" does not
        look at the weights. None where nothing is to be corrected: for "none", and for "reset" of a model without
        running statistics.

    Raises:
        RepairError: if a part of the model cannot be corrected; the message names it.
        ValueError: for an unknown name, fewer than two images, or an expert where there is none or too few states.
    """
    if name not in CORRECTIONS:
        raise ValueError(f"unknown correction {name!r}: give one of {', '.join(CORRECTIONS)}")
    if name == "task" and expert not in range(len(states)):
        raise ValueError(f"correction 'task' needs an expert among the {len(states)} states, not {expert!r}")
    if name != "task" and expert is not None:
        raise ValueError(f"correction {name!r} has no expert")
    if name == "none":
        return None
    if len(images) < 2:
        raise ValueError(f"statistics need at least 2 images, not {len(images)}")
    trace = _Trace(model, states[0], images[:2])
    if name == "reset":
        return (lambda state, weights: _correct(model, state, images, {})) if trace.resettable() else None
    layers = trace.matched(last_layer)
    if expert is not None:
        target = _measure(model, states[expert], images, layers)
        return lambda state, weights: _correct(model, state, images, target)
    ends = [_measure(model, state, images, layers) for state in states]

    def repair(state: State, weights: Sequence[float]) -> State:
        targets = {
            layer: torch.stack([end[layer] * float(weight) for end, weight in zip(ends, weights, strict=True)]).sum(0)
            for layer in layers
        }
        return _correct(model, state, images, targets)

    return repair


def has_running_statistics(model: nn.Module) -> bool:
    """Say whether a model keeps running statistics, as batch norm does, which fit no mixture of networks."""
    return any(getattr(module, "running_mean", None) is not None for module in model.modules())


def statistics(
    model: nn.Module, state: State, images: Tensor, *, last_layer: bool = False
) -> dict[str, tuple[Tensor, Tensor]]:
    """Return mean and spread of the channels of each layer at which ``repair`` and ``task`` match them.

    Args:
        model: the network's module; its own parameters are not used.
        state: of the network, on the device of the images.
        images: [N, …] of at least two images, which pass through the network at once.
        last_layer: whether the outputs of the network are one of these layers.

    Returns:
        For each such layer, by the state key that stands for it and in the order of evaluation, mean and standard
        deviation of every channel over images and positions.

    Raises:
        RepairError: if a part of the model cannot be corrected; the message names it.
    """
    layers = _Trace(model, state, images[:2]).matched(last_layer)
    return {name: (mean, deviation) for name, (mean, deviation) in _measure(model, state, images, layers).items()}


def deviations(model: nn.Module, state: State, images: Tensor) -> dict[str, Tensor]:
    """Return how much the outputs of each linear and convolutional layer vary.

    Args:
        model: the network's module; its own parameters are not used.
        state: of the network, on the device of the images.
        images: [N, …] of at least two images, which pass through the network at once.

    Returns:
        For each such layer, by the state key of its weight and in the order of evaluation, the standard deviation of
        every channel over images and positions.
    """
    layers = {layer.name for layer in _Trace(model, state, images[:2]).layers if layer.kind == "linear"}
    return {name: deviation for name, (_, deviation) in _measure(model, state, images, layers).items()}


def roles(model: nn.Module, state: State, images: Tensor) -> dict[str, Role]:
    """Say what the layers of a network do with its parameters and running statistics.

    Args:
        model: the network's module; its own parameters are not used.
        state: of the network, on the device of the images.
        images: [2, …], two images.

    Returns:
        By the state key of each tensor that is used by linear layers, convolutions and norms alone: what for.
    """
    trace = _Trace(model, state, images)
    found: dict[str, Role] = {}
    twice = set()
    for layer in trace.layers:
        own = {layer.weight: Role("weight", layer.rows), layer.bias: Role("shift")}
        if layer.kind != "linear":
            own[layer.weight] = Role("scale")
        if layer.running:
            own |= dict(zip(layer.running, (Role("mean"), Role("variance")), strict=True))
        for key, role in own.items():
            if key is not None:
                twice |= {key} if found.setdefault(key, role) != role else set()
    return {key: role for key, role in found.items() if key not in twice and key not in trace.strange}


def _measure(model: nn.Module, state: State, images: Tensor, layers: set[str]) -> dict[str, Tensor]:
    """Mean and standard deviation, stacked, of the channels of layers' outputs."""
    found = {}

    def visit(layer: _Layer, call: dict[str, Any], output: Tensor) -> None:
        if layer.name in layers:
            mean, variance = layer.statistics(output)
            found[layer.name] = torch.stack([mean, variance.sqrt()])

    _evaluate(model, state, images, visit)
    return found


def _correct(model: nn.Module, state: State, images: Tensor, targets: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Reset all running statistics and set outputs to target statistics, layer after layer, in one pass."""
    corrected = dict(state)

    def visit(layer: _Layer, call: dict[str, Any], output: Tensor) -> None:
        if layer.running:
            inputs = call["input"]
            mean, variance = layer.statistics(inputs)
            eps = call["eps"] if "eps" in call else call["epsilon"]
            output.copy_(functional.batch_norm(inputs, mean, variance, call["weight"], call["bias"], eps=eps))
            corrected.update(zip(layer.running, (mean, variance), strict=True))
        if layer.name in targets:
            scale, shift = _rescale(layer, output, *targets[layer.name])
            output.mul_(scale).add_(shift)
            _fold(layer, scale, shift, corrected)

    _evaluate(model, state, images, visit)
    return corrected


def _rescale(layer: _Layer, output: Tensor, mean: Tensor, deviation: Tensor) -> tuple[Tensor, Tensor]:
    """The scale and shift, to be broadcast, that give the channels of an output this mean and standard deviation."""
    old, variance = layer.statistics(output, keepdim=True)
    varies = variance > _CONSTANT * (variance + old**2)
    scale = torch.where(varies, deviation.reshape(old.shape) / variance.sqrt(), 1.0)
    return scale, mean.reshape(old.shape) - scale * old


def _fold(layer: _Layer, scale: Tensor, shift: Tensor, state: dict[str, Tensor]) -> None:
    """Change the parameters of a layer so that its output is scaled and then shifted."""
    assert layer.weight is not None and layer.bias is not None
    weight, bias = state[layer.weight], state[layer.bias]
    shape = weight.shape if layer.rows is None else [-1 if axis == layer.rows else 1 for axis in range(weight.dim())]
    state[layer.weight] = weight * scale.reshape(shape)
    state[layer.bias] = bias * scale.reshape(bias.shape) + shift.reshape(bias.shape)


def _evaluate(
    model: nn.Module, state: State, images: Tensor, visit: Callable[[_Layer, dict[str, Any], Tensor], None]
) -> None:
    """Evaluate a network and call ``visit(layer, arguments, output)`` as soon as a layer has been evaluated."""
    network = Network(model, state)
    parameters = _Parameters(network.tensors)

    def follow(index: int, func: Any, call: dict[str, Any], outs: list[Tensor]) -> None:
        if not parameters.follow(func, call, outs):
            layer = parameters.layer(func, call)
            if layer is not None:
                visit(layer, call, outs[0])

    with Operations(follow):
        network(images)


class _Parameters:
    """Knows the tensors of a state, and what is made of them alone, when they are arguments of operations.

    Each known tensor has the state key of what it is made of, and its axes as numbers of that tensor's axes: None once
    it is more than reordered.
    """

    def __init__(self, state: State) -> None:
        self._known: dict[int, tuple[str, tuple[int, ...] | None]] = {}
        self._alive: list[Tensor] = []
        for key, tensor in state.items():
            self._known.setdefault(id(tensor), (key, tuple(range(tensor.dim()))))

    def made_of(self, tensor: Any) -> str | None:
        """The state key of what a tensor is made of; None for an unknown tensor."""
        return self._known[id(tensor)][0] if id(tensor) in self._known else None

    def key(self, tensor: Any) -> str | None:
        """The state key of a tensor; None for an unknown one, and for one that is no more than made of it."""
        key, axes = self._known.get(id(tensor), (None, None))
        return None if axes is None else key

    def know(self, tensor: Tensor, key: str, axes: tuple[int, ...] | None = None) -> None:
        """Know a tensor from now on."""
        self._known[id(tensor)] = (key, axes)
        self._alive.append(tensor)  # ids are unique only among living objects

    def follow(self, func: Any, call: dict[str, Any], outs: list[Tensor]) -> bool:
        """Say whether an operation is a view of a known tensor, and if so know it from now on."""
        if id(call.get("self")) not in self._known or not func.is_view:
            return False
        key, axes = self._known[id(call["self"])]
        for out in outs:
            self.know(out, key, _transposed(_name(func), call, axes) if axes else None)
        return True

    def layer(self, func: Any, call: dict[str, Any]) -> _Layer | None:
        """Describe the layer that an operation evaluates; None where it evaluates none."""
        name = _name(func)
        if name == "convolution":
            # A transposed convolution counts its inputs first, and only the outputs of one group.
            rows = 0 if not call["transposed"] else 1 if call["groups"] == 1 else None
            return self._linear(call["weight"], call["bias"], rows, 1)
        if name == "linear":
            return self._linear(call["weight"], call["bias"], 0, -1)
        if name in ("addmm", "mm"):
            return self._linear(call["mat2"], call["self"] if name == "addmm" else None, 1, -1)
        if name not in _NORMS:
            return None
        weight, bias = self.key(call["weight"]), self.key(call["bias"])
        running = self.key(call.get("running_mean")), self.key(call.get("running_var"))
        if name in _BATCH_NORMS and not call.get("training") and running[0] and running[1]:
            return _Layer("batch_norm", running[0], weight, bias, (1,), running=(running[0], running[1]))
        if weight is None or bias is None:
            return None
        channels: tuple[int, ...] = (1,)
        if name == "native_layer_norm":
            channels = tuple(range(-len(call["normalized_shape"]), 0))
        return _Layer("norm", weight, weight, bias, channels)

    def _linear(self, weight: Tensor, bias: Tensor | None, rows: int | None, channels: int) -> _Layer | None:
        key, axes = self._known.get(id(weight), (None, None))
        if key is None or axes is None:
            return None
        return _Layer("linear", key, key, self.key(bias), (channels,), None if rows is None else axes[rows])


class _Trace:
    """What one evaluation of a model does with its parameters, and who reads the outputs of its layers.

    Attributes:
        layers: the layers, in the order of evaluation.
        readers: for each layer, what reads its output as it is: another layer, or None for other operations.
        hidden: the layers whose output, or what is made of it, a later layer reads.
        strange: state keys that other operations use, with the name of the operation.
    """

    def __init__(self, model: nn.Module, state: State, images: Tensor) -> None:
        self.layers: list[_Layer] = []
        self.readers: list[list[_Layer | None]] = []
        self.hidden: set[int] = set()
        self.strange: dict[str, str] = {}
        self._buffers = state.keys() - dict(model.named_parameters(remove_duplicate=False)).keys()
        # Keys of one and the same tensor of the model change together or not at all.
        self._same = {key: id(tensor) for key, tensor in model.state_dict(keep_vars=True).items()}
        network = Network(model, state)
        self._parameters = _Parameters(network.tensors)
        self._made_of: dict[int, frozenset[int]] = {id(images): frozenset()}
        self._outputs: dict[int, int] = {}
        self._alive: list[Tensor] = [images]
        with Operations(self._follow):
            network(images)
        self._alive.clear()

    def resettable(self) -> bool:
        """Say whether there are running statistics.

        Raises:
            RepairError: if there are some that cannot be reset.
        """
        for key, operation in self.strange.items():
            if key in self._buffers:
                raise RepairError(f"{key!r} cannot be corrected: it is used by the operation {operation}")
        found = [layer for layer in self.layers if layer.running]
        self._check_unshared(found)
        return bool(found)

    def matched(self, last_layer: bool) -> set[str]:
        """Name the layers at whose outputs statistics are matched, those that no later layer reads only if asked for.

        Raises:
            RepairError: if there is a layer that cannot be corrected.
        """
        for key, operation in self.strange.items():
            raise RepairError(f"{key!r} cannot be corrected: it is used by the operation {operation}")
        found = []
        for index, layer in enumerate(self.layers):
            readers = self.readers[index]
            before_norm = bool(readers) and all(reader and reader.kind != "linear" for reader in readers)
            if not (last_layer or index in self.hidden) or (layer.kind == "linear" and before_norm):
                continue
            if layer.kind == "linear" and (layer.rows is None or layer.bias is None):
                lack = "bias" if layer.bias is None else "axis that counts the units"
                raise RepairError(f"{layer.name!r} cannot be corrected: the layer has no {lack}")
            if layer.weight and layer.bias:
                found.append(layer)
        self._check_unshared([*found, *(layer for layer in self.layers if layer.running and layer not in found)])
        return {layer.name for layer in found}

    def _check_unshared(self, layers: Sequence[_Layer]) -> None:
        uses = [self._same[key] for layer in self.layers for key in layer.keys]
        for key in sorted({key for layer in layers for key in layer.keys}):
            if uses.count(self._same[key]) > 1:
                raise RepairError(f"{key!r} cannot be corrected: it is used in more than one place")

    def _follow(self, index: int, func: Any, call: dict[str, Any], outs: list[Tensor]) -> None:
        if self._parameters.follow(func, call, outs):
            return
        inputs = [leaf for leaf in tree_leaves(call) if torch.is_tensor(leaf)]
        made_of = [self._made_of[id(tensor)] for tensor in inputs if id(tensor) in self._made_of]
        if func.is_view or _name(func) in _COPIES:
            self._remember(outs, made_of, self._outputs.get(id(inputs[0])))
            return
        layer = self._parameters.layer(func, call)
        used = [key for key in map(self._parameters.made_of, inputs) if key is not None]
        if layer is None and not is_elementwise(func) and _name(func) not in _PLACING:
            self.strange |= dict.fromkeys(used, str(func))
        if used and not made_of:
            for out in outs:
                self._parameters.know(out, used[0])
            return
        for tensor in inputs:
            if id(tensor) in self._outputs:
                self.readers[self._outputs[id(tensor)]].append(layer)
        if layer is None:
            self._remember(outs, made_of, None)
            return
        self.hidden = self.hidden.union(*made_of)
        self.layers.append(layer)
        self.readers.append([])
        number = len(self.layers) - 1
        self._remember(outs, [*made_of, frozenset([number])], number)

    def _remember(self, outs: list[Tensor], made_of: list[frozenset[int]], output: int | None) -> None:
        for out in outs:
            self._alive.append(out)
            if made_of:
                self._made_of[id(out)] = frozenset().union(*made_of)
            self._outputs.pop(id(out), None)
            if output is not None:
                self._outputs[id(out)] = output


def _name(func: Any) -> str:
    return func._schema.name.split("::")[1]


def _transposed(name: str, call: dict[str, Any], axes: tuple[int, ...]) -> tuple[int, ...] | None:
    """The axes of a tensor after a view that only reorders them; None after another view."""
    order = list(range(len(axes)))
    if name == "permute":
        order = [axis % len(axes) for axis in call["dims"]]
    elif name in ("t", "transpose") and len(axes) > 1:
        first, second = call.get("dim0", 0), call.get("dim1", 1)
        order[first], order[second] = order[second], order[first]
    elif name not in ("t", "detach", "alias"):
        return None
    return tuple(axes[axis] for axis in order)
