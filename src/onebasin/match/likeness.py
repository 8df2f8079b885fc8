"""How alike the hidden activations of two networks are, in whatever order or rotation their units stand."""

from __future__ import annotations

import math

from torch import Tensor, nn

from onebasin.match.activation_matching import watch
from onebasin.symmetry import State, Symmetry, discover


def representations(symmetry: Symmetry, model: nn.Module, state: State, images: Tensor) -> list[Tensor]:
    """Return the Gram matrices of a network's hidden activations, where the units of each group are last seen.

    Args:
        symmetry: the symmetry of ``model``.
        model: the module of the network.
        state: its state, on the device to compute on.
        images: unaugmented images [n, …], on the same device, all in one forward pass.

    Returns:
        For each group in which no other one is nested, as ``gram`` gives it, [n, n].

    Raises:
        SymmetryError: if no intermediate shows the units of a group.
    """
    traced = discover(model, images, verify=False)
    indices = [traced.intermediates(name)[0][0] for name, nested in symmetry.nested.items() if not nested]
    seen = watch(model, state, images, set(indices))
    return [gram(seen[index].flatten(1)) for index in indices]


def gram(features: Tensor) -> Tensor:
    """Return the inner products of centred features, scaled to the norm 1; nan where features never vary.

    Args:
        features: of n images, [n, p].
    """
    centred = features.double() - features.double().mean(0)
    products = centred @ centred.T
    return products / products.norm()


def angular_cka(first: Tensor, second: Tensor) -> float:
    """Return the angle between two representations of the same images: the arc cosine of their linear CKA.

    Linear CKA (Kornblith et al. 2019, arXiv 1905.00414) is the cosine between the Gram matrices of centred features, so
    that neither rotations nor permutations of features matter; its angle is a metric (Williams et al. 2021, arXiv
    2110.14739).

    Args:
        first: as ``gram`` gives it, [n, n].
        second: of the same n images.

    Returns:
        The angle in radians, from 0, equal up to rotation and scale, to π/2.
    """
    # Of nearly equal matrices the arc cosine would lose half of the digits.
    return 2 * math.atan2(float((first - second).norm()), float((first + second).norm()))
