"""Follow the axes of every parameter, buffer and intermediate of a model through one evaluation."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from onebasin.symmetry.axes import UNIT, Term, atom, fix
from onebasin.symmetry.layer_rules import RULES
from onebasin.symmetry.network import Network
from onebasin.symmetry.reshapes import settle
from onebasin.symmetry.rules import ELEMENTWISE, Unsupported, constant, pointwise
from onebasin.symmetry.values import Call, SymmetryError, outputs
from onebasin.symmetry.whereabouts import here, origin


class Operations(TorchDispatchMode):
    """Call ``visit(index, function, arguments, outputs)`` for every ATen operation, in the order of evaluation."""

    def __init__(self, visit: Callable[[int, Any, dict[str, Any], list[Tensor]], None]) -> None:
        super().__init__()
        self.visit = visit
        self.count = 0

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        return False  # nothing is compiled here, and loading the compiler costs a second

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):  # type: ignore[no-untyped-def]
        out = func(*args, **(kwargs or {}))
        declared = func._schema.arguments
        call = {argument.name: argument.default_value for argument in declared if argument.has_default_value()}
        call.update(zip((argument.name for argument in declared), args, strict=False))
        call.update(kwargs or {})
        self.visit(self.count, func, call, [leaf for leaf in tree_leaves(out) if torch.is_tensor(leaf)])
        self.count += 1
        return out


class Trace:
    """The axes of everything that one evaluation of a model touches.

    Attributes:
        state: the axes of each parameter and buffer, by state key.
        parameters: the keys of the parameters.
        intermediates: (index of the operation, whether it is elementwise, axes of its first output), in order.
        tensors: the axes of every tensor seen.
        batch: the axis of the input that counts samples.
    """

    def __init__(self, model: nn.Module, call: Call, training: bool = False) -> None:
        self.tensors: list[list[Term]] = []
        self.intermediates: list[tuple[int, bool, list[Term]]] = []
        self._terms: dict[int, list[Term]] = {}
        self._alive: list[Tensor] = []
        self._used: set[int] = set()
        self.parameters = frozenset(key for key, _ in model.named_parameters(remove_duplicate=False))
        network = Network(model, training=training)
        owned = network.tensors
        for key, tensor in owned.items():
            if id(tensor) not in self._terms:
                # Statistics have one value for each unit; a buffer with more axes belongs to the architecture.
                table = key not in self.parameters and sum(length > 1 for length in tensor.shape) > 1
                self[tensor] = [
                    atom(length, "table that is not a parameter" if table else None) for length in tensor.shape
                ]
        call = call.map(torch.clone)
        inputs = call.tensors()
        for tensor in inputs:
            self[tensor] = [atom(length, "model input") for length in tensor.shape]
        self.batch = next((terms[0] for terms in map(self.__getitem__, inputs) if terms), UNIT)
        self._names = network.names
        output = self._run(network, call)
        for leaf in outputs(output):
            if torch.is_tensor(leaf):
                for term in self[leaf]:
                    fix(term, "model output")
        for tensor in owned.values():
            if id(tensor) not in self._used:
                for term in self[tensor]:
                    fix(term, "not used in evaluation")
        self.state: Mapping[str, list[Term]] = {key: self[tensor] for key, tensor in owned.items()}
        self._alive.clear()

    def _run(self, network: Network, call: Call) -> Any:
        try:
            with Operations(self._follow):
                return network.run(call)
        except SymmetryError:
            raise
        except Exception as error:  # whatever a foreign model raises
            reason = next(iter(str(error).strip().splitlines()), "")
            where = origin(self._names, error.__traceback__)
            raise SymmetryError(
                f"the model fails on the example input: {type(error).__name__}: {reason}"
                + (f" ({where})" if where else "")
            ) from error

    def __getitem__(self, tensor: Tensor) -> list[Term]:
        if id(tensor) not in self._terms:
            self[tensor] = constant(tensor)
        self._used.add(id(tensor))
        return self._terms[id(tensor)]

    def __setitem__(self, tensor: Tensor, terms: Sequence[Term]) -> None:
        self._terms[id(tensor)] = list(terms)
        self._alive.append(tensor)  # ids are unique only among living objects
        self.note(terms)

    def note(self, terms: Sequence[Term]) -> None:
        """Remember the axes of a tensor that exists only inside an operation."""
        self.tensors.append(settle(terms))

    def _follow(self, index: int, func: Any, call: dict[str, Any], outs: list[Tensor]) -> None:
        name = func._schema.name.split("::")[1]
        plain = name if name in RULES else name.removesuffix("_")
        if torch.Tag.nondeterministic_seeded in func.tags and not _is_attention(name):
            raise self._error(f"operation {func} is random: the model's output is not a function of its input")
        inputs = any(torch.is_tensor(leaf) for leaf in tree_leaves(call))
        elementwise = is_elementwise(func)
        try:
            if plain in RULES:
                RULES[plain](self, call, outs)
            elif elementwise:
                pointwise(self, call, outs)
            elif not inputs:
                for out in outs:
                    self[out] = constant(out)
            else:
                raise Unsupported("no rule for it")
        except Unsupported as error:
            raise self._error(f"operation {func} cannot be followed: {error}") from error
        for out in outs:
            if id(out) not in self._terms:
                self[out] = [UNIT if length == 1 else atom(length, f"internal to {name}") for length in out.shape]
        if outs and inputs:
            self.intermediates.append((index, elementwise and plain not in RULES, self._terms[id(outs[0])]))

    def _error(self, reason: str) -> SymmetryError:
        where = here(self._names, sys._getframe(1))
        return SymmetryError(f"{reason} ({where})" if where else reason)


def is_elementwise(func: Any) -> bool:
    """Say whether an ATen operation pairs its arguments index by index, after broadcasting."""
    plain = func._schema.name.split("::")[1].removesuffix("_")
    if plain in ELEMENTWISE:
        return True
    # Some in-place variants lack the tag that their functional form carries.
    packet = getattr(torch.ops.aten, plain, None)
    forms = [func] if packet is None else [func, *(getattr(packet, overload) for overload in packet.overloads())]
    return any(torch.Tag.pointwise in form.tags for form in forms)


def _is_attention(name: str) -> bool:
    return name.startswith("_scaled_dot_product")
