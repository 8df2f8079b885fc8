"""Mixtures of networks, and the points of lines and simplices at which they lie."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from torch import Tensor

State = Mapping[str, Tensor]


def interpolate(states: Sequence[State], weights: Sequence[float] | Tensor) -> dict[str, Tensor]:
    """Return the weighted sum of networks' states.

    Args:
        states: n state dicts with the same keys and shapes.
        weights: n weights that sum to one.

    Returns:
        The state Σ weights[i] · states[i]; tensors of integers (counters) are those of the first.
    """
    values = [float(weight) for weight in weights]
    result = {}
    for key, first in states[0].items():
        if not (first.is_floating_point() or first.is_complex()):
            result[key] = first
            continue
        total = first * values[0]
        for state, value in zip(states[1:], values[1:], strict=True):
            if value:
                total.add_(state[key], alpha=value)
        result[key] = total
    return result


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


def random_points(count: int, n: int, generator: torch.Generator) -> Tensor:
    """Draw points evenly from the simplex of n networks.

    Args:
        count: number of points.
        n: number of networks.
        generator: on the CPU.

    Returns:
        Weights [count, n], float64, each row summing to one.
    """
    # Exponential variables over their sum are distributed evenly.
    drawn = -torch.log1p(-torch.rand(count, n, generator=generator, dtype=torch.float64))
    return drawn / drawn.sum(1, keepdim=True)
