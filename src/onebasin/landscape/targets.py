"""Labels with positions: a network has one label for each input, or one for each position of it."""

from __future__ import annotations

from torch import Tensor


def flat(logits: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
    """Put all labels in one row, and their logits beside them.

    Args:
        logits: [n, classes, …], with as many positions as the labels.
        labels: class indices [n, …].

    Returns:
        Logits [N, classes] and labels [N], where N is the number of labels.
    """
    return logits.movedim(1, -1).flatten(0, -2), labels.flatten()
