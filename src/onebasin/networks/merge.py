"""Several networks as one: aligned, averaged, and with corrected statistics."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor, nn

from onebasin.landscape.interpolate import State, interpolate
from onebasin.landscape.repair import correction as prepare
from onebasin.networks.align import Aligned, align
from onebasin.symmetry import Symmetry

log = logging.getLogger(__name__)

CORRECTED_IMAGES = 2000


@dataclass(frozen=True)
class Merged:
    """The mean of networks.

    Attributes:
        state: of the merged network, by the keys of the model.
        uncorrected: the same before its statistics were corrected.
        plain: the mean of the networks as they were given, without permutations.
        aligned: the networks in the frame of the first.
        weights: the share of each network; they sum to one.
        correction: how statistics were corrected: "none", "reset" or "repair".
    """

    state: dict[str, Tensor]
    uncorrected: dict[str, Tensor]
    plain: dict[str, Tensor]
    aligned: Aligned
    weights: list[float]
    correction: str


def merge(
    model: nn.Module,
    states: Sequence[State],
    *,
    method: str = "activations",
    images: Tensor | None = None,
    labels: Tensor | None = None,
    weights: Sequence[float] | None = None,
    correction: str = "none",
    symmetry: Symmetry | None = None,
) -> Merged:
    """Bring networks into one common frame, average them, and correct the statistics of the mean.

    Args:
        model: the networks' module; its own parameters are not used.
        states: two or more state dicts, on the device to compute on.
        method: as for ``align``.
        images: training images [N, …]; the first 2,000 are those on which statistics are corrected.
        labels: their classes; only the method "sinkhorn" needs them.
        weights: the share of each network; any numbers of at least 0, which are scaled to sum to one. Equal ones by
            default.
        correction: "none"; "reset", which a model with batch norm needs; or "repair" (see ``onebasin.repair``).
        symmetry: of the model, if it is known already.

    Returns:
        The merged network, and what it was made of.

    Raises:
        ValueError: as for ``align``; for other than one weight of at least 0 each; for an unknown correction.
    """
    shares = [1.0] * len(states) if weights is None else [float(weight) for weight in weights]
    if len(shares) != len(states) or min(shares, default=0) < 0 or not 0 < sum(shares) < float("inf"):
        raise ValueError(
            f"weights {shares}: give one of at least 0 for each of {len(states)} networks, not all of them 0"
        )
    shares = [share / sum(shares) for share in shares]
    aligned = align(model, states, method=method, images=images, labels=labels, symmetry=symmetry)
    assert images is not None  # or aligning had refused
    correct = prepare(correction, model, aligned.states, images[:CORRECTED_IMAGES])
    mean = interpolate(aligned.states, shares)
    log.info("correcting the statistics of the mean: %s", correction)
    state = mean if correct is None else dict(correct(mean, shares))
    return Merged(state, mean, interpolate(states, shares), aligned, shares, correction)
