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

import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.utils._pytree import tree_leaves

from onebasin import seeding
from onebasin.permutation import Permutation
from onebasin.symmetry.axes import UNIT, atoms, is_open, product, resolve
from onebasin.symmetry.groups import Group, Place, State, Symmetry
from onebasin.symmetry.trace import Operations, SymmetryError, Trace, evaluation, state_of

__all__ = [
    "Group",
    "Operations",
    "Place",
    "State",
    "Symmetry",
    "SymmetryError",
    "TracedSymmetry",
    "check",
    "discover",
    "evaluation",
]

TOLERANCE = 1e-4


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

    def intermediates(self, name: str, which: str = "last") -> list[tuple[int, int]]:
        """Return where the units of a group are seen during evaluation.

        Args:
            name: a group.
            which: "first", the first operation whose output has the units as one axis; "last", the last elementwise
                one (after the ReLU, or the last residual sum); "all", every one.

        Returns:
            Pairs (index of the operation in the order of evaluation, axis of its output).

        Raises:
            SymmetryError: if no intermediate shows the units as an axis of its own.
        """
        units = product((*self._within[self._atoms[name]], self._atoms[name]))
        seen = [
            (index, elementwise, terms.index(units))
            for index, elementwise, terms in self._intermediates
            if units in terms
        ]
        if not seen:
            raise SymmetryError(f"group {name!r} has no intermediate that shows its units")
        if which == "first":
            seen = seen[:1]
        elif which == "last":
            seen = [entry for entry in seen if entry[1]][-1:] or seen[-1:]
        elif which != "all":
            raise ValueError(f"intermediate {which!r}: allowed are first, last, all")
        return [(index, axis) for index, _, axis in seen]


def discover(model: nn.Module, example_input: Tensor | tuple[Tensor, ...], *, verify: bool = True) -> TracedSymmetry:
    """Find the permutation groups of a model.

    The model is evaluated once on ``example_input``; its parameters are not changed.

    Args:
        model: any module whose evaluation is deterministic.
        example_input: a batch (two or more samples), or a tuple of inputs.
        verify: apply random permutations to random parameters and statistics, and compare the outputs.

    Returns:
        The symmetry: ``groups``, ``fixed`` (with reasons), ``identity()``, ``random(generator)`` and
        ``apply(permutation, state)``.

    Raises:
        SymmetryError: if an operation cannot be followed (named in the message), or a permutation changed the outputs.
    """
    inputs = example_input if isinstance(example_input, tuple) else (example_input,)
    symmetry = TracedSymmetry(Trace(model, inputs))
    if verify:
        _prove(model, symmetry, inputs)
    return symmetry


def _prove(model: nn.Module, symmetry: Symmetry, inputs: tuple[Tensor, ...]) -> None:
    state = _random_state(model)
    permutation = symmetry.random(seeding.generator("symmetry", "prove"))
    try:  # in double precision, where a wrong permutation cannot pass for a rounding error
        double = {key: value.double() if value.is_floating_point() else value for key, value in state.items()}
        wide = tuple(value.double() if value.is_floating_point() else value for value in inputs)
        check(model, symmetry, permutation, double, wide, tolerance=1e-8)
    except RuntimeError:  # the model makes single-precision tensors of its own
        check(model, symmetry, permutation, state, inputs)


def _random_state(model: nn.Module) -> dict[str, Tensor]:
    """A state in which no two units are alike, so that a wrong permutation cannot hide."""
    generator = seeding.generator("symmetry", "state")
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
) -> float:
    """Verify that a permuted network computes the same function.

    Args:
        model: the network's module.
        symmetry: its symmetry.
        permutation: the permutation to test.
        state: the network's state.
        inputs: a batch of inputs, or a tuple of inputs.
        tolerance: the largest relative error allowed, as the largest difference over the largest magnitude of outputs.

    Returns:
        The relative error.

    Raises:
        SymmetryError: if the outputs differ by more than the tolerance, or are not finite.
    """
    inputs = inputs if isinstance(inputs, tuple) else (inputs,)
    with evaluation(model):
        before = tree_leaves(functional_call(model, dict(state), inputs, tie_weights=False))
        after = tree_leaves(functional_call(model, symmetry.apply(permutation, state), inputs, tie_weights=False))
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
