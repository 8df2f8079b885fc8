"""Permutation groups as values: which axes move together, and how a permutation moves a network's parameters."""

from __future__ import annotations

import copy
import math
from collections import OrderedDict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np
import torch
from torch import Tensor

from onebasin.permutation import Permutation
from onebasin.symmetry.axes import (
    Atom,
    Term,
    atoms,
    product,
    resolve,
    size,
)
from onebasin.symmetry.text import columns, listed
from onebasin.symmetry.units import Axis, Occurrence, arithmetic, companions_of

State = Mapping[str, Tensor]
"""Tensors by name, as ``state_dict`` gives them."""


@dataclass(frozen=True)
class Group:
    """A set of axes whose units can be reordered, and only together.

    Attributes:
        name: the module, or the parameter, whose output units these are.
        size: the number of units.
        blocks: 1, or the number of equal blocks that the units come in. A unit then moves within its block, and
            blocks move as a whole with the groups named in ``within`` (the heads of attention, grouped convolution).
        axes: the (state key, axis) pairs that hold the units.
        within: names of the groups that move the blocks.
    """

    name: str
    size: int
    blocks: int
    axes: tuple[tuple[str, int], ...]
    within: tuple[str, ...] = ()

    @property
    def block_size(self) -> int:
        """The number of units in one block."""
        return self.size // self.blocks


@dataclass(frozen=True, eq=False)
class Place:
    """One occurrence of a group in one parameter or buffer, and how to view that tensor by the group's units.

    Attributes:
        key: the state key of the tensor.
        axis: the axis that holds the units.
        whole: whether the units are that axis, one index each.
        other: (axis, group) if one other group, and nothing else, moves along one other axis of the tensor, as a whole.
    """

    key: str
    axis: int
    whole: bool
    other: tuple[int, str] | None = None
    table: Tensor | None = field(default=None, repr=False)

    def units(self, tensor: Tensor) -> Tensor:
        """Return ``tensor`` as [units, features]: one row per unit of the group, with all that belongs to it."""
        if self.whole:
            return tensor.movedim(self.axis, 0).flatten(1) if tensor.dim() > 1 else tensor[:, None]
        assert self.table is not None
        return tensor.flatten()[self.table.to(tensor.device)]


def _copies(keys: Iterable[str], count: int) -> list[tuple[str, str]]:
    """Names for copies of state keys, each with its key: the first copies have the keys themselves."""
    return [(f"{key}@{index}" if index else key, key) for index in range(count) for key in keys]


def stack(states: Sequence[State]) -> dict[str, Tensor]:
    """Return the state dicts of several networks as one, for the ``stacked`` symmetry of their model."""
    keys = list(states[0])
    return {name: states[index // len(keys)][key] for index, (name, key) in enumerate(_copies(keys, len(states)))}


class Symmetry:
    """The permutation groups of a model: what can be reordered in its state without changing its function.

    Attributes:
        groups: the groups by name.
        fixed: for each (state key, axis) that holds indices which cannot move, the reason.
        parameters: the state keys that hold parameters; the others hold buffers.
    """

    def __init__(
        self, state_axes: Mapping[str, Sequence[Term]], tensors: Iterable[Sequence[Term]], parameters: frozenset[str]
    ) -> None:
        self.parameters = parameters
        self._terms = {key: [resolve(term) for term in terms] for key, terms in state_axes.items()}
        self._codes: dict[str, list[Axis]] = {}
        self._places: dict[str, list[Place]] = {}
        self._atoms = self._name_atoms()
        self._names = {item: name for name, item in self._atoms.items()}
        self._within = self._nesting(tensors)
        self.fixed = {
            (key, axis): reason
            for key, terms in self._terms.items()
            for axis, term in enumerate(terms)
            for reason in [next((item.fixed for item in atoms(term) if item.fixed), None)]
            if reason
        }
        where: dict[Atom, dict[tuple[str, int], None]] = {item: {} for item in self._names}
        for key, terms in self._terms.items():
            for axis, term in enumerate(terms):
                for item in atoms(term):
                    if item in where:
                        where[item][key, axis] = None
        self.groups: dict[str, Group] = {}
        for name, item in self._atoms.items():
            blocks = math.prod(parent.size for parent in self._within[item])
            parents = tuple(self._names[parent] for parent in self._within[item] if parent in self._names)
            self.groups[name] = Group(name, item.size * blocks, blocks, tuple(where[item]), parents)

    def __repr__(self) -> str:
        return self.table(axes=4)

    def table(self, axes: int | None = None) -> str:
        """Return the groups as a table, and below it the axes that cannot move, by reason.

        Args:
            axes: list only so many axes of each group and reason; None for all.
        """
        rows = [
            (group.name, str(group.size), str(group.blocks), ", ".join(group.within) or "-", listed(group.axes, axes))
            for group in self.groups.values()
        ]
        reasons: dict[str, list[tuple[str, int]]] = {}
        for place, reason in self.fixed.items():
            reasons.setdefault(reason, []).append(place)
        fixed = [(reason, str(len(places)), listed(places, axes)) for reason, places in reasons.items()]
        tables = [columns(("group", "units", "blocks", "within", "axes"), rows)]
        return "\n\n".join([*tables, columns(("fixed because", "count", "axes"), fixed)] if fixed else tables)

    def _name_atoms(self) -> dict[str, Atom]:
        first: dict[Atom, str] = {}
        for leading in (True, False):  # the output axis of a weight names a group better than an input axis does
            for key, terms in self._terms.items():
                for axis, term in enumerate(terms):
                    for item in atoms(term):
                        if not item.fixed and item not in first and (axis == 0) == leading:
                            first[item] = key.removesuffix(".weight")
        order = {item: None for terms in self._terms.values() for term in terms for item in atoms(term)}
        named: dict[str, Atom] = {}
        for item in order:
            if item in first:
                name = base = first[item]
                count = 1
                while name in named:
                    count += 1
                    name = f"{base}#{count}"
                named[name] = item
        return named

    def _nesting(self, tensors: Iterable[Sequence[Term]]) -> dict[Atom, tuple[Atom, ...]]:
        """For each group's atom, the atoms it is nested in: its units may be reordered differently for each of theirs.

        That is so for atoms which index every tensor of the computation together with it.
        """
        beside: dict[Atom, dict[Atom, None]] = {}
        for unresolved in tensors:
            terms = [resolve(term) for term in unresolved]
            for item, companions, count in companions_of(product(terms)):
                if item in self._names:
                    once = {other: None for other in companions if count[other] == 1}
                    beside[item] = {o: None for o in beside[item] if o in once} if item in beside else once
        nested: dict[Atom, tuple[Atom, ...]] = {}
        for item in self._names:
            outer = [o for o in beside.get(item, {}) if not (item in beside.get(o, {}) and o.order > item.order)]
            nested[item] = tuple(sorted(outer, key=lambda o: o.order))
        return nested

    @property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        """The shape of each parameter and buffer of the model."""
        return {key: tuple(size(term) for term in terms) for key, terms in self._terms.items()}

    @property
    def sizes(self) -> dict[str, int]:
        """The number of units of each group."""
        return {name: group.size for name, group in self.groups.items()}

    def terms(self, key: str) -> list[Term]:
        """Return the axes of a parameter or buffer."""
        return self._terms[key]

    def name(self, item: Atom) -> str | None:
        """Return the name of an atom's group; None for one that cannot move."""
        return self._names.get(item)

    def parents(self, item: Atom) -> tuple[Atom, ...]:
        """Return the atoms that an atom is nested in."""
        return self._within.get(item, ())

    def stacked(self, count: int) -> Symmetry:
        """Return the symmetry of several states side by side, as ``stack`` joins them, that move together."""
        result = copy.copy(self)
        result._codes, result._places = {}, {}
        result._terms = {name: self._terms[key] for name, key in _copies(self._terms, count)}
        result.parameters = frozenset(name for name, _ in _copies(self.parameters, count))
        result.fixed = {
            (name, axis): why for (key, axis), why in self.fixed.items() for name, _ in _copies([key], count)
        }
        result.groups = {
            name: replace(group, axes=tuple((k, axis) for key, axis in group.axes for k, _ in _copies([key], count)))
            for name, group in self.groups.items()
        }
        return result

    def identity(self) -> Permutation:
        """Return the permutation that moves nothing."""
        return Permutation.identity(self.sizes)

    def random(self, generator: torch.Generator) -> Permutation:
        """Return a permutation drawn uniformly from the whole symmetry group."""
        inner = {}
        for name, group in self.groups.items():
            keys = torch.rand(group.blocks, group.block_size, generator=generator, dtype=torch.float64)
            inner[name] = keys.argsort(dim=1).numpy()
        return self.assemble(inner)

    def assemble(self, inner: Mapping[str, np.ndarray]) -> Permutation:
        """Build a permutation from the orders within blocks.

        Args:
            inner: for each group an array [blocks, block size]; row ``i`` is the order of the units of the block that
                ends up in place ``i``. Groups without blocks have one row.
        """
        done: dict[str, np.ndarray] = {}
        for name in sorted(self.groups, key=lambda n: len(self._within[self._atoms[n]])):
            group = self.groups[name]
            source = self._block_sources(name, done)
            done[name] = (source[:, None] * group.block_size + inner[name]).reshape(-1)
        return Permutation({name: done[name] for name in self.groups})

    def inner(self, permutation: Mapping[str, np.ndarray], name: str) -> np.ndarray:
        """Return the orders within blocks of one group, [blocks, block size], as ``assemble`` takes them."""
        group = self.groups[name]
        return permutation[name].reshape(group.blocks, -1) % group.block_size

    def _block_sources(self, name: str, permutation: Mapping[str, np.ndarray]) -> np.ndarray:
        """For each place of a block, the block that comes there."""
        outer = self._within[self._atoms[name]]
        shape = tuple(parent.size for parent in outer)
        places = dict(zip(outer, np.indices(shape).reshape(len(shape), math.prod(shape)), strict=True))
        source = np.zeros(math.prod(shape), dtype=np.int64)
        for parent in outer:
            source = source * parent.size + self._source(parent, places, permutation)
        return source

    def _source(
        self, item: Atom, places: Mapping[Atom, np.ndarray], permutation: Mapping[str, np.ndarray]
    ) -> np.ndarray:
        """For each place, given by the indices of an atom and of all it is nested in, the unit that comes there."""
        if item not in self._names:
            return places[item]
        index = np.zeros(1, dtype=np.int64)
        for parent in (*self._within[item], item):
            index = index * parent.size + places[parent]
        return permutation[self._names[item]][index] % item.size

    def check_shape(self, permutation: Permutation) -> None:
        """Raise ValueError if ``permutation`` is not one of this symmetry's: groups, sizes or blocks differ."""
        if permutation.sizes != self.sizes:
            raise ValueError(f"the permutation has the groups {permutation.sizes}, the model {self.sizes}")
        for name, group in self.groups.items():
            if group.blocks > 1:
                moved = permutation[name].reshape(group.blocks, -1) // group.block_size
                if not np.array_equal(
                    moved, np.repeat(self._block_sources(name, permutation)[:, None], group.block_size, 1)
                ):
                    raise ValueError(f"group {name!r}: the permutation tears blocks of {group.block_size} units apart")

    def apply(self, permutation: Permutation, state: State) -> dict[str, Tensor]:
        """Return a state whose units are reordered: the same function, with other parameters.

        Args:
            permutation: one index array per group.
            state: a state dict of the model, on any device.

        Returns:
            A new state dict; tensors that do not change are shared with ``state``, and so is what it carries besides
            tensors (extra state, ``_metadata``).

        Raises:
            ValueError: if the permutation or the state does not belong to this model.
        """
        self.check_shape(permutation)
        missing = sorted(self._terms.keys() ^ {key for key, value in state.items() if torch.is_tensor(value)})
        if missing:
            raise ValueError(f"the state's keys differ from the model's: {', '.join(missing)}")
        moved: OrderedDict[str, Tensor] = OrderedDict()
        same: dict[tuple[int, tuple[Term, ...]], Tensor] = {}  # a tensor under several keys stays one
        for key, tensor in state.items():
            place = id(tensor), tuple(self._terms.get(key, ()))
            if place not in same:
                same[place] = self.apply_to(key, tensor, permutation) if torch.is_tensor(tensor) else tensor
            moved[key] = same[place]
        if hasattr(state, "_metadata"):
            vars(moved)["_metadata"] = state._metadata
        return moved

    def apply_to(
        self, key: str, tensor: Tensor, permutation: Mapping[str, np.ndarray], skip: str | None = None
    ) -> Tensor:
        """Return one parameter or buffer of a state, reordered by all groups, or by all but ``skip``."""
        indices = self._indices(key, permutation, skip)
        if all(index is None or index.ndim == 1 for index in indices):
            for axis, index in enumerate(indices):
                if index is not None:
                    tensor = tensor.index_select(axis, torch.from_numpy(index).to(tensor.device))
            return tensor
        full = []
        for axis, index in enumerate(indices):
            shape = [-1 if other == axis else 1 for other in range(tensor.dim())]
            if index is None:
                index = np.arange(tensor.shape[axis])
            full.append(torch.from_numpy(index if index.ndim > 1 else index.reshape(shape)).to(tensor.device))
        return tensor[tuple(full)]

    def _indices(self, key: str, permutation: Mapping[str, np.ndarray], skip: str | None) -> list[np.ndarray | None]:
        """For each axis of a tensor where each index comes from: None, [length], or an array over all axes."""
        codes = self._code(key)
        rank = len(codes)
        result: list[np.ndarray | None] = []
        for axis, code in enumerate(codes):
            own = {o.item for o in code.occurrences}
            if not any(item in self._names and self._names[item] != skip for item in own):
                result.append(None)
                continue
            term = self._terms[key][axis]
            if isinstance(term, Atom) and not self._within[term]:
                result.append(np.array(permutation[self._names[term]]))
                continue
            crossing = any(parent not in own for item in own & self._names.keys() for parent in self._within[item])
            lay = (
                (lambda array, at: array.reshape([-1 if i == at else 1 for i in range(rank)]))
                if crossing
                else (lambda a, _: a)
            )
            index = lay(code.offset, axis)
            for o in code.occurrences:
                places = {
                    other: lay(np.maximum(holder.units(other), 0), at)
                    for at, holder in enumerate(codes)
                    if at == axis or crossing
                    for other in {occurrence.item for occurrence in holder.occurrences}
                    if o.item in self._names and other in self._within[o.item]
                }
                places[o.item] = lay(np.maximum(o.units, 0), axis)
                moved = o.item not in self._names or self._names[o.item] != skip
                source = self._source(o.item, places, permutation) if moved else places[o.item]
                index = index + lay(o.stride, axis) * source
            result.append(code.place[index])
        return result

    def _code(self, key: str) -> list[Axis]:
        if key not in self._codes:
            self._codes[key] = [arithmetic(term) for term in self._terms[key]]
        return self._codes[key]

    def places(self, name: str) -> list[Place]:
        """Return the occurrences of a group, each of which shows a tensor by the group's units."""
        if name not in self._places:
            self._places[name] = list(self._find_places(self._atoms[name]))
        return self._places[name]

    def _find_places(self, item: Atom) -> Iterable[Place]:
        for key, axis in self.groups[self._names[item]].axes:
            if self._terms[key][axis] is item and not self._within[item]:
                yield Place(key, axis, whole=True, other=self._only_other(key, axis))
            else:
                for occurrence in self._code(key)[axis].occurrences:
                    if occurrence.item is item:
                        yield Place(key, axis, whole=False, table=self._table(key, axis, occurrence))

    def _only_other(self, key: str, axis: int) -> tuple[int, str] | None:
        found = [(at, term) for at, term in enumerate(self._terms[key]) if at != axis and self._moves(term)]
        if len(found) != 1:
            return None
        at, term = found[0]
        if not isinstance(term, Atom) or self._within[term] or term is self._terms[key][axis]:
            return None
        return at, self._names[term]

    def _moves(self, term: Term) -> bool:
        return any(item in self._names for item in atoms(term))

    def _table(self, key: str, axis: int, occurrence: Occurrence) -> Tensor:
        """Flat indices [units, features] into a tensor: for each unit of a group the elements that belong to it."""
        return self._rows(self._code(key), axis, occurrence)

    def _positions(self, name: str, term: Term) -> Tensor:
        """Indices [units, k] along an axis at which a group's units lie, where it first occurs there."""
        code = arithmetic(term)
        return self._rows([code], 0, next(o for o in code.occurrences if o.item is self._atoms[name]))

    def _rows(self, codes: list[Axis], axis: int, occurrence: Occurrence) -> Tensor:
        shape = [len(code.offset) for code in codes]
        unit = np.zeros(shape, dtype=np.int64)
        inside = np.ones(shape, dtype=bool)

        def lay(array: np.ndarray, at: int) -> np.ndarray:
            return array.reshape([-1 if i == at else 1 for i in range(len(shape))])

        for parent in self._within[occurrence.item]:
            for at, code in enumerate(codes):
                if any(other.item is parent for other in code.occurrences):
                    units = code.units(parent)
                    unit = unit * parent.size + lay(units, at)
                    inside = inside & lay(units >= 0, at)
        unit = unit * occurrence.item.size + lay(occurrence.units, axis)
        inside = inside & lay(occurrence.units >= 0, axis)
        flat = np.flatnonzero(inside)
        order = np.argsort(unit.reshape(-1)[flat], kind="stable")
        total = self.groups[self._names[occurrence.item]].size
        return torch.from_numpy(flat[order].reshape(total, -1))

    @cached_property
    def neighbours(self) -> dict[str, frozenset[str]]:
        """For each group the other groups that share a parameter or buffer with it."""
        sharing: dict[str, set[str]] = {name: set() for name in self.groups}
        for terms in self._terms.values():
            present = {self._names[item] for term in terms for item in atoms(term) if item in self._names}
            for name in present:
                sharing[name] |= present - {name}
        return {name: frozenset(others) for name, others in sharing.items()}

    @cached_property
    def nested(self) -> dict[str, tuple[str, ...]]:
        """For each group the groups whose blocks it moves."""
        return {
            name: tuple(other for other, group in self.groups.items() if name in group.within) for name in self.groups
        }
