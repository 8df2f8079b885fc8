"""The temperature that calibrates a network (Guo et al. 2017, arXiv 1706.04599)."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional

from onebasin.landscape.targets import flat


def temperature(logits: Tensor, labels: Tensor) -> float:
    """Return the temperature T that minimises the cross-entropy of logits / T (Guo et al. 2017, arXiv 1706.04599).

    The cross-entropy is convex in 1 / T; Newton's method is kept inside a shrinking bracket.

    Args:
        logits: [N, classes]; or [N, classes, …].
        labels: class indices [N]; or [N, …].

    Returns:
        T, between 0.01 and 100. It lies at 0.01 where no label is missed, for then the loss falls
        without end as T falls.
    """
    logits, labels = flat(logits, labels)
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
