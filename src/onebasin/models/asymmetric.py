"""Networks whose units are not interchangeable: random entries of every weight are the same in all of them.

These entries are held at random values, which training leaves alone, and the others are trained as ever. So every unit
has a place of its own from the start (W-asymmetric networks, Lim et al. 2024, arXiv 2405.20231). A permutation still
leaves the function of a network unchanged, but the permuted network has its fixed entries elsewhere: it is none that
training could have given.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from onebasin import seeding
from onebasin.models.layers import weights

_DECLARED = "asymmetric"


def declare(model: nn.Module, share: float, spread: float = 1.0) -> None:
    """Say which entries of a model training shall hold; nothing changes until it begins.

    Args:
        model: the network.
        share: of the entries of every weight that are held, in (0, 1).
        spread: standard deviation of their values, in units of sqrt(2 / fan_in).
    """
    setattr(model, _DECLARED, (share, spread))


def fixed(model: nn.Module) -> dict[str, tuple[Tensor, Tensor]]:
    """Return which entries training holds, and at which values; they depend on names and shapes of weights alone.

    Args:
        model: the network, declared or not.

    Returns:
        By the name of a parameter, truth values of its shape, on the CPU, and values of its shape, float32; empty for a
        model of which nothing was declared.
    """
    share, spread = getattr(model, _DECLARED, (0.0, 0.0))
    found: dict[str, tuple[Tensor, Tensor]] = {}
    if not share:
        return found
    for key, parameter in weights(model):
        generator = seeding.generator("asymmetric", key, *parameter.shape)
        places = torch.zeros(parameter.numel(), dtype=torch.bool)
        places[torch.randperm(len(places), generator=generator)[: round(share * len(places))]] = True
        deviation = spread * (2 / parameter[0].numel()) ** 0.5
        values = torch.empty(parameter.shape).normal_(0, deviation, generator=generator)
        found[key] = places.reshape(parameter.shape), values
    return found
