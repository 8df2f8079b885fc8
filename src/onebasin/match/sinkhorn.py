"""Permutations learned through the loss: those under which mixtures of the networks classify well.

The permutations of all groups are relaxed to doubly stochastic matrices, by the normalisation of Sinkhorn and Knopp of
logits, and the loss at random mixtures of the networks gives their gradient (Peña et al. 2023, arXiv 2212.12042, for
two networks). The start is what activations match. Without more, matrices stay soft: they average units, and lose at
the assignment what they had gained. So every step adds noise to the logits (Mena et al. 2018, arXiv 1802.08665), which
leaves a choice that holds only as far as it is clear. At the end each matrix is assigned to the nearest permutation,
and pairs of units change places as long as that lowers the loss half-way between networks.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Mapping, Sequence
from itertools import combinations
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import Module, functional

from onebasin import seeding
from onebasin.adam import adam_step
from onebasin.landscape.interpolate import interpolate
from onebasin.landscape.targets import flat
from onebasin.match.assignment import assign
from onebasin.match.doubly_stochastic import balance
from onebasin.match.frames import merge_many
from onebasin.match.result import Frame, Match, several
from onebasin.permutation import Permutation
from onebasin.symmetry import Network, State, Symmetry, apply_soft, check_images, check_states

START = 0.4  # logit of a unit's own place at the start, above the others
JITTER = 0.01  # spread of all logits at the start
COMPARED = 4, 1024  # mixtures, and images, on which permutations are compared
TRIED = 16  # exchanges that are tried after each gradient, so that all take at most half as long as learning

Matrices = list[dict[str, Tensor]]


def sinkhorn(
    symmetry: Symmetry,
    states: Mapping[int, State | Sequence[State]],
    *,
    similarity: str = "activations",
    model: Module,
    images: Tensor,
    labels: Tensor,
    steps: int = 350,
    lr: float = 0.03,
    temperature: float = 0.1,
    noise: float = 0.1,
    batch_size: int = 256,
    concentration: float = 1.0,
    exchanges: int = 100,
    restarts: int = 1,
    n_images: int | None = None,
    seed: int = 0,
    **options: Any,
) -> Frame:
    """Learn one permutation per network through the loss at mixtures of all networks.

    Args:
        symmetry: the symmetry of the networks' model.
        states: the networks by their seeds, at least two, on the device to compute on; each one state, or several from
            the same moments of training, which take turns at random.
        similarity: of the frame of ``merge_many`` at the start, "weights" or "activations".
        model: the module of all networks.
        images: unaugmented training images [N, …], on the same device.
        labels: their classes [N], or [N, positions …].
        steps: gradient steps; each draws one mixture and one batch.
        lr: learning rate of Adam on the logits, which falls to 0 as a cosine.
        temperature: what logits are divided by.
        noise: spread of the noise on logits, which falls to half of it.
        batch_size: images of a step.
        concentration: of the Dirichlet distribution of mixtures: 1 is even over the simplex, less favours its edges.
        exchanges: at most so many pairs of units change places at the end.
        restarts: how often to learn from the start, with other noise; what gives the lowest loss of mixtures wins.
        n_images: use only the first so many images; None for all.
        seed: seeds the start, noise, images and mixtures.
        options: of the similarity, see ``comparison.compare``.

    Returns:
        The frame, which is the start if nothing better was found. The objective of a pair is minus the mean
        cross-entropy at its midpoint on the first of the images, in nats; iterations are steps.

    Raises:
        ValueError: for a bad argument.
    """
    start = time.perf_counter()
    if min(steps, batch_size, restarts) < 1 or min(noise, exchanges) < 0 or not min(lr, temperature, concentration) > 0:
        raise ValueError(
            "steps, batch_size and restarts must be at least 1, noise and exchanges at least 0, lr, temperature and "
            "concentration above 0"
        )
    if similarity == "activations":
        options["n_images"] = n_images
    moments = several(*states.values())
    check_states(symmetry, {f"network {number}": state for number, state in states.items()})
    check_images(Network(model, moments[0][-1]), images, labels)
    images, labels = images[:n_images], labels[:n_images]
    last = {network: found[-1] for network, found in zip(states, moments, strict=True)}
    frame = merge_many(symmetry, last, similarity=similarity, model=model, images=images, seed=seed, **options)
    learning = _Learning(symmetry, model, images, labels, seed)
    best = [frame.permutations[network] for network in states]
    learning.move(moments, best)
    lowest = learning.compared()
    for restart in range(restarts):
        learning.move(moments, [frame.permutations[network] for network in states])
        generator = seeding.generator("sinkhorn", seed, restart)
        learning.learn(generator, steps, lr, temperature, noise, batch_size, concentration)
        loss = learning.compared()
        if loss < lowest:
            best, lowest = learning.permutations, loss
    learning.move(moments, best)
    learning.exchange(exchanges)
    found = dict(zip(states, learning.permutations, strict=True))
    ends = {network: position for position, network in enumerate(states)}
    objectives = {(a, b): -learning.midpoint(ends[a], ends[b]) for a, b in frame.objectives}
    return Frame(found, objectives, steps, time.perf_counter() - start)


def sinkhorn_pair(
    symmetry: Symmetry,
    state_a: State | Sequence[State],
    state_b: State | Sequence[State],
    *,
    model: Module,
    images: Tensor,
    labels: Tensor,
    **options: Any,
) -> Match:
    """Learn the permutation of network b through the loss at mixtures with network a.

    Args:
        symmetry: as for ``sinkhorn``.
        state_a: network a, as for ``sinkhorn``.
        state_b: network b.
        model: as for ``sinkhorn``.
        images: as for ``sinkhorn``.
        labels: as for ``sinkhorn``.
        options: as for ``sinkhorn``.

    Returns:
        The match; its objective is minus the mean cross-entropy at the midpoint in nats, its sweeps are steps.

    Raises:
        ValueError: for a bad argument.
    """
    frame = sinkhorn(symmetry, {0: state_a, 1: state_b}, model=model, images=images, labels=labels, **options)
    relative = frame.permutations[0].inverse() @ frame.permutations[1]
    return Match(relative, frame.objectives[0, 1], frame.iterations, frame.seconds)


class _Learning:
    """Networks in their present order, and the loss of their mixtures."""

    def __init__(self, symmetry: Symmetry, model: Module, images: Tensor, labels: Tensor, seed: int) -> None:
        self.symmetry, self.images, self.labels, self.seed = symmetry, images, labels, seed
        self.seen = images[: COMPARED[1]], labels[: COMPARED[1]]
        self.network = Network(model)
        self.permutations: list[Permutation] = []
        self.moved: list[list[State]] = []  # for each network its states, in its present order

    def move(self, moments: Sequence[Sequence[State]], permutations: Sequence[Permutation]) -> None:
        """Start from networks and their permutations."""
        self.permutations = list(permutations)
        self.moved = [
            [self.symmetry.apply(permutation, state) for state in states]
            for permutation, states in zip(permutations, moments, strict=True)
        ]

    def learn(
        self,
        generator: torch.Generator,
        steps: int,
        lr: float,
        temperature: float,
        noise: float,
        batch_size: int,
        concentration: float,
    ) -> None:
        """Learn matrices of all networks but the first, and move the networks by the nearest permutations."""
        device = self.images.device

        def drawn(group: str) -> Tensor:
            return torch.randn(self._shape(group), generator=generator).to(device)

        names = list(self.symmetry.groups)
        logits: Matrices = [
            {name: START * torch.eye(self._shape(name)[1], device=device) + JITTER * drawn(name) for name in names}
            for _ in self.moved[1:]
        ]
        values = [tensor.requires_grad_() for tensors in logits for tensor in tensors.values()]
        adam = [[torch.zeros_like(value) for value in values] for _ in range(2)]
        count = torch.zeros((), device=device)
        for step in range(steps):
            done = step / steps
            spread = noise * (1 - done / 2)
            moment = int(torch.randint(len(self.moved[0]), (), generator=generator))
            soft = [self.moved[0][moment]]
            for states, tensors in zip(self.moved[1:], logits, strict=True):
                matrices = {
                    name: balance((tensor + spread * drawn(name)) / temperature, 10) for name, tensor in tensors.items()
                }
                soft.append(apply_soft(self.symmetry, matrices, states[moment]))
            [weights] = _mixtures(1, len(soft), concentration, generator)
            chosen = torch.randint(len(self.images), (batch_size,), generator=generator).to(device)
            loss = self._loss(interpolate(soft, weights), self.images[chosen], self.labels[chosen])
            gradients = torch.autograd.grad(loss, values, materialize_grads=True)
            count += 1
            with torch.no_grad():
                adam_step(values, gradients, adam, count, lr * (1 + math.cos(math.pi * done)) / 2)
        for position, tensors in enumerate(logits, 1):
            inner = {
                name: np.stack([assign(block) for block in tensor.detach().cpu().numpy()])
                for name, tensor in tensors.items()
            }
            self._reorder(position, self.symmetry.assemble(inner))

    def compared(self) -> float:
        """Return the mean loss of mixtures that are the same at every call."""
        return sum(self._on(self._points()))

    def midpoint(self, first: int, second: int) -> float:
        """Return the mean loss half-way between two networks."""
        return sum(self._on([self._half((first, second))]))

    def exchange(self, most: int) -> None:
        """Let units of one network change places where that lowers the loss half-way to the others.

        Those go first that promise most of it. The mean over the simplex hardly tells how high single pairs lie.
        """
        losses = {pair: self.midpoint(*pair) for pair in self._pairs()}
        while most:
            improved = False
            for position, name, block, first, second in self._promising():
                swap = self._swap(name, block, first, second)
                kept = self.permutations[position], self.moved[position]
                self._reorder(position, swap)
                found = {pair: self.midpoint(*pair) for pair in losses if position in pair}
                if most and sum(found.values()) < sum(losses[pair] for pair in found):
                    losses |= found
                    most, improved = most - 1, True
                else:
                    self.permutations[position], self.moved[position] = kept
            if not improved:
                return

    def _promising(self) -> list[tuple[int, str, int, int, int]]:
        """Return exchanges of units by how much they lower the loss to first order."""
        device = self.images.device
        matrices: Matrices = [
            {
                name: torch.eye(shape[1], device=device).repeat(shape[0], 1, 1).requires_grad_()
                for name in self.symmetry.groups
                for shape in [self._shape(name)]
            }
            for _ in self.moved[1:]
        ]
        values = [matrix for one in matrices for matrix in one.values()]
        totals = [torch.zeros_like(value) for value in values]
        pairs = self._pairs()
        count = math.ceil(math.prod(COMPARED) / len(pairs))
        for index, pair in enumerate(pairs):
            # Other images for each pair, as many in all as are compared.
            chosen = torch.arange(index * count, (index + 1) * count, device=device) % len(self.seen[0])
            images, labels = (tensor[chosen[: len(tensor)]] for tensor in self.seen)
            for moment in range(len(self.moved[0])):
                soft = [self.moved[0][moment]]
                soft += [
                    apply_soft(self.symmetry, one, states[moment])
                    for one, states in zip(matrices, self.moved[1:], strict=True)
                ]
                loss = self._loss(interpolate(soft, self._half(pair)), images, labels)
                for total, gradient in zip(
                    totals, torch.autograd.grad(loss, values, materialize_grads=True), strict=True
                ):
                    total += gradient
        keys = [(position, name) for position, one in enumerate(matrices, 1) for name in one]
        found = []
        for (position, name), gradient in zip(keys, totals, strict=True):
            own = gradient.diagonal(dim1=-2, dim2=-1)
            change = (gradient + gradient.mT - own.unsqueeze(-1) - own.unsqueeze(-2)).triu(1)
            values_, places = change.flatten().topk(min(TRIED, change.numel()), largest=False)
            for value, place in zip(values_.tolist(), places.tolist(), strict=True):
                block, first, second = (int(index) for index in np.unravel_index(place, change.shape))
                if value < 0:
                    found.append((value, position, name, block, first, second))
        return [entry[1:] for entry in sorted(found)[:TRIED]]

    def _swap(self, name: str, block: int, first: int, second: int) -> Permutation:
        inner = {
            other: np.tile(np.arange(shape[1]), (shape[0], 1))
            for other in self.symmetry.groups
            for shape in [self._shape(other)]
        }
        inner[name][block, [first, second]] = second, first
        return self.symmetry.assemble(inner)

    def _reorder(self, position: int, permutation: Permutation) -> None:
        self.permutations[position] = permutation @ self.permutations[position]
        self.moved[position] = [self.symmetry.apply(permutation, state) for state in self.moved[position]]

    def _pairs(self) -> list[tuple[int, int]]:
        return list(combinations(range(len(self.moved)), 2))

    def _half(self, pair: tuple[int, int]) -> list[float]:
        return [0.5 * (position in pair) for position in range(len(self.moved))]

    def _points(self) -> list[list[float]]:
        return _mixtures(COMPARED[0], len(self.moved), 1.0, seeding.generator("sinkhorn", self.seed, "compared"))

    def _on(self, points: Sequence[Sequence[float]]) -> Iterator[float]:
        with torch.no_grad():
            for weights in points:
                for moment in zip(*self.moved, strict=True):
                    mixture = interpolate(moment, weights)
                    yield float(self._loss(mixture, *self.seen)) / (len(points) * len(self.moved[0]))

    def _loss(self, state: State, images: Tensor, labels: Tensor) -> Tensor:
        # Statistics move along with the units, but have no gradient.
        parameters = self.symmetry.parameters
        state = {key: value if key in parameters else value.detach() for key, value in state.items()}
        return functional.cross_entropy(*flat(self.network.with_tensors(state, images), labels))

    def _shape(self, name: str) -> tuple[int, int, int]:
        group = self.symmetry.groups[name]
        return group.blocks, group.block_size, group.block_size


def _mixtures(count: int, networks: int, concentration: float, generator: torch.Generator) -> list[list[float]]:
    alphas = torch.full((count, networks), concentration, dtype=torch.float64)
    return torch._sample_dirichlet(alphas, generator).tolist()
