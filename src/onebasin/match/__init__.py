"""Matching: find the permutations that bring networks into a common frame, two at a time or any number at once."""

from collections.abc import Callable

import torch

from onebasin.match import assignment
from onebasin.match.activation_matching import activations
from onebasin.match.frames import hierarchical, merge_many, reference, universe
from onebasin.match.result import Frame, Match, similarity
from onebasin.match.sinkhorn import sinkhorn, sinkhorn_pair
from onebasin.match.weight_matching import weights

__all__ = [
    "FRAMES",
    "METHODS",
    "Frame",
    "Match",
    "activations",
    "hierarchical",
    "merge_many",
    "reference",
    "similarity",
    "sinkhorn",
    "sinkhorn_pair",
    "universe",
    "warm_up",
    "weights",
]

METHODS: dict[str, Callable[..., Match]] = {
    "weights": weights,
    "activations": activations,
    "sinkhorn": sinkhorn_pair,
}
"""What matches two networks, by name."""

FRAMES: dict[str, Callable[..., Frame]] = {
    "reference": reference,
    "hierarchical": hierarchical,
    "merge_many": merge_many,
    "universe": universe,
    "sinkhorn": sinkhorn,
}
"""What brings any number of networks into one frame, by name."""


def warm_up(device: str | torch.device) -> None:
    """Do what only the first matching of a process does, so that it is not in the time and memory of one of them.

    Args:
        device: where networks will be matched.
    """
    assignment.solvers()
    torch.eye(2, device=device) @ torch.eye(2, device=device)  # a GPU starts its linear algebra
