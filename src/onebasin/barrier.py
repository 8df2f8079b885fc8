"""Loss and error along linear paths and over simplices between networks.

The barrier of two networks is the largest excess of a metric along the straight line between them over the linear
interpolation of its values at the ends (Frankle et al. 2020, arXiv 1912.05671; Sharma et al. 2024, arXiv 2404.06498).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
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


def losses(
    model: nn.Module,
    states: Sequence[State],
    weights: Tensor,
    images: Tensor,
    labels: Tensor,
    batch_size: int = BATCH_SIZE,
) -> tuple[np.ndarray, np.ndarray]:
    """Evaluate interpolated networks, loss and error in one forward pass each.

    Args:
        model: the networks' module; its own parameters are not used.
        states: n states, on the device of the images.
        weights: [K, n], one interpolated network per row.
        images: [N, …], normalised, on the device to compute on.
        labels: [N] class indices.
        batch_size: images per forward pass.

    Returns:
        Mean cross-entropy in nats [K] and fraction of images misclassified [K], float64.

    Raises:
        ValueError: if there are no images, or weights for another number of networks.
    """
    if not len(images):
        raise ValueError("there are no images to evaluate on")
    if weights.dim() != 2 or weights.shape[1] != len(states):
        raise ValueError(f"weights have shape {tuple(weights.shape)}, expected [any, {len(states)}]")
    totals = torch.zeros(len(weights), 2, dtype=torch.float64, device=images.device)
    batches = list(zip(images.split(batch_size), labels.split(batch_size), strict=True))
    with evaluation(model):
        for row, mixture in enumerate(weights.tolist()):
            state = interpolate(states, mixture)
            for batch, targets in batches:
                logits = functional_call(model, state, (batch,), tie_weights=False)
                totals[row, 0] += functional.cross_entropy(logits, targets, reduction="sum").double()
                totals[row, 1] += (logits.argmax(1) != targets).sum()
    loss, error = (totals / len(images)).cpu().numpy().T
    return loss, error


def line(alphas: int | Sequence[float]) -> Tensor:
    """Return the weights [K, 2] of points on the line between two networks.

    Args:
        alphas: their number, evenly spaced from 0 (the first network) to 1 (the second), at least 2; or the points.
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
    """
    points, measured = np.asarray(alphas, dtype=np.float64), np.asarray(values, dtype=np.float64)
    return float(np.max(measured - (measured[0] + points * (measured[-1] - measured[0]))))


def barrier(measured: pd.DataFrame, metric: str = "loss") -> float:
    """Return the barrier of a curve that ``curve`` measured, in the metric "loss" or "error"."""
    return height(measured["alpha"].to_numpy(), measured[metric].to_numpy())


def grid(n: int, resolution: int) -> Tensor:
    """Return a barycentric grid over the simplex of n networks.

    Args:
        n: number of networks.
        resolution: number of steps along each edge.

    Returns:
        Weights [K, n], float64, each row summing to one; the corners are among them.
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
    """
    return float(np.max(np.asarray(values) - np.asarray(weights) @ np.asarray(corners, dtype=np.float64)))
