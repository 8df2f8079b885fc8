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

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from onebasin.symmetry.axes import UNIT, atoms, product, resolve
from onebasin.symmetry.fit import check_images, check_states
from onebasin.symmetry.groups import Group, Place, State, Symmetry, stack
from onebasin.symmetry.layers import layers
from onebasin.symmetry.network import Network, evaluation
from onebasin.symmetry.proof import TOLERANCE, Proof, check, prove, random_state
from onebasin.symmetry.reshapes import is_open
from onebasin.symmetry.soft import apply_along, apply_soft
from onebasin.symmetry.trace import Operations, Trace
from onebasin.symmetry.values import Call, SymmetryError

__all__ = [
    "Group",
    "Network",
    "Operations",
    "Place",
    "Proof",
    "State",
    "Symmetry",
    "SymmetryError",
    "TOLERANCE",
    "TracedSymmetry",
    "Units",
    "apply_along",
    "apply_soft",
    "check",
    "check_images",
    "check_states",
    "discover",
    "evaluation",
    "layers",
    "stack",
    "random_state",
]


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
    """The symmetry of a traced model, which also knows in which intermediates each group's units are seen.

    Attributes:
        proof: how it was proven; None if that was not asked for.
    """

    def __init__(self, trace: Trace) -> None:
        self.proof: Proof | None = None
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
    model: nn.Module,
    example_input: Any,
    *,
    verify: bool = True,
    training: bool = False,
    precision: torch.dtype = torch.float64,
) -> TracedSymmetry:
    """Find the permutation groups of a model.

    A private copy of the model is evaluated once on ``example_input``; the model itself is not touched.

    Args:
        model: any module whose evaluation is deterministic.
        example_input: a batch (two or more samples); a tuple of positional arguments; or a dict of keyword arguments.
            Arguments may be tensors, lists and dicts of them, None, or any other value that the model takes.
        verify: apply random permutations to random parameters and statistics, and compare the outputs.
        training: follow the model in training mode in place of evaluation mode.
        precision: what to compute the proof in; ``torch.float32`` needs half of the memory.

    Returns:
        The symmetry: ``groups``, ``fixed`` (with reasons), ``identity()``, ``random(generator)`` and
        ``apply(permutation, state)``; ``proof`` says how it was proven.

    Raises:
        SymmetryError: if an operation cannot be followed (named in the message), or a permutation changed the outputs.
    """
    call = Call.of(example_input)
    symmetry = TracedSymmetry(Trace(model, call, training))
    if verify:
        symmetry.proof = prove(model, symmetry, call, precision, training)
    return symmetry
