"""Two or more networks in the frame of the first one."""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import torch
from torch import Tensor, nn

from onebasin.match import similarity, warm_up
from onebasin.permutation import Permutation
from onebasin.study import match
from onebasin.symmetry import State, Symmetry, discover

log = logging.getLogger(__name__)

# As many images as studies take unless they say otherwise.
PAIR: Mapping[str, dict[str, Any]] = {
    "weights": {"algorithm": "weights"},
    "moments": {"algorithm": "weights", "kernel": "moments"},
    "activations": {"algorithm": "activations", "n_images": 10_000},
    "sinkhorn": {"algorithm": "sinkhorn"},
}
FRAME: Mapping[str, dict[str, Any]] = {
    "weights": {"algorithm": "merge_many", "similarity": "weights", "options": {}},
    "activations": {"algorithm": "merge_many", "similarity": "activations", "options": {}},
    "sinkhorn": {"algorithm": "sinkhorn", "similarity": "activations", "options": {}},
    "universe": {"algorithm": "universe", "similarity": "activations", "options": {}},
}
METHODS = (*PAIR, "universe")
"""The methods of ``align``."""


@dataclass(frozen=True)
class Aligned:
    """Networks in the frame of the first.

    Attributes:
        states: the permuted states, in the order given; the first is as it was.
        permutations: for each network the permutation that was applied; the first is the identity.
        similarity: for each pair of networks, by their places, the cosine between their permutable parameters before
            and after.
        seconds: wall-clock time of the matching.
    """

    states: list[dict[str, Tensor]]
    permutations: list[Permutation]
    similarity: dict[tuple[int, int], tuple[float, float]]
    seconds: float


def align(
    model: nn.Module,
    states: Sequence[State],
    *,
    method: str = "activations",
    images: Tensor | None = None,
    labels: Tensor | None = None,
    symmetry: Symmetry | None = None,
) -> Aligned:
    """Bring networks into the frame of the first one, by permutations that leave their functions unchanged.

    Two networks are matched as a pair; more are brought into one common frame, by ``merge_many``, which is then
    turned so that the first network stays as it is. Every permutation is checked on images.

    Args:
        model: the networks' module; its own parameters are not used.
        states: two or more state dicts, on the device to compute on.
        method: "weights", "activations" or "sinkhorn" (learned through the loss at mixtures); "moments" (weights in
            the metric of what they read) for two networks; "universe" (all networks and layers jointly).
        images: training images [N, …] as the networks saw them, unaugmented.
        labels: their classes; only "sinkhorn" needs them.
        symmetry: of the model, if it is known already.

    Returns:
        The aligned networks.

    Raises:
        ValueError: for an unknown method, fewer than two networks, or images or labels that the method lacks.
        SymmetryError: if the model's groups cannot be found, or a permutation changes a function.
    """
    if method not in METHODS:
        raise ValueError(f"method {method!r}: allowed are {', '.join(METHODS)}")
    if len(states) < 2:
        raise ValueError("aligning needs at least two networks")
    if method == "moments" and len(states) > 2:
        raise ValueError(
            f"method 'moments' takes two networks: for {len(states)}, give weights, activations or sinkhorn"
        )
    if images is None or (labels is None and method == "sinkhorn"):
        raise ValueError(f"method {method!r} needs images{' and labels' if method == 'sinkhorn' else ''}")
    symmetry = discover(model, images[:2]) if symmetry is None else symmetry
    classes = torch.zeros(len(images), dtype=torch.int64) if labels is None else labels
    log.info("matching %d networks by %s", len(states), method)
    warm_up(images.device)
    start = time.perf_counter()
    if len(states) == 2 and method in PAIR:
        pair = (states[0], states[1])
        found = match.pair(model, symmetry, pair, PAIR[method], images, classes)
        permutations = [symmetry.identity(), found.permutation]
    else:
        frame = match.frame(model, symmetry, dict(enumerate(states)), FRAME[method], images, classes)
        back = frame.permutations[0].inverse()
        permutations = [back @ frame.permutations[index] for index in range(len(states))]
    seconds = time.perf_counter() - start
    moved = [symmetry.apply(one, state) for one, state in zip(permutations, states, strict=True)]
    alike = {
        (a, b): (similarity(symmetry, states[a], states[b]), similarity(symmetry, moved[a], moved[b]))
        for a, b in combinations(range(len(states)), 2)
    }
    return Aligned(moved, permutations, alike, seconds)
