"""Planted permutations with noise: what share of them does each method find again?"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from onebasin import seeding
from onebasin.match import warm_up
from onebasin.networks.align import PAIR
from onebasin.permutation import Permutation
from onebasin.study import match
from onebasin.symmetry import State, Symmetry, random_state

log = logging.getLogger(__name__)

METHODS = ("weights", "moments", "activations", "sinkhorn")


def with_noise(state: State, noise: float, generator: torch.Generator, keys: frozenset[str]) -> dict[str, Tensor]:
    """Add Gaussian noise of so many times each parameter's own spread.

    Args:
        state: of a network; it is not changed.
        noise: standard deviation of the noise over that of each tensor.
        generator: on the CPU.
        keys: the parameters that get noise.
    """
    found = {}
    for key, value in state.items():
        if key in keys and value.is_floating_point() and value.numel() > 1:
            value = value + noise * value.std() * torch.randn(value.shape, generator=generator).to(value)
        found[key] = value
    return found


def recovered(found: Permutation, planted: Permutation) -> dict[str, float]:
    """Return, for each group, the share of units that were found where they were put."""
    return {name: float((found[name] == planted[name]).mean()) for name in planted}


def share(shares: Mapping[str, float], sizes: Mapping[str, int]) -> float:
    """Return the share of all units, from the shares of the groups."""
    return sum(one * sizes[name] for name, one in shares.items()) / max(1, sum(sizes.values()))


def recover(
    model: nn.Module,
    symmetry: Symmetry,
    images: Tensor,
    *,
    noise: Sequence[float] = (0.0, 1.0, 4.0),
    methods: Sequence[str] = ("weights", "activations"),
    seed: int = 0,
) -> Iterator[dict[str, Any]]:
    """Plant a random permutation in a copy of a network, with noise, and let every method find it again.

    The network has parameters and statistics as after training: every value within the range of its own tensor, no
    two units alike.

    Args:
        model: the module; its parameters give the ranges, and are not changed.
        symmetry: of the model.
        images: inputs [N, …], of which activations and moments are taken.
        noise: levels of noise, in units of each parameter's own spread.
        methods: of ``METHODS``; "moments" takes minutes where a layer reads thousands of inputs, "sinkhorn" learns for
            hundreds of steps.
        seed: of network, noise and permutation.

    Yields:
        For each level and method: noise, method, units (the share of units that were found), groups (the number of
        groups in which every unit was), of (the number of groups), seconds.
    """
    for level in noise:
        generator = seeding.generator("planted", seed)
        state = random_state(model, generator)
        planted = symmetry.random(generator)
        partner = symmetry.apply(planted.inverse(), with_noise(state, level, generator, symmetry.parameters))
        with torch.no_grad():
            labels = torch.func.functional_call(model, state, (images,)).argmax(1) if "sinkhorn" in methods else images
        for method in methods:
            log.info("noise %g: matching by %s", level, method)
            warm_up(images.device)
            start = time.perf_counter()
            found = match.pair(model, symmetry, (state, partner), PAIR[method], images, labels).permutation
            shares = recovered(found, planted)
            yield {
                "noise": level,
                "method": method,
                "units": share(shares, symmetry.sizes),
                "groups": sum(one == 1 for one in shares.values()),
                "of": len(shares),
                "seconds": time.perf_counter() - start,
            }
