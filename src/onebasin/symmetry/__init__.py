"""The permutation symmetries of any module, found by following its axes.

How the graph is obtained was chosen by what survives the test of random permutations. ``torch.fx`` traces Python, so it
stops at control flow and leaves hundreds of functions, methods and module types to be told apart. ``torch.export``
gives ATen operations, but loads a compiler to do so. The dependency graphs of pruning libraries record which channels
are removed together, which is not yet where each index goes. Here one evaluation is observed through
``__torch_dispatch__``: the same ATen operations as in an exported graph, with PyTorch's own tag for the elementwise
ones, and parameters recognised as objects wherever they are used. The axes are then unified as types are (see
``axes``), and the result is proven by applying random permutations to random parameters and statistics.

Concept: Ainsworth et al. 2023 (arXiv 2209.04836), section 3; Sharma et al. 2024 (arXiv 2404.06498), section 2.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.utils._pytree import tree_leaves

from onebasin import seeding
from onebasin.permutation import Permutation
from onebasin.symmetry.axes import UNIT, atoms, product, resolve
from onebasin.symmetry.groups import Group, Place, State, Symmetry, stack
from onebasin.symmetry.layers import layers
from onebasin.symmetry.reshapes import is_open
from onebasin.symmetry.trace import Operations, SymmetryError, Trace, copied, evaluation, state_of

__all__ = [
    "Group",
    "Operations",
    "Place",
    "State",
    "Symmetry",
    "SymmetryError",
    "TracedSymmetry",
    "Units",
    "check",
    "discover",
    "evaluation",
    "layers",
    "stack",
    "random_state",
]

TOLERANCE = 1e-4


@dataclass(frozen=True)
class Units:
    """Where the units of a group lie in the output of an operation.

    Attributes:
        axis: the axis of the output.
        positions: None if the units are that axis; otherwise the indices [units, k] along it at which they lie.
    """

    axis: int
    positions: Tensor | None = None

    def of(self, activation: Tensor) -> Tensor:
        """Return the units' values in an activation, [samples and positions, units]."""
        values = activation.movedim(self.axis, -1)
        if self.positions is not None:
            values = values[..., self.positions.to(values.device)].movedim(-1, 0)
        return values.flatten(0, -2)


class TracedSymmetry(Symmetry):
    """The symmetry of a traced model, which also knows in which intermediates each group's units are seen."""

    def __init__(self, trace: Trace) -> None:
        super().__init__(trace.state, trace.tensors, trace.parameters)
        self._intermediates = [
            (index, elementwise, terms)
            for index, elementwise, unresolved in trace.intermediates
            for terms in [[UNIT if is_open(term) else resolve(term) for term in unresolved]]
            if any(item in atoms(term) for term in terms for item in atoms(resolve(trace.batch)))
        ]

    def intermediates(self, name: str, which: str = "last") -> list[tuple[int, Units]]:
        """Return where the units of a group are seen during evaluation.

        Args:
            name: a group.
            which: "first", the first operation whose output has the units as one axis; "last", the last elementwise
                one (after the ReLU, or the last residual sum); "all", every one. Where the units are never an axis
                by themselves, those count of which they are a part.

        Returns:
            Pairs (index of the operation in the order of evaluation, place of the units in its output).

        Raises:
            SymmetryError: if no intermediate shows the units along one axis.
        """
        units = (*self._within[self._atoms[name]], self._atoms[name])
        seen = [
            (index, elementwise, axis, term)
            for index, elementwise, terms in self._intermediates
            for axis, term in enumerate(terms)
            if set(units) <= set(atoms(term))
        ]
        seen = [entry for entry in seen if entry[3] == product(units)] or seen
        if not seen:
            raise SymmetryError(f"group {name!r} has no intermediate that shows its units")
        if which == "first":
            seen = seen[:1]
        elif which == "last":
            seen = [entry for entry in seen if entry[1]][-1:] or seen[-1:]
        elif which != "all":
            raise ValueError(f"intermediate {which!r}: allowed are first, last, all")
        return [
            (index, Units(axis, None if term == product(units) else self._positions(name, term)))
            for index, _, axis, term in seen
        ]


def discover(
    model: nn.Module, example_input: Tensor | tuple[Tensor, ...], *, verify: bool = True, training: bool = False
) -> TracedSymmetry:
    """Find the permutation groups of a model.

    The model is evaluated once on ``example_input``; its parameters and buffers are not changed.

    Args:
        model: any module whose evaluation is deterministic.
        example_input: a batch (two or more samples), or a tuple of inputs.
        verify: apply random permutations to random parameters and statistics, and compare the outputs.
        training: follow the model in training mode in place of evaluation mode.

    Returns:
        The symmetry: ``groups``, ``fixed`` (with reasons), ``identity()``, ``random(generator)`` and
        ``apply(permutation, state)``.

    Raises:
        SymmetryError: if an operation cannot be followed (named in the message), or a permutation changed the outputs.
    """
    inputs = example_input if isinstance(example_input, tuple) else (example_input,)
    symmetry = TracedSymmetry(Trace(model, inputs, training))
    if verify:
        if not training and all(value.dim() > 3 for value in inputs):
            inputs = tuple(value[:1] for value in inputs)  # images do not meet in evaluation: one is enough
        state = random_state(model, seeding.generator("symmetry", "state"))
        permutation = symmetry.random(seeding.generator("symmetry", "prove"))
        try:  # in double precision, where a wrong permutation cannot pass for a rounding error
            check(model, symmetry, permutation, state, inputs, 1e-8, dtype=torch.float64, training=training)
        except RuntimeError:  # the model makes single-precision tensors of its own
            check(model, symmetry, permutation, state, inputs, training=training)
    return symmetry


def random_state(model: nn.Module, generator: torch.Generator) -> dict[str, Tensor]:
    """Return a state of a model in which no two units are alike, so that a wrong permutation cannot hide.

    Args:
        model: the module; its parameters and statistics are the starting point, and are not changed.
        generator: on the CPU.
    """
    state: dict[str, Tensor] = {}
    shared: dict[int, Tensor] = {}
    for key, old in state_of(model).items():
        if id(old) in shared:
            state[key] = shared[id(old)]
            continue
        tensor = old
        if tensor.is_floating_point():
            spread = float(tensor.std()) if tensor.numel() > 1 else 0.0
            noise = torch.rand(tensor.shape, generator=generator).to(tensor)
            # Constant tensors are norms' scales, shifts and variances: these stay positive.
            tensor = tensor + (spread * (noise - 0.5) if spread > 0 else 0.5 * noise)
        state[key] = shared[id(old)] = tensor
    return state


def check(
    model: nn.Module,
    symmetry: Symmetry,
    permutation: Permutation,
    state: State,
    inputs: Tensor | tuple[Tensor, ...],
    tolerance: float = TOLERANCE,
    *,
    dtype: torch.dtype | None = None,
    training: bool = False,
) -> float:
    """Verify that a permuted network computes the same function.

    Args:
        model: the network's module.
        symmetry: its symmetry.
        permutation: the permutation to test.
        state: the network's state.
        inputs: a batch of inputs, or a tuple of inputs.
        tolerance: the largest relative error allowed, as the largest difference over the largest magnitude of outputs.
        dtype: to compute in; that of the state by default.
        training: compare the outputs in training mode in place of evaluation mode.

    Returns:
        The relative error.

    Raises:
        SymmetryError: if the outputs differ by more than the tolerance, or are not finite.
    """
    inputs = inputs if isinstance(inputs, tuple) else (inputs,)

    def outputs(network: State) -> list[Any]:
        network = copied(network, symmetry.parameters) if training else network
        wide = {key: _as(value, dtype) for key, value in network.items()}
        with evaluation(model, training):
            arguments = tuple(_as(value, dtype) for value in inputs)
            return tree_leaves(functional_call(model, wide, arguments, tie_weights=False))

    before, after = outputs(state), outputs(symmetry.apply(permutation, state))
    error = 0.0
    for old, new in zip(before, after, strict=True):
        if torch.is_tensor(old):
            scale = old.abs().max().item()
            difference = (old - new).abs().max().item()
            error = max(error, difference / scale if scale else difference)
            if not (math.isfinite(difference) and error <= tolerance):
                raise SymmetryError(
                    f"the permuted network computes another function: relative error {error:.2g}, "
                    f"allowed {tolerance:.0e}"
                )
    return error


def _as(tensor: Tensor, dtype: torch.dtype | None) -> Tensor:
    return tensor.to(dtype) if dtype is not None and tensor.is_floating_point() else tensor
