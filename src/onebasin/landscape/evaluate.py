"""Loss and error of mixtures and of ensembles of networks, each set of images in one forward pass."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from onebasin.landscape.barrier import METRICS
from onebasin.landscape.interpolate import State, interpolate
from onebasin.landscape.targets import flat
from onebasin.landscape.temperature import temperature
from onebasin.symmetry import Network, check_images, check_states

Images = tuple[Tensor, Tensor]
BATCH_SIZE = 1024
"""Images in a forward pass, unless one says otherwise."""


@dataclass(frozen=True)
class Values:
    """What was measured of K networks on one set of images, float64 [K] each.

    Attributes:
        loss: mean cross-entropy in nats.
        error: fraction of labels missed.
        loss_calibrated: mean cross-entropy in nats, after each network's logits are divided by its temperature; None
            without images to fit it on.
    """

    loss: np.ndarray
    error: np.ndarray
    loss_calibrated: np.ndarray | None

    def rows(self) -> Iterator[dict[str, float | None]]:
        """Yield the values of one network after another, by name."""
        columns = [self.loss.tolist(), self.error.tolist()]
        columns.append([None] * len(self.loss) if self.loss_calibrated is None else self.loss_calibrated.tolist())
        for values in zip(*columns, strict=True):
            yield dict(zip(METRICS, values, strict=True))


def measure(
    model: nn.Module,
    states: Sequence[State],
    weights: Tensor,
    splits: Mapping[str, Images],
    *,
    batch_size: int = BATCH_SIZE,
    correct: Callable[[State, Sequence[float]], State] | None = None,
    held_out: Images | None = None,
) -> dict[str, Values]:
    """Evaluate interpolated networks on several sets of images, in one forward pass each.

    Args:
        model: the networks' module; its own parameters are not used.
        states: n states, on the device of the images.
        weights: [K, n], one interpolated network per row.
        splits: for each name, images [N, …], normalised, on the device to compute on, and labels, class indices [N]; or
            [N, …], where the network has logits [N, classes, …].
        batch_size: images per forward pass.
        correct: what ``repair.correction`` returned for the same states, if networks are to be corrected.
        held_out: images and labels on which each network's temperature is fitted, which training must not have seen.

    Returns:
        For each set of images, the values of the K networks.

    Raises:
        ValueError: if states, images or labels do not fit the model, or weights another number of networks.
    """
    check_states(model, {f"network {number}": state for number, state in enumerate(states)})
    if weights.dim() != 2 or weights.shape[1] != len(states):
        raise ValueError(f"weights have shape {tuple(weights.shape)}, expected [any, {len(states)}]")
    network = Network(model, states[0])
    for images, labels in [*splits.values(), *([held_out] if held_out else [])]:
        check_images(network, images, labels)
    judged = _Judged(splits, len(weights), batch_size, held_out)
    for row, mixture in enumerate(weights.tolist()):
        state = interpolate(states, mixture)
        if correct is not None:
            state = dict(correct(state, mixture))
        network.load(state)
        judged.add(row, network)
    return judged.values()


def measure_ensemble(
    model: nn.Module,
    states: Sequence[State],
    splits: Mapping[str, Images],
    *,
    batch_size: int = BATCH_SIZE,
    held_out: Images | None = None,
) -> dict[str, Values]:
    """Evaluate the ensemble of several networks: the mean of their probabilities.

    Args:
        model: the networks' module; its own parameters are not used.
        states: n states, on the device of the images.
        splits: as for ``measure``.
        batch_size: images per forward pass.
        held_out: images and labels on which the temperature of the logarithms of the mean probabilities is fitted.

    Returns:
        For each set of images, the values [1] of the ensemble.

    Raises:
        ValueError: if states, images or labels do not fit the model.
    """
    check_states(model, {f"network {number}": state for number, state in enumerate(states)})
    networks = [Network(model, state) for state in states]
    for images, labels in [*splits.values(), *([held_out] if held_out else [])]:
        check_images(networks[0], images, labels)

    def outputs(batch: Tensor) -> Tensor:
        each = torch.stack([network(batch).double().log_softmax(1) for network in networks])
        return each.logsumexp(0) - math.log(len(networks))

    judged = _Judged(splits, 1, batch_size, held_out)
    judged.add(0, outputs)
    return judged.values()


class _Judged:
    """Sums of what K networks lose on several sets of images; see ``measure`` for the arguments."""

    def __init__(
        self, splits: Mapping[str, Images], number: int, batch_size: int, held_out: Images | None = None
    ) -> None:
        self.splits, self.batch_size, self.held_out = splits, batch_size, held_out
        self.batches = {
            name: list(zip(images.split(batch_size), labels.split(batch_size), strict=True))
            for name, (images, labels) in splits.items()
        }
        self.totals = {
            name: torch.zeros(number, 3, dtype=torch.float64, device=images.device)
            for name, (images, _) in splits.items()
        }

    def add(self, row: int, outputs: Callable[[Tensor], Tensor]) -> None:
        """Judge the network of a row, a function from images to logits, on all images."""
        if self.held_out is not None:
            logits = torch.cat([outputs(part) for part in self.held_out[0].split(self.batch_size)])
            scale = 1 / temperature(logits, self.held_out[1])
        for name, total in self.totals.items():
            for batch, labels in self.batches[name]:
                logits, targets = flat(outputs(batch), labels)
                total[row, 0] += functional.cross_entropy(logits, targets, reduction="sum").double()
                total[row, 1] += (logits.argmax(1) != targets).sum()
                if self.held_out is not None:
                    total[row, 2] += functional.cross_entropy(scale * logits, targets, reduction="sum").double()

    def values(self) -> dict[str, Values]:
        """Return the means, as ``measure`` does."""
        found = {}
        for name, total in self.totals.items():
            loss, error, calibrated = (total / self.splits[name][1].numel()).cpu().numpy().T
            found[name] = Values(loss, error, None if self.held_out is None else calibrated)
        return found


def losses(
    model: nn.Module,
    states: Sequence[State],
    weights: Tensor,
    images: Tensor,
    labels: Tensor,
    batch_size: int = BATCH_SIZE,
) -> tuple[np.ndarray, np.ndarray]:
    """Evaluate interpolated networks on one set of images, uncorrected.

    Args:
        model: the networks' module.
        states: n states, on the device of the images.
        weights: [K, n], one interpolated network per row.
        images: [N, …], normalised.
        labels: class indices [N]; or [N, …], where the network has logits [N, classes, …].
        batch_size: images per forward pass.

    Returns:
        Mean cross-entropy in nats [K] and fraction of labels missed [K], float64.

    Raises:
        ValueError: as for ``measure``.
    """
    measured = measure(model, states, weights, {"images": (images, labels)}, batch_size=batch_size)["images"]
    return measured.loss, measured.error
