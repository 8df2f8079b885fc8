"""Straight-through matching: lower the loss of mixtures of networks, through the assignments that align them.

Each network but the first has a latent copy of its parameters, and is permuted to be closest to it. A mixture of the
permuted networks gets a loss, whose gradient passes the assignment as if the permuted network were the latent one, and
moves the latent one (Ainsworth et al. 2023, arXiv 2209.04836, algorithm 2, for the midpoint of two networks). Here the
mixture is a random point of the simplex of any number of networks.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from onebasin import seeding
from onebasin.adam import adam_step
from onebasin.landscape.evaluate import losses
from onebasin.landscape.interpolate import interpolate, line, random_points
from onebasin.landscape.targets import flat
from onebasin.match.frames import merge_many
from onebasin.match.result import Frame
from onebasin.match.weight_matching import counted_keys, improve
from onebasin.symmetry import Network, State, Symmetry


def ste(
    symmetry: Symmetry,
    model: nn.Module,
    states: Mapping[int, State],
    images: Tensor,
    labels: Tensor,
    *,
    similarity: str = "weights",
    steps: int = 200,
    lr: float = 0.1,
    batch_size: int = 256,
    n_images: int | None = None,
    points: int = 8,
    seed: int = 0,
    **options: Any,
) -> Frame:
    """Lower the loss on random points of the simplex of all networks, by straight-through gradients.

    The start is the frame of ``merge_many``. Whenever a permutation changed, the frame is measured at the centroid and
    at random points that stay the same throughout; the one with the lowest mean loss is returned, so that it is no
    worse there than the start.

    Args:
        symmetry: the symmetry of the networks' model.
        model: the module of all networks.
        states: the networks by their seeds, at least two, on the device to compute on.
        images: unaugmented training images [N, …], on the same device.
        labels: their classes [N]; or [N, …], where the network has logits [N, classes, …].
        similarity: of the frame at the start, "weights" or "activations".
        steps: gradient steps.
        lr: learning rate of Adam on the latent parameters, as a share of the standard deviation of each tensor.
        batch_size: images of a step.
        n_images: use only the first so many images; None for all.
        points: random points of the simplex at which frames are compared, besides the centroid.
        seed: seeds the images and the point of each step, the searches, and the points of comparison.
        options: of the similarity, see ``comparison.compare``.

    Returns:
        The frame. The objective of a pair is minus the mean cross-entropy at its midpoint, in nats; iterations are
        steps.

    Raises:
        ValueError: for a bad argument.
    """
    start = time.perf_counter()
    if steps < 1 or batch_size < 1 or points < 0 or not lr > 0:
        raise ValueError("steps and batch_size must be at least 1, points at least 0, lr above 0")
    if similarity == "activations":
        options["n_images"] = n_images
    images, labels = images[:n_images], labels[:n_images]
    frame = merge_many(symmetry, model, states, images, similarity=similarity, seed=seed, **options)
    networks = list(states)
    current = dict(frame.permutations)
    permuted = {network: symmetry.apply(current[network], states[network]) for network in networks}
    keys = counted_keys(symmetry, states[networks[0]])
    latent = {
        network: {key: torch.stack([permuted[other][key] for other in networks]).mean(0) for key in keys}
        for network in networks[1:]
    }
    optimizers = {network: _Adam(tensors, lr) for network, tensors in latent.items()}
    generator = seeding.generator("straight-through", seed)
    centroid = torch.full((1, len(networks)), 1 / len(networks), dtype=torch.float64)
    compared = torch.cat([random_points(points, len(networks), generator), centroid])
    best, lowest = dict(current), _loss(model, list(permuted.values()), compared, images, labels)
    for step in range(steps):
        chosen = torch.randint(len(images), (batch_size,), generator=generator).to(images.device)
        weights = random_points(1, len(networks), generator)[0].tolist()
        gradients = _gradients(model, list(permuted.values()), weights, keys, images[chosen], labels[chosen])
        for network, weight in zip(networks[1:], weights[1:], strict=True):
            optimizers[network].step({key: weight * gradient for key, gradient in gradients.items()})
        changed = False
        for network in networks[1:]:
            order = seeding.generator("straight-through", seed, network, step)
            found = improve(symmetry, latent[network], states[network], current[network], order)
            if found != current[network]:
                current[network], changed = found, True
                permuted[network] = symmetry.apply(found, states[network])
        if changed:
            loss = _loss(model, list(permuted.values()), compared, images, labels)
            if loss < lowest:
                best, lowest = dict(current), loss
    aligned = {network: symmetry.apply(best[network], states[network]) for network in networks}
    objectives = {
        (a, b): -_loss(model, [aligned[a], aligned[b]], line([0.5]), images, labels) for a, b in frame.objectives
    }
    return Frame(best, objectives, steps, time.perf_counter() - start)


class _Adam:
    """Adam for tensors of different size: the learning rate of each is a share of its standard deviation."""

    def __init__(self, tensors: Mapping[str, Tensor], lr: float) -> None:
        self.tensors = tensors
        self.rates = {key: lr * float(tensor.std(correction=0)) for key, tensor in tensors.items()}
        self.moments = {key: (torch.zeros_like(tensor), torch.zeros_like(tensor)) for key, tensor in tensors.items()}
        self.count = torch.zeros((), device=next(iter(tensors.values())).device)

    def step(self, gradients: Mapping[str, Tensor]) -> None:
        self.count.add_(1)
        for key, tensor in self.tensors.items():
            first, second = self.moments[key]
            adam_step([tensor], [gradients[key]], [[first], [second]], self.count, self.rates[key])


def _gradients(
    model: nn.Module, states: Sequence[State], weights: Sequence[float], keys: list[str], images: Tensor, labels: Tensor
) -> dict[str, Tensor]:
    """Return the gradient of a mixture's loss by its parameters."""
    network = Network(model, interpolate(states, weights), gradients=True)
    loss = functional.cross_entropy(*flat(network(images), labels))
    return dict(zip(keys, torch.autograd.grad(loss, [network.tensors[key] for key in keys]), strict=True))


def _loss(model: nn.Module, states: Sequence[State], points: Tensor, images: Tensor, labels: Tensor) -> float:
    """Return the mean loss over images and points of the simplex."""
    return float(losses(model, states, points, images, labels)[0].mean())
