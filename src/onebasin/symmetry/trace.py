"""Follow the axes of every parameter, buffer and intermediate of a model through one evaluation."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from onebasin.symmetry import layer_rules, lookup_rules, signal_rules
from onebasin.symmetry.axes import UNIT, Atom, Term, atom, atoms, fix, resolve, size, unify
from onebasin.symmetry.labels import Label, Sorting
from onebasin.symmetry.network import Network
from onebasin.symmetry.reshapes import settle
from onebasin.symmetry.rules import (
    ELEMENTWISE,
    EXACT,
    FACTORIES,
    HANDING_ON,
    READ,
    RULES,
    Branch,
    Unsupported,
    constant,
    pointwise,
)
from onebasin.symmetry.values import Call, SymmetryError, outputs
from onebasin.symmetry.whereabouts import here, origin

# How many of an operation's outputs depend on the values that it is given; the others follow from lengths.
VALUES = {"_pack_padded_sequence": 1}
# Bytes of intermediates after which those are looked for that are no longer needed.
ENOUGH = 2**25
# The modules that register rules.
_ = layer_rules, lookup_rules, signal_rules


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


class _Reads(TorchFunctionMode):
    """Call ``check`` with every tensor whose values Python takes without an operation."""

    def __init__(self, check: Callable[[Tensor], None]) -> None:
        super().__init__()
        self.check = check

    def __torch_function__(self, func, types, args=(), kwargs=None):  # type: ignore[no-untyped-def]
        if func in (Tensor.tolist, Tensor.numpy, Tensor.__array__, Tensor.__dlpack__):
            self.check(args[0])
        return func(*args, **(kwargs or {}))


class Trace:
    """The axes of everything that one evaluation of a model touches.

    Attributes:
        state: the axes of each parameter and buffer, by state key.
        parameters: the keys of the parameters.
        intermediates: (index of the operation, whether it is elementwise, axes of its first output), in order.
        tensors: the axes of every tensor seen.
        sortings: the rows that are in the order of indices.
        batch: the axis of the input that counts samples.
    """

    def __init__(self, model: nn.Module, call: Call, training: bool = False) -> None:
        self.tensors: list[list[Term]] = []
        self.intermediates: list[tuple[int, bool, list[Term]]] = []
        self._terms: dict[int, list[Term]] = {}
        self._alive: dict[int, Tensor] = {}  # ids, and addresses of storages, are unique only among living objects
        self._made = 0
        self._used: set[int] = set()
        self._labels: dict[int, Label] = {}
        self.sortings: list[Sorting] = []
        self._looked: set[int] = set()  # the arguments that a rule has looked at
        self._handing_on = False
        self._varying: set[int] = set()  # storages that depend on the state or the inputs
        self._dependent: set[int] = set()  # of these, those that do not depend on integers alone
        self._uniform: set[int] = set()  # storages of constants that hold one value throughout
        self._shared = False
        self._implied: list[tuple[list[Term], Term, object]] = []
        self.parameters = frozenset(key for key, _ in model.named_parameters(remove_duplicate=False))
        self._originals = {id(value): key for key, value in model.state_dict(keep_vars=True).items()}
        network = Network(model, training=training)
        owned = network.tensors
        for key, tensor in owned.items():
            if id(tensor) not in self._terms:
                # Statistics have one value for each unit; a buffer with more axes belongs to the architecture.
                table = not self._moves(key) and sum(length > 1 for length in tensor.shape) > 1
                self[tensor] = [
                    atom(length, "table that is not a parameter" if table else None) for length in tensor.shape
                ]
                self._vary([tensor])
        call = call.map(torch.clone)
        inputs = call.tensors()
        for tensor in inputs:
            self[tensor] = [atom(length, "model input") for length in tensor.shape]
        self._vary(inputs)
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
        self._fix_sorted()
        self._add_implied()
        self._alive.clear()

    def _run(self, network: Network, call: Call) -> Any:
        try:
            with Operations(self._follow), _Reads(self._check_read):
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

    def _check_read(self, tensor: Tensor) -> None:
        if self.depends(tensor):
            raise self._error(READ)

    def __getitem__(self, tensor: Tensor) -> list[Term]:
        if id(tensor) not in self._terms:
            self._constant(tensor)
        self._used.add(id(tensor))
        self._looked.add(id(tensor))
        if not self._shared and _storage(tensor) in self._uniform:
            return [atom(length) for length in tensor.shape]  # no order of its own, nor that of another use
        label = self._labels.get(id(tensor))
        if label is not None and label.kind != "count" and not self._handing_on:
            fix(label.axis, "index used as a number")
        return self._terms[id(tensor)]

    def __setitem__(self, tensor: Tensor, terms: Sequence[Term]) -> None:
        self._terms[id(tensor)] = list(terms)
        self._alive[id(tensor)] = tensor
        self.note(terms)

    def note(self, terms: Sequence[Term]) -> None:
        """Remember the axes of a tensor that exists only inside an operation."""
        self.tensors.append(settle(terms))

    def label(self, tensor: Tensor, kind: str = "index") -> Label | None:
        """Return what the values of a tensor say about an axis; None for other values."""
        self._looked.add(id(tensor))
        found = self._labels.get(id(tensor))
        return found if found is not None and found.kind == kind else None

    def set_label(self, tensor: Tensor, label: Label) -> None:
        """Say what the values of a new tensor are."""
        for other in self._alive.values():
            if _storage(other) == _storage(tensor):
                if other.shape != tensor.shape or other.stride() != tensor.stride():
                    fix(label.axis, "index written into a part")
                self._labels[id(other)] = label

    def _fix_sorted(self) -> None:
        """Fix what is indexed where the rows in its order cannot move: paired with anything that has another order."""
        owned = {item for terms in self.state.values() for term in terms for item in atoms(resolve(term))}
        for _ in self.sortings:  # one may be of rows that another has put in order
            rows = Counter(resolve(sorting.rows) for sorting in self.sortings)
            for sorting in self.sortings:
                term = resolve(sorting.rows)
                if not isinstance(term, Atom) or term.fixed or term in owned or rows[term] > 1:
                    for axis in (term, sorting.by.axis):
                        fix(axis, "order of sorted rows")

    def plain(self, tensor: Tensor) -> list[Term]:
        """Return the terms of a tensor, as indexing does, without saying that its values are used as numbers."""
        self._handing_on, before = self.label(tensor) is not None, self._handing_on
        try:
            return self[tensor]
        finally:
            self._handing_on = before

    def imply(self, terms: Sequence[Term], owner: Term, by: object) -> None:
        """Say that rows, by their axes, stand each for one index of another axis, for which one ``by`` tells."""
        for _, other, way in self._implied:
            if way is by and size(other) == size(owner):
                unify(other, owner)  # one choice from two axes pairs them
                break
        self._implied.append((list(terms), owner, by))

    def _add_implied(self) -> None:
        """Add to every tensor the axes that its rows stand for, where they stand for one row in one way alone."""
        chosen: dict[frozenset[Atom], dict[Term, set[int]]] = {}
        for terms, owner, by in self._implied:
            rows = frozenset(item for term in terms for item in atoms(resolve(term)))
            if rows:
                chosen.setdefault(rows, {}).setdefault(resolve(owner), set()).add(id(by))
        owners = [(rows, owner) for rows, found in chosen.items() for owner, ways in found.items() if len(ways) == 1]
        if owners:
            for terms in self.tensors:
                # Where two rows meet, as in a product of rows with rows, they stand for two.
                once = [
                    item for item, count in Counter(i for t in terms for i in atoms(resolve(t))).items() if count == 1
                ]
                terms += [owner for rows, owner in owners if rows.issubset(once)]
        self._implied.clear()

    def is_constant(self, tensor: Tensor) -> bool:
        """Say whether a tensor's values depend on neither parameters nor inputs."""
        return _storage(tensor) not in self._varying

    def depends(self, tensor: Tensor) -> bool:
        """Say whether a tensor's values depend on parameters, or on inputs that are no integers."""
        return _storage(tensor) in self._dependent

    def _vary(self, tensors: Iterable[Tensor]) -> None:
        for tensor in tensors:
            self._varying.add(_storage(tensor))
            if tensor.is_floating_point() or tensor.is_complex():
                self._dependent.add(_storage(tensor))

    def _constant(self, tensor: Tensor) -> None:
        if id(tensor) in self._originals:
            raise Unsupported(
                f"it reads {self._originals[id(tensor)]!r} of the model itself and not of its copy, as a closure or a "
                "hook does that holds the model: let it reach the module through its arguments"
            )
        self[tensor] = constant(tensor)
        if tensor.layout == torch.strided and tensor.numel() and bool((tensor == tensor.flatten()[0]).all()):
            self._uniform.add(_storage(tensor))

    def _moves(self, key: str) -> bool:
        """Say whether a tensor of the state may move: parameters, and the masks of ``torch.nn.utils.prune``."""
        return key in self.parameters or (key.endswith("_mask") and f"{key[:-5]}_orig" in self.parameters)

    def _follow(self, index: int, func: Any, call: dict[str, Any], outs: list[Tensor]) -> None:
        name = func._schema.name.split("::")[1]
        plain = name if name in RULES else name.removesuffix("_")
        if torch.Tag.nondeterministic_seeded in func.tags and not _is_attention(name):
            raise self._error(f"operation {func} is random: the model's output is not a function of its input")
        inputs = [leaf for leaf in tree_leaves(call) if torch.is_tensor(leaf)]
        known = plain in FACTORIES or not any(_storage(tensor) in self._varying for tensor in inputs)
        if not known:
            self._varying.update(map(_storage, outs))
            if any(map(self.depends, inputs)):
                self._dependent.update(map(_storage, outs[: VALUES.get(plain, len(outs))]))
        written = _written(func, call)
        storages = set(map(_storage, written))
        self._uniform -= storages
        # A value that is written into a view later is seen in what it is a view of.
        self._shared = bool(func.is_view or written)
        elementwise = is_elementwise(func)
        for key in [key for key in self._labels if storages and _storage(self._alive[key]) in storages]:
            fix(self._labels.pop(key).axis, "index that is overwritten")
        label = self._labels.get(id(inputs[0])) if inputs and plain in HANDING_ON else None
        if label is not None and not all(_holds(label, inputs[0], out) for out in outs):
            label = None
        self._handing_on = label is not None
        self._looked.clear()
        try:
            if plain in RULES:
                RULES[plain](self, call, outs)
                for tensor in inputs if plain not in FACTORIES else []:
                    if id(tensor) not in self._looked and not self.is_constant(tensor):
                        for term in self[tensor]:
                            fix(term, f"argument of {name}")
            elif elementwise:
                pointwise(self, call, outs)
            elif known and not written:
                for out in outs:
                    self._constant(out)
            else:
                raise Unsupported("no rule for it")
        except Branch as error:
            raise self._error(str(error)) from error
        except Unsupported as error:
            raise self._error(f"operation {func} cannot be followed: {error}") from error
        except Exception as error:  # a rule that did not expect such a use
            raise self._error(f"operation {func} cannot be followed: {type(error).__name__}: {error}") from error
        self._handing_on = False
        for out in outs:
            if label is not None:
                whole = out.numel() == inputs[0].numel()
                self._labels[id(out)] = label if whole else replace(label, choice=object())
            if id(out) not in self._terms:
                self[out] = [UNIT if length == 1 else atom(length, f"internal to {name}") for length in out.shape]
        if outs and inputs:
            self.intermediates.append((index, elementwise and plain not in RULES, self._terms[id(outs[0])]))
        if not func.is_view:
            self._made += sum(out.numel() * out.element_size() for out in outs)
        if self._made > ENOUGH:
            self._release()

    def _release(self) -> None:
        """Forget the tensors that nobody else holds."""
        self._made = 0
        self._alive[0] = torch.empty(0)  # one that nobody else holds, for comparison
        holders = {key: sys.getrefcount(self._alive[key]) for key in self._alive}
        lone = holders.pop(0)
        # What C++ holds besides is counted by itself.
        self._alive = {
            key: self._alive[key]
            for key, count in holders.items()
            if count > lone or self._alive[key]._use_count() > 1  # type: ignore[attr-defined]
        }
        self._terms = {key: terms for key, terms in self._terms.items() if key in self._alive}
        self._labels = {key: term for key, term in self._labels.items() if key in self._alive}
        storages = set(map(_storage, self._alive.values()))
        for known in (self._varying, self._dependent, self._uniform):
            known &= storages

    def _error(self, reason: str) -> SymmetryError:
        where = here(self._names, sys._getframe(1))
        return SymmetryError(f"{reason} ({where})" if where else reason)


def _written(func: Any, call: dict[str, Any]) -> list[Tensor]:
    """Return the tensors that an operation changes."""
    names = [
        argument.name for argument in func._schema.arguments if argument.alias_info and argument.alias_info.is_write
    ]
    return [leaf for name in names for leaf in tree_leaves(call.get(name)) if torch.is_tensor(leaf)]


def _holds(label: Label, before: Tensor, after: Tensor) -> bool:
    """Say whether values that are handed on are still what they were."""
    return after.dtype in EXACT and (label.kind == "index" or before.dim() == 1 and before.shape == after.shape)


def _storage(tensor: Tensor) -> int:
    # A value that is written into a view is in the tensor that it is a view of.
    return tensor.untyped_storage()._cdata if tensor.layout == torch.strided else id(tensor)


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
