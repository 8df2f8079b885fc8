"""Linear maps in place of permutations: alignment by canonical correlations and by orthogonal Procrustes.

A permutation matches each unit of a network y to one unit of a network x. A linear map T puts in the place of each
unit of x a combination of units of y: what makes the units of a group takes T, what reads them takes T⁻¹. It follows
from the covariances S of the activations of each group:

* ``procrustes``: the orthogonal T that brings activations nearest, T = U Vᵀ with S_xy = U Σ Vᵀ (Schönemann 1966).
* ``cca``: the same between whitened activations (CCA Merge, Horoi et al. 2024, arXiv 2407.05385):
  T = A^½ U Vᵀ B^-½ with A = S_xx + γ I, B = S_yy + γ I and A^-½ S_xy B^-½ = U Σ Vᵀ. Activations have any scale, so γ is
  given in units of their mean variance. As γ grows, ``cca`` becomes ``procrustes``.
* ``permutation``: the units whose correlations add up to most, which is what activation matching finds.

T is no symmetry. Between two layers stands a ReLU, ReLU(T y) is not T ReLU(y) unless T is a permutation (or one with
positive factors), and so the mapped network computes another function than y did. In a network without nonlinearities,
and in linear layers alone, T and T⁻¹ cancel.

Where activations do not vary, S says nothing, and any rotation would do: the permutation then decides, as a millionth
part of what is decomposed.

What is no linear layer cannot take T. The shift of a norm is a vector of units, which takes T as a bias does; its
scale g is a diagonal matrix, which would become T diag(g) T⁻¹, of which a norm can hold the diagonal alone; a running
mean takes T, and running variances are measured again. For permutations that is exact. Groups in blocks, and tensors
that other operations use, are refused. A residual stream has one T, which its sums leave as it is.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from onebasin.landscape import repair
from onebasin.match.activation_matching import best_order, correlation, features, without_ties
from onebasin.match.result import several
from onebasin.permutation import Permutation
from onebasin.symmetry import State, Symmetry, apply_along, check_states

MAPS = ("permutation", "cca", "procrustes")
TIE = 1e-6
"""Share of the permutation in what is decomposed, in units of its largest singular value."""


class LinearMapError(ValueError):
    """A model that linear maps cannot be applied to."""


@dataclass(frozen=True)
class Moments:
    """Moments of the activations of the units of a group in n networks.

    Attributes:
        means: [n, units].
        products: of all units with all others, [n, n, units, units].
    """

    means: Tensor
    products: Tensor

    def covariance(self, a: int, b: int) -> Tensor:
        """Return the covariances of the units of networks a and b [units of a, units of b]."""
        return self.products[a, b] - torch.outer(self.means[a], self.means[b])

    def correlation(self, a: int, b: int) -> Tensor:
        """Return their correlations."""
        squares = self.products[a, a].diagonal(), self.products[b, b].diagonal()
        return correlation(self.products[a, b], (self.means[a], self.means[b]), squares)


@dataclass(frozen=True)
class LinearMap:
    """What takes a network y into the frame of a network x.

    Attributes:
        matrices: for each group T [units, units]: element i, j is the share of unit j of y in the place of unit i of x.
        inverses: for each group T⁻¹.
        permutation: the same as one, where it is one.
    """

    matrices: Mapping[str, Tensor]
    inverses: Mapping[str, Tensor]
    permutation: Permutation | None = None

    def inverse(self) -> LinearMap:
        """Return what takes x into the frame of y."""
        return LinearMap(self.inverses, self.matrices, self.permutation and self.permutation.inverse())


def moments(
    symmetry: Symmetry,
    model: nn.Module,
    states: Sequence[State],
    images: Tensor,
    *,
    intermediate: str = "last",
    batch_size: int = 512,
) -> dict[str, Moments]:
    """Measure how the units of n networks vary together, in float64, in one pass over the images.

    Args:
        symmetry: the symmetry of ``model``.
        model: the module of all networks.
        states: of the n networks, on the device to compute on.
        images: unaugmented training images [N, …], on the same device.
        intermediate: where a group's units are read, "last" (after the nonlinearity, or the last residual sum) or
            "first" (before it).
        batch_size: images per forward pass of two networks.

    Returns:
        By the names of groups.

    Raises:
        LinearMapError: for groups in blocks.
        ValueError: for another intermediate, fewer than 2 images, or states that do not fit the model.
        SymmetryError: if no intermediate shows the units of a group.
    """
    if intermediate not in ("last", "first"):
        raise ValueError(f"intermediate {intermediate!r}: allowed are last, first")
    check_states(symmetry, {f"network {number}": state for number, state in enumerate(states)})
    check_groups(symmetry)
    count = len(states)
    sums: dict[str, list[Tensor]] = {}
    rows = dict.fromkeys(symmetry.groups, 0)
    for name, _, seen in features(
        symmetry, model, several(*states), images, intermediate=intermediate, batch_size=batch_size
    ):
        joint = torch.cat(seen, 1).double()
        found = [joint.sum(0), joint.T @ joint]
        sums[name] = [old + new for old, new in zip(sums[name], found, strict=True)] if name in sums else found
        rows[name] += len(joint)
    result = {}
    for name, (total, products) in sums.items():
        shape = (count, len(total) // count)
        means, mean_products = total / rows[name], products / rows[name]
        result[name] = Moments(means.reshape(shape), mean_products.reshape(*shape, *shape).transpose(1, 2))
    return result


def check_groups(symmetry: Symmetry) -> None:
    """Raise LinearMapError for groups whose units come in blocks, which no single matrix moves."""
    for name, group in symmetry.groups.items():
        if group.blocks > 1 or group.within or symmetry.nested[name]:
            raise LinearMapError(
                f"the units of {name!r} come in blocks or move blocks (heads of attention, grouped convolution), and "
                "linear maps are of whole layers"
            )


def permutation_of(
    symmetry: Symmetry, found: Mapping[str, Moments], pair: tuple[int, int], states: tuple[State, State]
) -> LinearMap:
    """Return the permutation that activation matching finds, as matrices.

    Args:
        symmetry: the symmetry of the networks' model.
        found: as ``moments`` gives them.
        pair: the numbers of network x and of network y in them.
        states: their states, which decide where activations say nothing.
    """
    gains = {name: statistics.correlation(*pair) for name, statistics in found.items()}
    device = next(iter(found.values())).means.device
    return of_permutation(best_order(symmetry, without_ties(symmetry, gains, *states)), device)


def of_permutation(permutation: Permutation, device: torch.device | str = "cpu") -> LinearMap:
    """Return a permutation as matrices on a device."""
    matrices = {}
    for name, order in permutation.items():
        one = torch.eye(len(order), dtype=torch.float64, device=device)
        matrices[name] = one[torch.tensor(order, device=device)]
    return LinearMap(matrices, {name: matrix.T for name, matrix in matrices.items()}, permutation)


def procrustes(found: Mapping[str, Moments], pair: tuple[int, int], permutation: LinearMap) -> LinearMap:
    """Return the orthogonal maps that bring the activations of network y nearest to those of network x.

    Args:
        found: as ``moments`` gives them.
        pair: the numbers of network x and of network y in them.
        permutation: of the pair, which decides where activations do not vary.
    """
    matrices = {
        name: nearest_orthogonal(statistics.covariance(*pair), permutation.matrices[name])
        for name, statistics in found.items()
    }
    return LinearMap(matrices, {name: matrix.T for name, matrix in matrices.items()})


def cca(found: Mapping[str, Moments], pair: tuple[int, int], permutation: LinearMap, gamma: float) -> LinearMap:
    """Return the maps of CCA Merge (arXiv 2407.05385, section 4).

    Args:
        found: as ``moments`` gives them.
        pair: the numbers of network x and of network y in them.
        permutation: of the pair, which decides where activations do not vary.
        gamma: what is added to the variances of all units, in units of the mean variance of those of both networks;
            above 0.

    Raises:
        ValueError: for a gamma of 0 or less.
    """
    if not gamma > 0:
        raise ValueError(f"gamma must be above 0, not {gamma}")
    x, y = pair
    matrices, inverses = {}, {}
    for name, statistics in found.items():
        of_x, of_y = statistics.covariance(x, x), statistics.covariance(y, y)
        ridge = gamma * max(float(of_x.trace() + of_y.trace()) / (2 * len(of_x)), 0.0) or 1.0
        root_x, whitened_x = _roots(of_x, ridge)
        root_y, whitened_y = _roots(of_y, ridge)
        turned = nearest_orthogonal(whitened_x @ statistics.covariance(x, y) @ whitened_y, permutation.matrices[name])
        matrices[name] = root_x @ turned @ whitened_y
        inverses[name] = root_y @ turned.T @ whitened_x
    return LinearMap(matrices, inverses)


def nearest_orthogonal(matrix: Tensor, tie: Tensor) -> Tensor:
    """Return the orthogonal matrix whose inner product with another one is largest.

    Args:
        matrix: [units, units].
        tie: another orthogonal matrix, which decides about what the first one leaves open.
    """
    largest = float(torch.linalg.matrix_norm(matrix, 2)) or 1.0
    left, _, right = torch.linalg.svd(matrix + TIE * largest * tie)
    return left @ right


def _roots(covariance: Tensor, ridge: float) -> tuple[Tensor, Tensor]:
    """Return the square root of a covariance with a ridge, and the inverse of it."""
    values, vectors = torch.linalg.eigh(covariance)
    roots = (values.clamp(min=0) + ridge).sqrt()
    return (vectors * roots) @ vectors.T, (vectors / roots) @ vectors.T


def apply(symmetry: Symmetry, model: nn.Module, linear_map: LinearMap, state: State, images: Tensor) -> State:
    """Return a network in the frame of another one: another function, unless the map is a permutation.

    Args:
        symmetry: the symmetry of ``model``.
        model: the module of the network.
        linear_map: what takes the network there.
        state: of the network, on the device of the images.
        images: unaugmented training images [N, …], on which running variances are measured.

    Returns:
        A new state of the same model.

    Raises:
        LinearMapError: for a parameter that a matrix cannot be applied to; the message names it.
    """
    if linear_map.permutation is not None:
        return symmetry.apply(linear_map.permutation, state)
    check_groups(symmetry)
    matrices, inverses = linear_map.matrices, linear_map.inverses
    known = repair.roles(model, state, images[:2])
    by_kind: dict[str, dict[str, Tensor]] = {
        "makes": {name: matrix[None] for name, matrix in matrices.items()},
        "reads": {name: inverse.T[None] for name, inverse in inverses.items()},
        "scale": {name: (matrix * inverses[name].T)[None] for name, matrix in matrices.items()},
        "variance": {name: matrix.square()[None] for name, matrix in matrices.items()},
    }
    moving = {place for group in symmetry.groups.values() for place in group.axes}
    for key, _ in sorted(moving):
        role = known.get(key)
        if role is None or (role.kind == "weight" and role.rows is None):
            raise LinearMapError(
                f"{key!r} cannot be mapped by a matrix: it belongs to no linear layer, convolution or norm"
            )

    def along(key: str, axis: int) -> Mapping[str, Tensor]:
        if (key, axis) not in moving:
            return {}
        kind, rows = known[key]
        if kind == "weight":
            kind = "makes" if axis == rows else "reads"
        return by_kind.get(kind, by_kind["makes"])

    exact = {
        key: value.to(torch.promote_types(value.dtype, torch.float64))
        if value.is_floating_point() or value.is_complex()
        else value
        for key, value in state.items()
    }
    moved = {key: value.to(state[key].dtype) for key, value in apply_along(symmetry, along, exact).items()}
    reset = repair.correction("reset", model, [moved], images)
    return reset(moved, [1.0]) if reset else moved
