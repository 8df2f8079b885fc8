"""Coordinate ascent: the search of weight matching, one group of units after another.

With all other groups held, the best order of one group is a linear assignment on the Gram matrix of its units, summed
over every axis that the group acts on (Ainsworth et al. 2023, arXiv 2209.04836, algorithm 1). The groups are visited in
a random order at first, and then always the one around which most units moved since it was solved, until nothing moved
around any: this needs fewer solutions than sweeps in random order, and ends higher. Gram matrices are kept, and
corrected for the units that moved. A large assignment takes only promising entries into account as long as that
improves it, and is then solved in full, so that no group can be improved at the end.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from onebasin.match.assignment import assign, assign_blocks, assign_nearby, assign_within
from onebasin.permutation import Permutation
from onebasin.symmetry import Place, State, Symmetry, stack

LARGE = 128  # units of a group from which leaving out entries of its assignment pays


def is_small(symmetry: Symmetry) -> bool:
    """Say whether a search takes no time, so that several starts are tried."""
    return max(symmetry.sizes.values(), default=0) < LARGE


def as_real(symmetry: Symmetry, states: Sequence[State]) -> tuple[Symmetry, list[State]]:
    """Return networks without complex tensors: real and imaginary parts are tensors by themselves, that move together.

    Args:
        symmetry: the symmetry of the networks' model.
        states: its networks.
    """
    if not any(value.is_complex() for value in states[0].values() if torch.is_tensor(value)):
        return symmetry, list(states)
    parts = [
        [
            {key: value.real if value.is_complex() else value for key, value in state.items()},
            {key: value.imag if value.is_complex() else torch.zeros_like(value) for key, value in state.items()},
        ]
        for state in states
    ]
    return symmetry.stacked(2), [stack(pair) for pair in parts]


def counted_keys(symmetry: Symmetry, state: State, biases: bool = True) -> list[str]:
    """Return the state keys of the parameters that weight matching compares, sorted.

    Args:
        symmetry: the symmetry of the model.
        state: a state of the model.
        biases: as for ``weights``.
    """
    found = {key for group in symmetry.groups.values() for key, _ in group.axes} & symmetry.parameters
    return sorted(key for key in found if biases or state[key].dim() > 1)


@dataclass
class _Gain:
    """The sum of a group's Gram matrices, and what it was computed with.

    Attributes:
        values: [units of a, units of b], of the places where at most one other group acts.
        orders: the order of that other group, at each place that has one.
        others: at each remaining place, the versions of the groups there, and the Gram matrix.
    """

    values: Tensor
    orders: dict[Place, np.ndarray]
    others: dict[Place, tuple[tuple[int, ...], Tensor]] = field(default_factory=dict)


class Search:
    """Coordinate ascent towards a target, from one starting point at a time.

    Attributes:
        a: the target: tensors like those of a state.
        b: the counted parameters of the network that is permuted, as they are.
        places: for each group the places that count.
        permutation: where the search stands.
    """

    def __init__(self, symmetry: Symmetry, state: State, *, cosine: bool = False, biases: bool = True) -> None:
        self.symmetry, self.cosine = symmetry, cosine
        counted = counted_keys(symmetry, state, biases)
        self.b = {key: state[key].detach().float() for key in counted}
        self.counted = {name: [p for p in symmetry.places(name) if p.key in counted] for name in symmetry.groups}
        self.places = self.counted
        self.acting: dict[str, list[str]] = {key: [] for key in counted}
        for name, places in self.places.items():
            for place in places:
                self.acting[place.key].append(name)
        self.children = symmetry.nested
        # Elsewhere the assignment is exact; here it approximates a quadratic problem, and its result is checked.
        self.approximate = {
            name: bool(self.children[name]) or any(self.acting[p.key].count(name) > 1 for p in places)
            for name, places in self.places.items()
        }
        self.reset(symmetry.identity())

    def aim(self, target: State, places: Mapping[str, list[Place]] | None = None) -> None:
        """Set the target, of which only the tensors at the given places are needed; by default all that count."""
        self.places = self.counted if places is None else {**dict.fromkeys(self.counted, []), **places}
        self.a = {p.key: target[p.key].detach().float() for found in self.places.values() for p in found}
        self.rows_a = {place: self._rows(place, self.a[place.key]) for found in self.places.values() for place in found}
        self.gains.clear()

    def reset(self, start: Permutation) -> None:
        """Stand at another permutation."""
        self.permutation: dict[str, np.ndarray] = dict(start)
        self.versions = dict.fromkeys(start, 0)
        self.gains: dict[str, _Gain] = {}

    def permuted(self, key: str) -> Tensor:
        """Return a counted parameter where the search stands."""
        return self.symmetry.apply_to(key, self.b[key], self.permutation)

    def run(self, generator: torch.Generator, max_sweeps: int) -> int:
        """Solve groups until none can be improved; return the number of solutions, in sweeps over all groups."""
        names = list(self.permutation)
        order = [names[index] for index in torch.randperm(len(names), generator=generator).tolist()]
        stirred = {name: math.inf for name in order}  # units that moved around a group since it was solved
        solutions = 0
        while any(stirred.values()) and solutions < max_sweeps * len(names):
            name = max(order, key=lambda group: stirred[group])
            solutions += 1
            stirred[name] = 0
            before = self.permutation[name]
            # What leaving out entries cannot improve is solved in full.
            if self.improve(name, exact=False) or self.improve(name, exact=True):
                moved = int((self.permutation[name] != before).sum())
                for other in self.symmetry.neighbours[name]:
                    stirred[other] += moved
                if self.approximate[name]:
                    stirred[name] = moved
        return math.ceil(solutions / len(names)) if names else 0

    def objective(self) -> float:
        """Return what ``weights`` maximises, where the search stands."""
        if self.cosine:
            places = [(name, place) for name, found in self.places.items() for place in found]
            total = sum(self._agreement(name, place, self.permutation) for name, place in places)
            return total / sum(len(self.rows_a[place]) for _, place in places)
        return sum(self._product(key, self.permutation) for key in self.a)

    def improve(self, name: str, exact: bool = True) -> bool:
        """Solve one group with all others held; return whether its order changed for the better."""
        plain = not self.children[name] and self.symmetry.groups[name].blocks == 1
        if not exact and not (plain and len(self.permutation[name]) >= LARGE):
            return False
        blocks = self.symmetry.groups[name].blocks
        if not self.places[name]:
            return False
        if self.children[name]:
            new = self._move_blocks(name)
        elif blocks > 1:
            new = self._order_within(name)
        else:
            gain = self.gain(name).cpu().numpy()
            current = self.permutation[name]
            order = assign(gain) if exact else assign_nearby(gain, current)
            units = np.arange(len(order))
            difference = gain[units, order] - gain[units, current]
            if not difference.sum() > 1e-6 * np.abs(gain[units, order]).sum():
                return False
            new = {**self.permutation, name: order}
        if blocks > 1 or self.approximate[name]:
            before, after = (self._around(name, choice) for choice in (self.permutation, new))
            if not after - before > 1e-6 * abs(after):
                return False
        self.permutation = new
        for moved in (name, *self.children[name]):
            self.versions[moved] += 1
        return True

    def _rows(self, place: Place, tensor: Tensor) -> Tensor:
        rows = place.units(tensor)
        return functional.normalize(rows, dim=1) if self.cosine else rows

    def _around(self, name: str, permutation: dict[str, np.ndarray]) -> float:
        """The part of the objective that depends on a group and on those nested in it."""
        if self.cosine:
            return sum(self._agreement(name, place, permutation) for place in self.places[name])
        keys = dict.fromkeys(place.key for place in self.places[name])  # each once, also if the group is on two axes
        return sum(self._product(key, permutation) for key in keys)

    def _product(self, key: str, permutation: dict[str, np.ndarray]) -> float:
        moved = self.symmetry.apply_to(key, self.b[key], permutation)
        return float((self.a[key] * moved).sum(dtype=torch.float64))

    def _agreement(self, name: str, place: Place, permutation: dict[str, np.ndarray]) -> float:
        tensor = self.symmetry.apply_to(place.key, self.b[place.key], permutation)
        return float((self.rows_a[place] * self._rows(place, tensor)).sum(dtype=torch.float64))

    def gain(self, name: str) -> Tensor:
        """Return what matching each unit of a with each unit of b is worth, with b in the order of all other groups."""
        simple = [place for place in self.places[name] if self._is_simple(name, place)]
        if name not in self.gains:
            size = len(self.permutation[name])
            values = torch.zeros(size, size, device=next(iter(self.b.values())).device)
            for place in simple:
                tensor = self.symmetry.apply_to(place.key, self.b[place.key], self.permutation, skip=name)
                values.addmm_(self.rows_a[place], self._rows(place, tensor).T)
            orders = {place: self.permutation[place.other[1]] for place in simple if place.other}
            self.gains[name] = _Gain(values, orders)
        gain = self.gains[name]
        for place in gain.orders:
            self._correct(gain, place)
        total = gain.values
        for place in self.places[name]:
            if place not in simple:
                total = total + self._gram(name, place, gain)
        return total

    def _is_simple(self, name: str, place: Place) -> bool:
        acting = self.acting[place.key]
        return acting == [name] or (place.other is not None and len(acting) == 2)

    def _correct(self, gain: _Gain, place: Place) -> None:
        """Update a sum of Gram matrices for the units of the other group that moved since."""
        assert place.other is not None
        axis, other = place.other
        old, new = gain.orders[place], self.permutation[other]
        moved = np.flatnonzero(new != old)
        if not len(moved):
            return
        a, b = self.a[place.key], self.b[place.key]
        here, before, after = (torch.from_numpy(index).to(b.device) for index in (moved, old[moved], new[moved]))
        change = place.units(b.index_select(axis, after) - b.index_select(axis, before))
        kept = place.units(a.index_select(axis, here))
        if self.cosine:  # the length of a unit's parameters does not depend on their order
            kept = kept / place.units(a).norm(dim=1, keepdim=True).clamp_min(1e-12)
            change = change / place.units(b).norm(dim=1, keepdim=True).clamp_min(1e-12)
        gain.values.addmm_(kept, change.T)
        gain.orders[place] = new

    def _gram(self, name: str, place: Place, gain: _Gain) -> Tensor:
        """Return the inner products at one place where several groups act, or this one twice."""
        key, acting = place.key, self.acting[place.key]
        twice = acting.count(name) > 1
        versions = tuple(self.versions[other] for other in acting if twice or other != name)
        if place not in gain.others or gain.others[place][0] != versions:
            tensor = self.symmetry.apply_to(key, self.b[key], self.permutation, skip=None if twice else name)
            rows = self._rows(place, tensor)
            if twice:  # this axis went along with the other one: put it back
                rows = rows[torch.from_numpy(np.argsort(self.permutation[name])).to(rows.device)]
            gain.others[place] = versions, self.rows_a[place] @ rows.T
        return gain.others[place][1]

    def _order_within(self, name: str) -> dict[str, np.ndarray]:
        """Order the units within each block, the blocks held where they are."""
        group = self.symmetry.groups[name]
        inner = {other: self.symmetry.inner(self.permutation, other) for other in self.permutation}
        inner[name] = np.tile(np.arange(group.block_size), (group.blocks, 1))
        inner[name] = assign_within(self._block_gains(name, self.symmetry.assemble(inner)))
        return dict(self.symmetry.assemble(inner))

    def _move_blocks(self, name: str) -> dict[str, np.ndarray]:
        """Order the blocks, each pair of blocks compared under the best orders of the units within."""
        symmetry, order = self.symmetry, self.permutation[name]
        inner = {other: symmetry.inner(self.permutation, other) for other in self.permutation}
        children = [child for child in self.children[name] if symmetry.groups[child].within == (name,)]
        if symmetry.groups[name].blocks > 1 or len(children) < len(self.children[name]):
            return self.permutation  # nesting deeper than two: the blocks stay where they are
        by_source = {child: inner[child][np.argsort(order)] for child in children}
        gains = {}
        for child in children:
            start = {**inner, **by_source, name: np.arange(len(order))[None]}
            start[child] = np.tile(np.arange(symmetry.groups[child].block_size), (len(order), 1))
            gains[child] = self._block_gains(child, symmetry.assemble(start))
        gain = np.zeros((len(order), len(order)))
        start = {**inner, **by_source, name: np.arange(len(order))[None]}
        held = symmetry.assemble(start)
        for place in self.places[name]:
            if not any(child in self.acting[place.key] for child in children):
                tensor = symmetry.apply_to(place.key, self.b[place.key], held)
                gain += (self.rows_a[place] @ self._rows(place, tensor).T).cpu().numpy()
        new, orders = assign_blocks(gain, gains)
        return dict(symmetry.assemble({**inner, **orders, name: new[None]}))

    def _block_gains(self, name: str, permutation: Permutation) -> np.ndarray:
        """Return the inner products [block of a, block of b, unit of a, unit of b] of a group's units."""
        group = self.symmetry.groups[name]
        total = np.zeros((group.blocks, group.blocks, group.block_size, group.block_size), dtype=np.float32)
        for place in self.places[name]:
            tensor = self.symmetry.apply_to(place.key, self.b[place.key], permutation)
            a = self.rows_a[place].unflatten(0, (group.blocks, group.block_size))
            b = self._rows(place, tensor).unflatten(0, (group.blocks, group.block_size))
            total += torch.einsum("iuf,jvf->ijuv", a, b).cpu().numpy()
        return total
