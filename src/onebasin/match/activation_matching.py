"""Activation matching: align two networks by what their units compute on the same images.

One pass over unaugmented images collects, for every permutation group, how the activations of the two networks' units
correlate; one linear assignment per group then maximises the sum over matched units (Li et al. 2016, arXiv 1511.07543;
Ainsworth et al. 2023, section 3; Sharma et al. 2024, arXiv 2404.06498, section 3).
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Mapping, Sequence
from itertools import combinations

import numpy as np
import torch
from torch import Tensor, nn

from onebasin.match.assignment import assign, assign_blocks, assign_within
from onebasin.match.coordinate_ascent import Search, as_real
from onebasin.match.result import Match, several
from onebasin.permutation import Permutation
from onebasin.symmetry import Network, Operations, State, Symmetry, TracedSymmetry, Units, check_states, discover

Gains = Mapping[str, Tensor]
KERNELS = ("correlation", "cosine", "linear")
INTERMEDIATES = ("last", "first", "all")


def activations(
    symmetry: Symmetry,
    state_a: State | Sequence[State],
    state_b: State | Sequence[State],
    *,
    model: nn.Module,
    images: Tensor,
    kernel: str = "correlation",
    n_images: int | None = None,
    intermediate: str = "last",
    batch_size: int = 512,
) -> Match:
    """Find the permutation of network b under which its units respond most like those of network a.

    Args:
        symmetry: the symmetry of ``model``.
        state_a: the state dict of network a, on the device to compute on; or several, from different moments of its
            training, whose activations are put one after another, as if they came from more images.
        state_b: the state dict of network b, on the same device; or as many of the same moments.
        model: the module of both networks.
        images: unaugmented training images [N, …], on the same device.
        kernel: how two units are compared over images and positions: "correlation" (centred), "cosine" (uncentred),
            "linear" (mean product, not scaled).
        n_images: use only the first so many images; None for all.
        intermediate: where a group's units are read: "first" (before the nonlinearity), "last" (after it, or after the
            last residual sum), "all" (the mean over every intermediate that shows them).
        batch_size: images per forward pass.

    Returns:
        The match; its objective is the kernel's mean over all matched units.

    Raises:
        ValueError: for an unknown kernel or intermediate, fewer than 2 images, or states that do not fit the model.
        SymmetryError: if no intermediate shows the units of a group, or the model fails on the images.
    """
    check_states(symmetry, {"state_a": state_a, "state_b": state_b})
    start = time.perf_counter()
    gains = correlations(
        symmetry,
        model,
        [state_a, state_b],
        images,
        kernel=kernel,
        n_images=n_images,
        intermediate=intermediate,
        batch_size=batch_size,
    )[0, 1]
    last_a, last_b = (moments[-1] for moments in several(state_a, state_b))
    permutation = best_order(symmetry, without_ties(symmetry, gains, last_a, last_b))
    return Match(permutation, mean_gain(gains, permutation), 1, time.perf_counter() - start)


def correlations(
    symmetry: Symmetry,
    model: nn.Module,
    states: Sequence[State | Sequence[State]],
    images: Tensor,
    *,
    kernel: str = "correlation",
    n_images: int | None = None,
    intermediate: str = "last",
    batch_size: int = 512,
) -> dict[tuple[int, int], Gains]:
    """Compare the units of n networks by their activations, in one pass over the images.

    Args:
        symmetry: the symmetry of ``model``.
        model: the module of all networks.
        states: for each of n networks its state dict, on the device to compute on, or several, as for ``activations``.
        images: unaugmented training images [N, …], on the same device.
        kernel: as for ``activations``.
        n_images: as for ``activations``.
        intermediate: as for ``activations``.
        batch_size: images per forward pass of two networks; of more, so many fewer that memory stays the same.

    Returns:
        For each pair of positions a < b in ``states``, and each group in which no other one is nested, the kernel
        [units of a, units of b].

    Raises:
        ValueError: for an unknown kernel or intermediate, or fewer than 2 images.
        SymmetryError: if no intermediate shows the units of a group.
    """
    if kernel not in KERNELS:
        raise ValueError(f"kernel {kernel!r}: allowed are {', '.join(KERNELS)}")
    networks = several(*states)
    pairs = list(combinations(range(len(networks)), 2))
    moments = {pair: {name: _Moments() for name in innermost(symmetry)} for pair in pairs}
    for name, place, seen in features(
        symmetry, model, networks, images[:n_images], intermediate=intermediate, batch_size=batch_size
    ):
        for a, b in pairs:
            moments[a, b][name].add(place, seen[a], seen[b])
    return {
        pair: {name: statistics.similarity(kernel) for name, statistics in found.items()}
        for pair, found in moments.items()
    }


def innermost(symmetry: Symmetry) -> list[str]:
    """Return the groups in which no other one is nested, whose units are compared."""
    return [name for name, nested in symmetry.nested.items() if not nested]


def features(
    symmetry: Symmetry,
    model: nn.Module,
    networks: Sequence[Sequence[State]],
    images: Tensor,
    *,
    intermediate: str = "last",
    batch_size: int = 512,
) -> Iterator[tuple[str, int, list[Tensor]]]:
    """Yield what the units of n networks compute, in one pass over the images.

    Args:
        symmetry: the symmetry of ``model``.
        model: the module of all networks.
        networks: for each of n networks its states, of as many moments of training.
        images: [N, …], on the device of the states.
        intermediate: as for ``activations``.
        batch_size: as for ``correlations``.

    Yields:
        A group in which no other one is nested, the number of an intermediate that shows its units, and for each
        network its activations [samples and positions, units] on a part of the images.

    Raises:
        ValueError: for an unknown intermediate, or fewer than 2 images.
        SymmetryError: if no intermediate shows the units of a group.
    """
    if intermediate not in INTERMEDIATES:
        raise ValueError(f"intermediate {intermediate!r}: allowed are {', '.join(INTERMEDIATES)}")
    if len(images) < 2:
        raise ValueError(f"activation matching needs at least 2 images, not {len(images)}")
    traced: dict[int, TracedSymmetry] = {}
    for batch in images.tensor_split(math.ceil(len(images) / max(2 * batch_size // len(networks), 2))):
        if len(batch) not in traced:  # which kernels run, and so how operations are counted, can depend on the size
            traced[len(batch)] = discover(model, batch, verify=False)
        taps = {name: traced[len(batch)].intermediates(name, intermediate) for name in innermost(symmetry)}
        watched = {index for found in taps.values() for index, _ in found}
        for moment in zip(*networks, strict=True):
            outputs = [watch(model, state, batch, watched) for state in moment]
            for name, found in taps.items():
                for place, (index, units) in enumerate(found):
                    yield name, place, [_features(output[index], units) for output in outputs]


def without_ties(symmetry: Symmetry, gains: Gains, state_a: State, state_b: State) -> Gains:
    """Let weights decide where activations say nothing: units that never vary are similar to no other.

    Args:
        symmetry: the symmetry of the networks' model.
        gains: as ``correlations`` returns them for two networks.
        state_a: the state of network a.
        state_b: the state of network b.

    Returns:
        The gains; where some units are similar to none, with what matching weights is worth as a millionth part, all
        other groups in the order that activations give them.
    """
    silent = [
        name
        for name, gain in gains.items()
        if symmetry.groups[name].blocks == 1 and bool((gain == 0).all(0).any() | (gain == 0).all(1).any())
    ]
    if not silent:
        return gains
    symmetry, [state_a, state_b] = as_real(symmetry, [state_a, state_b])
    search = Search(symmetry, state_b)
    search.aim(state_a)
    search.reset(best_order(symmetry, gains))
    found = dict(gains)
    for name in silent:
        by_weights = search.gain(name)
        found[name] = found[name] + 1e-6 * by_weights / by_weights.abs().max().clamp_min(1e-30)
    return found


def mean_gain(gains: Gains, permutation: Permutation) -> float:
    """Return the mean, over all units of all groups in ``gains``, of what matching them so is worth."""
    orders = {name: torch.tensor(permutation[name], device=gain.device) for name, gain in gains.items()}
    matched = [gain.gather(1, orders[name][:, None]) for name, gain in gains.items()]
    return float(torch.cat(matched).mean()) if matched else 0.0


def watch(model: nn.Module, state: State, images: Tensor, watched: set[int]) -> dict[int, Tensor]:
    """Return the outputs of some operations of an evaluation, by their place in its order.

    Args:
        model: the module of the network.
        state: its state, on the device to compute on.
        images: [n, …], on the same device.
        watched: the places of the operations.
    """
    found: dict[int, Tensor] = {}

    def visit(index: int, func: object, call: dict[str, object], outs: list[Tensor]) -> None:
        if index in watched:
            found[index] = outs[0].clone()  # a later operation may work in place

    network = Network(model, state)
    with Operations(visit):
        network(images)
    return found


def _features(activation: Tensor, units: Units) -> Tensor:
    """Return [samples and positions, units]."""
    return units.of(activation).float()


class _Moments:
    """Running sums of products of the activations of two networks' units, at each place where they are read."""

    def __init__(self) -> None:
        self.counts: dict[int, int] = {}
        self.sums: dict[int, list[Tensor]] = {}

    def add(self, place: int, a: Tensor, b: Tensor) -> None:
        sums = [part.double() for part in (a.T @ b, a.sum(0), b.sum(0), (a * a).sum(0), (b * b).sum(0))]
        if place in self.sums:
            sums = [old + new for old, new in zip(self.sums[place], sums, strict=True)]
        self.sums[place] = sums
        self.counts[place] = self.counts.get(place, 0) + len(a)

    def similarity(self, kernel: str) -> Tensor:
        """Return the kernel [units of a, units of b], as the mean over places."""
        return torch.stack([self._at(place, kernel) for place in self.sums]).mean(0)

    def _at(self, place: int, kernel: str) -> Tensor:
        cross, mean_a, mean_b, square_a, square_b = (part / self.counts[place] for part in self.sums[place])
        if kernel == "linear":
            return cross
        if kernel == "correlation":
            return correlation(cross, (mean_a, mean_b), (square_a, square_b))
        return _over(cross, square_a, square_b)


def correlation(cross: Tensor, means: tuple[Tensor, Tensor], squares: tuple[Tensor, Tensor]) -> Tensor:
    """Return the correlations of the units of two networks from their moments, 0 for units that never vary.

    Args:
        cross: mean products [units of a, units of b].
        means: of the units of a and of b.
        squares: mean squares of the units of a and of b.
    """
    variances = [_variance(square, mean) for square, mean in zip(squares, means, strict=True)]
    return _over(cross - torch.outer(*means), *variances)


def _over(cross: Tensor, square_a: Tensor, square_b: Tensor) -> Tensor:
    scale = torch.outer(square_a.sqrt(), square_b.sqrt())
    return torch.where(scale > 0, cross / scale, 0.0)  # a unit that never varies is similar to none


def _variance(square: Tensor, mean: Tensor) -> Tensor:
    variance = square - mean**2
    return variance.where(variance > 1e-6 * square, 0.0)  # rounding leaves a little to a constant unit


def best_order(symmetry: Symmetry, gains: Gains) -> Permutation:
    """Return the permutation under which the matched units of all groups are worth most.

    Args:
        symmetry: the symmetry of the networks' model.
        gains: for each group in which no other one is nested, what matching two units is worth
            [units of a, units of b].
    """
    inner: dict[str, np.ndarray] = {}
    blocked = {}
    for name, tensor in gains.items():
        group, gain = symmetry.groups[name], tensor.cpu().numpy()
        if group.blocks == 1:
            inner[name] = assign(gain)[None]
        else:
            shape = (group.blocks, group.block_size) * 2
            blocked[name] = gain.reshape(shape).transpose(0, 2, 1, 3)
            inner[name] = assign_within(blocked[name])
    for name, nested in symmetry.nested.items():
        if nested:
            count = symmetry.groups[name].size
            order, orders = assign_blocks(np.zeros((count, count)), {child: blocked[child] for child in nested})
            inner[name] = order[None]
            inner.update(orders)
    return symmetry.assemble(inner)
