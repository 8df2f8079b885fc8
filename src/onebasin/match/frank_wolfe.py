"""Frank-Wolfe over doubly stochastic matrices: the permutations of n networks, relaxed and improved all at once.

Every permutation is relaxed to a doubly stochastic matrix. A step solves one linear assignment per group and network,
at the gradient, and moves all matrices together towards the permutations found (Frank & Wolfe 1956; for n networks
Crisostomi et al. 2024, arXiv 2405.17897). On that line the objective is a polynomial, of twice the degree in which
permutations act on one tensor, so that the best step is exact. All that a step needs, but for the gradients, follows
from reordered copies of what is there: matrices are multiplied for gradients alone.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping

import numpy as np
import torch
from numpy.polynomial import Polynomial
from torch import Tensor

from onebasin.match.assignment import assign, assign_nearby
from onebasin.symmetry import Place, Symmetry

LARGE = 128  # units of a group from which leaving out entries of its assignment pays
Orders = Mapping[str, np.ndarray]


class Relaxation(ABC):
    """An objective of doubly stochastic matrices.

    Attributes:
        matrices: for each relaxed group [networks, units, units].
        neighbours: for each relaxed group the others on which its gradient depends.
    """

    matrices: dict[str, Tensor]
    neighbours: Mapping[str, frozenset[str]]

    @abstractmethod
    def gradient(self, name: str) -> Tensor:
        """Return the gradient of the objective by a group's matrices, [networks, units, units]."""

    @abstractmethod
    def line(self, orders: Orders) -> Polynomial:
        """Return the objective on the line from the matrices (0) to the permutations of some groups (1)."""

    @abstractmethod
    def move(self, orders: Orders, step: float) -> None:
        """Go so far along that line."""

    def projected(self) -> dict[str, np.ndarray]:
        """Return, for each relaxed group, the permutations closest to the matrices, [networks, units]."""
        return {name: _assign_each(matrices, None) for name, matrices in self.matrices.items()}

    def _move_matrices(self, orders: Orders, step: float) -> None:
        for name, order in orders.items():
            matrices = self.matrices[name]
            matrices.mul_(1 - step)
            matrices.scatter_add_(2, _index(order, matrices)[..., None], torch.full_like(matrices[..., :1], step))


def maximise(relaxation: Relaxation, *, max_steps: int = 100, tolerance: float = 1e-4) -> int:
    """Climb to a point from which no line leads up.

    Args:
        relaxation: where to start; its matrices are moved in place.
        max_steps: the search stops after so many steps.
        tolerance: it also stops when a step gains less than this share of the objective.

    Returns:
        The number of steps.
    """
    orders: dict[str, np.ndarray] = {}
    gains: dict[str, float] = {}
    stale = set(relaxation.matrices)
    for step in range(max_steps):
        for name in relaxation.matrices:  # solved again only where the gradient changed
            if name in stale:
                gradient = relaxation.gradient(name)
                orders[name] = _assign_each(gradient, orders.get(name))
                there = gradient.gather(2, _index(orders[name], gradient)[..., None]).sum(dtype=torch.float64)
                here = (gradient * relaxation.matrices[name]).sum(dtype=torch.float64)
                gains[name] = float(there - here) if float(there - here) > 1e-6 * abs(float(there)) else 0.0
        moving = {name: orders[name] for name in relaxation.matrices if gains[name] > 0}
        line = relaxation.line(moving)
        best = _highest(line)
        if not moving or line(best) - line(0) <= tolerance * abs(line(best)):
            return step
        relaxation.move(moving, best)
        stale = {other for name in moving for other in (name, *relaxation.neighbours[name])}
    return max_steps


def _assign_each(gradient: Tensor, before: np.ndarray | None) -> np.ndarray:
    gains = gradient.cpu().numpy()
    if before is None or gains.shape[1] < LARGE:
        return np.stack([assign(gain) for gain in gains])
    return np.stack([assign_nearby(gain, order) for gain, order in zip(gains, before, strict=True)])


def _highest(line: Polynomial) -> float:
    """Return the point of [0, 1] at which a polynomial is largest."""
    turns = [complex(root) for root in line.deriv().roots()]
    points = [0.0, 1.0, *(turn.real for turn in turns if abs(turn.imag) < 1e-9 and 0 < turn.real < 1)]
    return max(points, key=lambda point: float(line(point)))


def _index(order: np.ndarray, like: Tensor) -> Tensor:
    return torch.tensor(order, device=like.device)


class Tensors(Relaxation):
    """The sum over pairs of networks of the inner product of their parameters, for weight matching."""

    def __init__(self, symmetry: Symmetry, tensors: Mapping[str, Tensor], matrices: Mapping[str, Tensor]) -> None:
        """Relax the groups that ``matrices`` names.

        Args:
            symmetry: of the networks' model.
            tensors: the parameters of all networks, each [networks, …], all other groups already in order.
            matrices: for each group to be relaxed the start, [networks, units, units].
        """
        self.matrices = {name: start.clone() for name, start in matrices.items()}
        self.neighbours = {name: symmetry.neighbours[name] & self.matrices.keys() for name in self.matrices}
        self.places: dict[str, list[tuple[str, Place]]] = {key: [] for key in tensors}
        for name in self.matrices:
            for place in symmetry.places(name):
                if place.key in tensors:
                    self.places[place.key].append((name, place))
        # For each tensor, under the matrices of each set of its places; a set is written as the sum of its powers of 2.
        self.moved = {key: [tensor] for key, tensor in tensors.items()}
        for key, places in self.places.items():
            for name, place in places:
                self.moved[key] += [
                    _put(place, tensor, self.matrices[name] @ _units(place, tensor)) for tensor in self.moved[key]
                ]

    def gradient(self, name: str) -> Tensor:
        """Sum over the places of the group, from products with the sum of the other networks."""
        total = torch.zeros_like(self.matrices[name])
        for key, places in self.places.items():
            for number, (other, place) in enumerate(places):
                if other == name:
                    everywhere = self.moved[key][-1]
                    elsewhere = self.moved[key][len(self.moved[key]) - 1 - (1 << number)]
                    rest = everywhere.sum(0) - everywhere
                    total.baddbmm_(_units(place, rest), _units(place, elsewhere).mT)
        return total

    def line(self, orders: Orders) -> Polynomial:
        """Sum over tensors; each moves along a curve whose degree is the number of its places that move."""
        total = Polynomial([0.0])
        for key in self.places:
            full = len(self.moved[key]) - 1
            points: dict[int, Tensor] = {}
            for count, tensor in self._corners(key, full, orders):
                points[count] = points[count] + tensor if count in points else tensor
            curve = torch.stack([points[count].flatten(1) for count in range(len(points))])
            # Over pairs: the square of the sum, less the sum of squares.
            summed, apart = curve.sum(1), curve.flatten(1)
            products = (summed @ summed.T - apart @ apart.T).double().cpu().numpy() / 2
            degree = 2 * (len(points) - 1)
            for (i, j), product in np.ndenumerate(products):
                total += product * _bernstein(i + j, degree)
        return total

    def move(self, orders: Orders, step: float) -> None:
        """Move the matrices, and every tensor under them."""
        for key, places in self.places.items():
            if any(name in orders for name, _ in places):
                moved = []
                for chosen in range(len(self.moved[key])):
                    corners = list(self._corners(key, chosen, orders))
                    degree = max(count for count, _ in corners)
                    total = torch.zeros_like(corners[0][1])
                    for count, corner in corners:
                        total.add_(corner, alpha=step**count * (1 - step) ** (degree - count))
                    moved.append(total)
                self.moved[key] = moved
        self._move_matrices(orders, step)

    def _corners(self, key: str, chosen: int, orders: Orders) -> Iterator[tuple[int, Tensor]]:
        """Yield a tensor under either matrix or permutation at each chosen place that moves, and how many of these."""
        corners: list[tuple[int, int, tuple[tuple[str, Place], ...]]] = [(0, chosen, ())]
        for number, (name, place) in enumerate(self.places[key]):
            if chosen >> number & 1 and name in orders:
                corners += [(i + 1, rest - (1 << number), (*done, (name, place))) for i, rest, done in corners]
        for i, rest, done in corners:
            tensor = self.moved[key][rest]
            for name, place in done:
                rows = _units(place, tensor)
                order = _index(orders[name], tensor)
                tensor = _put(place, tensor, rows[torch.arange(len(rows), device=rows.device)[:, None], order])
            yield i, tensor


class Gains(Relaxation):
    """The sum over pairs of networks of what matched units of one group are worth, for activation matching."""

    def __init__(self, name: str, gains: Mapping[tuple[int, int], Tensor], start: Tensor) -> None:
        """Relax one group.

        Args:
            name: the group.
            gains: for each ordered pair of positions of networks, [units, units].
            start: [networks, units, units].
        """
        self.name, self.gains = name, gains
        self.matrices, self.neighbours = {name: start.clone()}, {name: frozenset()}
        self.slope = torch.zeros_like(start)
        for (other, network), gain in gains.items():
            self.slope[network].addmm_(start[other], gain)

    def gradient(self, name: str) -> Tensor:
        """Return it as it was kept: it is linear in the matrices."""
        return self.slope

    def line(self, orders: Orders) -> Polynomial:
        """Return a polynomial of degree 2."""
        here = _product(self.slope, self.matrices[self.name])
        if not orders:
            return Polynomial([here / 2])
        order = _index(orders[self.name], self.slope)[..., None]
        mixed = float(self.slope.gather(2, order).sum(dtype=torch.float64))
        there = float(self._slope_at(orders).gather(2, order).sum(dtype=torch.float64))
        return here / 2 * _bernstein(0, 2) + mixed * _bernstein(1, 2) + there / 2 * _bernstein(2, 2)

    def move(self, orders: Orders, step: float) -> None:
        """Move the matrices and the gradient."""
        self.slope = (1 - step) * self.slope + step * self._slope_at(orders)
        self._move_matrices(orders, step)

    def _slope_at(self, orders: Orders) -> Tensor:
        total = torch.zeros_like(self.slope)
        for (other, network), gain in self.gains.items():
            total[network] += gain[_index(orders[self.name][other], gain)]
        return total


def _units(place: Place, tensors: Tensor) -> Tensor:
    """Return the tensors of n networks, [n, …], as [n, units, features]."""
    if place.whole:
        return tensors.movedim(place.axis + 1, 1).flatten(2) if tensors.dim() > 2 else tensors[..., None]
    assert place.table is not None
    return tensors.flatten(1)[:, place.table.to(tensors.device)]


def _put(place: Place, tensors: Tensor, units: Tensor) -> Tensor:
    """Return the tensors with other units, given as ``_units`` returns them."""
    if place.whole:
        return units.reshape(tensors.movedim(place.axis + 1, 1).shape).movedim(1, place.axis + 1)
    assert place.table is not None
    result = tensors.flatten(1).clone()
    result[:, place.table.to(tensors.device)] = units
    return result.reshape(tensors.shape)


def _product(a: Tensor, b: Tensor) -> float:
    return float((a * b).sum(dtype=torch.float64))


def _bernstein(power: int, degree: int) -> Polynomial:
    return Polynomial([0, 1]) ** power * Polynomial([1, -1]) ** (degree - power)
