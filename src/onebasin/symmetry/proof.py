"""Proof by random permutations: the permuted network computes the same function, whatever its parameters are."""

from __future__ import annotations

import math
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from onebasin import seeding
from onebasin.permutation import Permutation
from onebasin.symmetry.groups import State, Symmetry
from onebasin.symmetry.network import Network, converted, state_of
from onebasin.symmetry.values import Call, SymmetryError, outputs

TOLERANCE = 1e-4
"""Largest relative change of the outputs under a permutation, in single precision."""
_TOLERANCES = {torch.float64: 1e-8, torch.float32: TOLERANCE, torch.float16: 1e-2, torch.bfloat16: 1e-1}

_PIECE = 2**18  # entries that are drawn at a time


@dataclass(frozen=True)
class Proof:
    """How a symmetry was proven.

    Attributes:
        dtype: what parameters and inputs were converted to.
        precision: the least precise dtype that was seen on the way; the tolerance follows from it.
        tolerance: the largest relative error allowed.
        error: the relative error.
    """

    dtype: torch.dtype
    precision: torch.dtype
    tolerance: float
    error: float

    def __str__(self) -> str:
        """Say it in words."""
        return f"proven in {str(self.precision).removeprefix('torch.')}: relative error {self.error:.0e}"


def prove(model: nn.Module, symmetry: Symmetry, call: Call, dtype: torch.dtype, training: bool = False) -> Proof:
    """Apply a random permutation of all groups to random parameters and statistics, and compare the outputs.

    Args:
        model: the module; it is not touched.
        symmetry: its symmetry.
        call: the example input.
        dtype: to compute in. In double precision a wrong permutation cannot pass for a rounding error.
        training: compare the outputs in training mode.

    Returns:
        The proof: in single precision for a model that makes single-precision tensors of its own which do not mix.

    Raises:
        SymmetryError: if the outputs differ, or are not finite.
    """
    attempts = [(call, dtype), (call, torch.float32)]
    tensors = call.tensors()
    if not training and tensors and all(tensor.dim() > 3 and len(tensor) > 1 for tensor in tensors):
        # Images do not meet in evaluation: one is enough, unless the model counts on their number.
        attempts.insert(0, (call.map(lambda tensor: tensor[:1]), dtype))
    permutation = symmetry.random(seeding.generator("symmetry", "prove"))
    for inputs, precision in attempts:
        try:
            # The state has no name here, so that it is gone as soon as it is permuted.
            return _compare(
                model,
                symmetry,
                permutation,
                random_state(model, seeding.generator("symmetry", "state")),
                inputs,
                None,
                precision,
                training,
            )
        except SymmetryError:
            raise
        except Exception as error:  # whatever a foreign model raises
            reason = f"{type(error).__name__}: {' '.join(str(error).split())}"
    raise SymmetryError(f"the model fails with random parameters: {reason}")


def random_state(model: nn.Module, generator: torch.Generator) -> dict[str, Tensor]:
    """Return a state of a model in which no two units are alike, so that a wrong permutation cannot hide.

    Every tensor stays within the range of its own values, as variances stay positive.

    Args:
        model: the module; its parameters and statistics are the starting point, and are not changed.
        generator: on the CPU.
    """
    shared: dict[int, Tensor] = {}
    state: dict[str, Tensor] = {}
    for key, old in state_of(model).items():
        if id(old) not in shared:
            shared[id(old)] = _varied(old, generator)
        state[key] = shared[id(old)]
    return state


def _varied(old: Tensor, generator: torch.Generator) -> Tensor:
    if old.is_complex():
        return torch.view_as_complex(_varied(torch.view_as_real(old), generator))
    if not old.is_floating_point() or not old.numel():
        return old
    values = torch.rand(old.shape, generator=generator).to(old)
    low, high = (float(end) for end in old.aminmax())
    if not math.isfinite(high - low):
        finite = old[old.isfinite()]
        if not finite.numel():
            return values
        low, high = (float(end) for end in finite.aminmax())
        old = old.nan_to_num(low, high, low)
    if low == high:  # scales, shifts and variances as they are initialised
        return values.mul_(0.5 * max(1.0, abs(low))).add_(low)
    reach = float(old.std()) / 2
    for part, source in zip(values.flatten().split(_PIECE), old.flatten().split(_PIECE), strict=True):
        lowest = (source - reach).clamp_(min=low)
        part.mul_((source + reach).clamp_(max=high).sub_(lowest)).add_(lowest)
    return values


def check(
    model: nn.Module,
    symmetry: Symmetry,
    permutation: Permutation,
    state: State,
    inputs: Any,
    tolerance: float | None = TOLERANCE,
    *,
    dtype: torch.dtype | None = None,
    training: bool = False,
) -> float:
    """Verify that a permuted network computes the same function.

    Args:
        model: the network's module; it is not touched.
        symmetry: its symmetry.
        permutation: the permutation to test.
        state: the network's state.
        inputs: a batch of inputs, or what else ``discover`` takes.
        tolerance: the largest relative error allowed, as the largest difference over the largest magnitude of outputs;
            None for what the least precise dtype allows that is seen during evaluation.
        dtype: to compute in; that of the state by default.
        training: compare the outputs in training mode in place of evaluation mode.

    Returns:
        The relative error.

    Raises:
        SymmetryError: if the outputs differ by more than the tolerance, or are not finite.
    """
    return _compare(model, symmetry, permutation, state, Call.of(inputs), tolerance, dtype, training).error


def _compare(
    model: nn.Module,
    symmetry: Symmetry,
    permutation: Permutation,
    state: State,
    call: Call,
    tolerance: float | None,
    dtype: torch.dtype | None,
    training: bool,
) -> Proof:
    seen = _Precision()

    def evaluate(network: State) -> list[Any]:
        copy = Network(model, network, training=training, dtype=dtype)
        arguments = call.map(lambda tensor: tensor.to(converted(tensor, dtype), copy=True))
        # Looking at every operation takes longer than a small network.
        with seen if tolerance is None else nullcontext():
            return outputs(copy.run(arguments))

    before = evaluate(state)
    state = symmetry.apply(permutation, state)
    after = evaluate(state)
    allowed = _TOLERANCES.get(seen.least, 0.25) if tolerance is None else tolerance
    error = max((_difference(old, new) for old, new in zip(before, after, strict=True)), default=0.0)
    if not error <= allowed:
        raise SymmetryError(
            f"the permuted network computes another function: relative error {error:.2g}, allowed {allowed:.0e}"
        )
    return Proof(dtype or seen.least, seen.least, allowed, error)


def _difference(old: Any, new: Any) -> float:
    """Return the largest difference over the largest magnitude; equal infinities do not differ."""
    old, new = (torch.as_tensor(value) for value in (old, new))
    old, new = (value.to(torch.promote_types(value.dtype, torch.float32)) for value in (old, new))
    if not old.numel():
        return 0.0
    finite = old.isfinite()
    if old.isnan().any() or not finite.any():
        raise SymmetryError("the outputs with random parameters are not finite, so that nothing can be proven")
    scale = old[finite].abs().max().item()
    difference = (old - new).abs().masked_fill(old == new, 0).max().item()
    relative = difference / scale if scale else difference
    return relative if math.isfinite(relative) else math.inf


class _Precision(TorchDispatchMode):
    """Notes the least precise dtype among the results of operations."""

    least = torch.float64

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        return False

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):  # type: ignore[no-untyped-def]
        out = func(*args, **(kwargs or {}))
        for leaf in tree_leaves(out):
            if torch.is_tensor(leaf) and leaf.is_floating_point():
                self.least = max(self.least, leaf.dtype, key=lambda dtype: torch.finfo(dtype).eps)
        return out
