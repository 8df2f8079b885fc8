"""Matching: find the permutations that bring networks into a common frame, two at a time or any number at once."""

from collections.abc import Callable

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
