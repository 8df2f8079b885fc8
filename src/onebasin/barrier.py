"""Loss and error along linear paths and over simplices between networks.

The barrier of two networks is the largest excess of a metric along the straight line between them over the linear
interpolation of its values at the ends (Frankle et al. 2020, arXiv 1912.05671; Sharma et al. 2024, arXiv 2404.06498).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn import functional

from onebasin.symmetry import evaluation

if TYPE_CHECKING:
    import pandas as pd

State = Mapping[str, Tensor]
Images = tuple[Tensor, Tensor]
BATCH_SIZE = 1024


def interpolate(states: Sequence[State], weights: Sequence[float] | Tensor) -> dict[str, Tensor]:
    """Return the weighted sum of networks' states.

    Args:
        states: n state dicts with the same keys and shapes.
        weights: n weights that sum to one.

    Returns:
        The state Σ weights[i] · states[i]; tensors that do not hold real numbers (counters) are those of the first.
    """
    values = [float(weight) for weight in weights]
    result = {}
    for key, first in states[0].items():
        if not first.is_floating_point():
            result[key] = first
            continue
        total = first * values[0]
        for state, value in zip(states[1:], values[1:], strict=True):
            if value:
                total.add_(state[key], alpha=value)
        result[key] = total
    return result


def temperature(logits: Tensor, labels: Tensor) -> float:
    """Return the temperature T that minimises the cross-entropy of logits / T (Guo et al. 2017, arXiv 1706.04599).

    The cross-entropy is convex in 1 / T; Newton's method is kept inside a shrinking bracket.

    Args:
        logits: [N, classes].
        labels: [N] class indices.

    Returns:
        T, between 0.01 and 100. It lies at 0.01 where all images are classified correctly, for then the loss falls
        without end as T falls.
    """
    values = logits.double()
    values = values - values.gather(1, labels[:, None])
    low, high = 0.01, 100.0
    inverse = 1.0
    for _ in range(200):
        share = functional.softmax(inverse * values, dim=1)
        mean = (share * values).sum(1)
        slope, curvature = torch.stack([mean, (share * values**2).sum(1) - mean**2]).mean(1).tolist()
        low, high = (low, inverse) if slope > 0 else (inverse, high)
        guess = inverse - slope / curvature if curvature > 0 else high
        before, inverse = inverse, guess if low < guess < high else math.sqrt(low * high)
        if abs(inverse - before) <= 1e-9 * before:
            break
    return 1 / inverse


@dataclass(frozen=True)
class Values:
    """What was measured of K networks on one set of images, float64 [K] each.

    Attributes:
        loss: mean cross-entropy in nats.
        error: fraction of images misclassified.
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
            yield dict(zip(("loss", "error", "loss_calibrated"), values, strict=True))


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
        splits: for each name, images [N, …], normalised, on the device to compute on, and labels [N], class indices.
        batch_size: images per forward pass.
        correct: what ``repair.correction`` returned for the same states, if networks are to be corrected.
        held_out: images and labels on which each network's temperature is fitted, which training must not have seen.

    Returns:
        For each set of images, the values of the K networks.

    Raises:
        ValueError: if there are no images, or weights for another number of networks.
    """
    if any(not len(images) for images, _ in [*splits.values(), *([held_out] if held_out else [])]):
        raise ValueError("there are no images to evaluate on")
    if weights.dim() != 2 or weights.shape[1] != len(states):
        raise ValueError(f"weights have shape {tuple(weights.shape)}, expected [any, {len(states)}]")
    batches = {
        name: list(zip(images.split(batch_size), labels.split(batch_size), strict=True))
        for name, (images, labels) in splits.items()
    }
    totals = {
        name: torch.zeros(len(weights), 3, dtype=torch.float64, device=images.device)
        for name, (images, _) in splits.items()
    }
    with evaluation(model):
        for row, mixture in enumerate(weights.tolist()):
            state = interpolate(states, mixture)
            if correct is not None:
                state = dict(correct(state, mixture))
            if held_out is not None:
                parts = held_out[0].split(batch_size)
                logits = torch.cat([functional_call(model, state, (part,), tie_weights=False) for part in parts])
                scale = 1 / temperature(logits, held_out[1])
            for name, total in totals.items():
                for batch, targets in batches[name]:
                    logits = functional_call(model, state, (batch,), tie_weights=False)
                    total[row, 0] += functional.cross_entropy(logits, targets, reduction="sum").double()
                    total[row, 1] += (logits.argmax(1) != targets).sum()
                    if held_out is not None:
                        total[row, 2] += functional.cross_entropy(scale * logits, targets, reduction="sum").double()
    values = {}
    for name, total in totals.items():
        loss, error, calibrated = (total / len(splits[name][1])).cpu().numpy().T
        values[name] = Values(loss, error, None if held_out is None else calibrated)
    return values


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
        labels: [N] class indices.
        batch_size: images per forward pass.

    Returns:
        Mean cross-entropy in nats [K] and fraction of images misclassified [K], float64.

    Raises:
        ValueError: if there are no images, or weights for another number of networks.
    """
    measured = measure(model, states, weights, {"images": (images, labels)}, batch_size=batch_size)["images"]
    return measured.loss, measured.error


def line(alphas: int | Sequence[float]) -> Tensor:
    """Return the weights [K, 2] of points on the line between two networks.

    Args:
        alphas: their number, evenly spaced from 0 (the first network) to 1 (the second), at least 2; or the points.

    Raises:
        ValueError: for a number below 2.
    """
    if isinstance(alphas, int):
        if alphas < 2:
            raise ValueError(f"a curve needs at least 2 points, not {alphas}")
        alphas = np.linspace(0, 1, alphas).tolist()
    points = torch.tensor(alphas, dtype=torch.float64)
    return torch.stack([1 - points, points], dim=1)


def curve(
    model: nn.Module,
    state_a: State,
    state_b: State,
    images: Tensor,
    labels: Tensor,
    alphas: int | Sequence[float] = 25,
    batch_size: int = BATCH_SIZE,
) -> pd.DataFrame:
    """Measure loss and error along the straight line between two networks.

    Args:
        model: the networks' module.
        state_a: the network at alpha = 0.
        state_b: the network at alpha = 1, already permuted if it is to be.
        images: [N, …], normalised, unaugmented.
        labels: [N] class indices.
        alphas: number of evenly spaced points, or the points.
        batch_size: images per forward pass.

    Returns:
        A data frame with the columns alpha, loss (nats) and error (fraction).

    Raises:
        ValueError: if there are no images, or fewer than 2 points.
    """
    import pandas as pd

    weights = line(alphas)
    loss, error = losses(model, [state_a, state_b], weights, images, labels, batch_size)
    return pd.DataFrame({"alpha": weights[:, 1].numpy(), "loss": loss, "error": error})


def height(alphas: Sequence[float] | np.ndarray, values: Sequence[float] | np.ndarray) -> float:
    """Return the barrier of a curve: the largest excess over the line between its ends.

    Args:
        alphas: points in [0, 1], ascending, the first 0 and the last 1.
        values: loss or error at each point.

    Returns:
        The barrier in the unit of the values, never negative: at the ends the excess is 0.
    """
    points, measured = np.asarray(alphas, dtype=np.float64), np.asarray(values, dtype=np.float64)
    return float(np.max(measured - (measured[0] + points * (measured[-1] - measured[0]))))


def barrier(measured: pd.DataFrame, metric: str = "loss") -> float:
    """Return the barrier of a measured curve (Frankle et al. 2020, arXiv 1912.05671; Sharma et al. 2024).

    Args:
        measured: what ``curve`` returned, from alpha = 0 to alpha = 1.
        metric: "loss" (the barrier is in nats) or "error" (a fraction of images).

    Returns:
        The largest excess over the straight line between the values at the ends.
    """
    return height(measured["alpha"].to_numpy(), measured[metric].to_numpy())


def grid(n: int, resolution: int) -> Tensor:
    """Return a barycentric grid over the simplex of n networks.

    Args:
        n: number of networks.
        resolution: number of steps along each edge.

    Returns:
        Weights [K, n], float64, each row summing to one; the corners are among them.

    Raises:
        ValueError: for fewer than one network or step.
    """
    if n < 1 or resolution < 1:
        raise ValueError("a simplex grid needs at least one network and one step")
    rows = [()]  # type: list[tuple[int, ...]]
    for _ in range(n - 1):
        rows = [(*row, step) for row in rows for step in range(resolution - sum(row) + 1)]
    return torch.tensor([(*row, resolution - sum(row)) for row in rows], dtype=torch.float64) / resolution


def simplex(
    model: nn.Module,
    states: Sequence[State],
    images: Tensor,
    labels: Tensor,
    weights: Tensor,
    batch_size: int = BATCH_SIZE,
) -> pd.DataFrame:
    """Measure loss and error at points of the simplex between n networks.

    Args:
        model: the networks' module.
        states: n states, already permuted if they are to be.
        images: [N, …], normalised, unaugmented.
        labels: [N] class indices.
        weights: [K, n] barycentric coordinates, such as those of ``grid``.
        batch_size: images per forward pass.

    Returns:
        A data frame with the columns weight_0 … weight_{n-1}, loss (nats) and error (fraction).

    Raises:
        ValueError: if there are no images, or weights for another number of networks.
    """
    import pandas as pd

    loss, error = losses(model, states, weights, images, labels, batch_size)
    columns = {f"weight_{index}": weights[:, index].numpy() for index in range(len(states))}
    return pd.DataFrame({**columns, "loss": loss, "error": error})


def simplex_height(weights: np.ndarray, values: np.ndarray, corners: Sequence[float]) -> float:
    """Return the simplex barrier: the largest excess over the interpolation of the corners' values.

    Args:
        weights: [K, n] barycentric coordinates.
        values: [K] loss or error.
        corners: [n] loss or error of the n networks.

    Returns:
        The barrier in the unit of the values.
    """
    return float(np.max(np.asarray(values) - np.asarray(weights) @ np.asarray(corners, dtype=np.float64)))
