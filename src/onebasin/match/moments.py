"""Parameters in the metric of what they read: the second moments of each layer's inputs.

Two units with weights v and w that read inputs x have outputs vᵀx and wᵀx, whose mean product over images is vᵀ M w,
with M = E[x xᵀ]. A weight that reads what is hardly ever other than 0 counts little in it, whatever its size. Weight
matching compares vᵀ w. With W M^½ in the place of each layer's weight W it compares vᵀ M w, without a change of its
search: where inputs are reordered, M^½ is reordered with them, so that W M^½ has the symmetry of W.

Each network has its own M. At the first layer it is the same for all networks, and vᵀ M w is exact; behind it stands
vᵀ M_a^½ M_b^½ w in its place, M_b in the order of the units of b, which is vᵀ M w where the units of both agree. This
lies between the inner products of weights and of activations that Ainsworth et al. 2023 (arXiv 2209.04836, section 3)
match by.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from onebasin.symmetry import Network, State

_FORWARD = (nn.Linear.forward, nn.Conv2d.forward)
_TOGETHER = 32  # images whose patches are in memory at once


def in_metric(
    model: nn.Module, state: State, images: Tensor, *, biases: bool = True, batch_size: int = 512
) -> dict[str, Tensor]:
    """Return a state whose weights are multiplied by the root of the second moments of their inputs.

    Linear layers and ungrouped two-dimensional convolutions, which read patches (channels and positions of the kernel
    together); all other parameters stay as they are, and so do those that layers share.

    Args:
        model: the network's module.
        state: its state, on the device to compute on.
        images: unaugmented training images [N, …], on the same device.
        biases: whether biases count, as weights of an input that is always 1; otherwise they stay as they are.
        batch_size: images per forward pass.

    Returns:
        The state, with the keys and shapes that it had; it is to be compared, and not evaluated.

    Raises:
        ValueError: if there are no images.
    """
    if not len(images):
        raise ValueError("second moments need images, of which there are none")
    network = Network(model, state)
    sums: dict[str, Tensor] = {}
    for module, name in network.names.items():
        if _is_plain(module, network):
            module.register_forward_pre_hook(_adds(sums, name, constant=biases), with_kwargs=True)
    for batch in images.split(batch_size):
        network(batch)
    found = dict(state)
    for name, total in sums.items():
        prefix = f"{name}." if name else ""
        values, vectors = torch.linalg.eigh(total / len(images))
        root = (vectors * values.clamp(min=0).sqrt()) @ vectors.T
        weight, bias = state[f"{prefix}weight"], state.get(f"{prefix}bias")
        rows = weight.flatten(1).double()
        if len(root) > rows.shape[1]:
            assert bias is not None
            rows = torch.cat([rows, bias[:, None].double()], 1)
        rows = (rows @ root).float()
        found[f"{prefix}weight"] = rows[:, : weight[0].numel()].reshape(weight.shape)
        if len(root) > weight[0].numel():
            found[f"{prefix}bias"] = rows[:, -1]
    return found


def _is_plain(module: nn.Module, network: Network) -> bool:
    """Say whether a module is a layer that applies a weight of its own to its inputs."""
    if not isinstance(module, nn.Linear | nn.Conv2d) or type(module).forward not in _FORWARD:
        return False
    if isinstance(module, nn.Conv2d) and module.groups > 1:
        return False
    uses = [id(tensor) for tensor in network.tensors.values()]
    own = [tensor for tensor in (module.weight, module.bias) if tensor is not None]
    return all(uses.count(id(tensor)) == 1 and tensor.is_floating_point() for tensor in own)


def _adds(sums: dict[str, Tensor], name: str, constant: bool) -> Callable[..., None]:
    """Return a hook that adds up the products of a layer's inputs, with a last one that is 1 where a bias counts."""

    def add(module: Any, given: tuple[Tensor, ...], named: dict[str, Tensor]) -> None:
        inputs = given[0] if given else named["input"]
        patched = isinstance(module, nn.Conv2d)
        for part in inputs.split(_TOGETHER) if patched else [inputs]:
            rows = _patches(module, part) if patched else part.flatten(0, -2)
            if constant and module.bias is not None:
                rows = functional.pad(rows, (0, 1), value=1)
            product = (rows.T @ rows).double()
            sums[name] = sums[name] + product if name in sums else product

    return add


def _patches(module: nn.Conv2d, maps: Tensor) -> Tensor:
    """Return what a convolution reads at all positions of all images [positions, channels × kernel]."""
    mode = "constant" if module.padding_mode == "zeros" else module.padding_mode
    padded = functional.pad(maps, module._reversed_padding_repeated_twice, mode)
    unfolded = functional.unfold(padded, module.kernel_size, module.dilation, stride=module.stride)
    return unfolded.transpose(1, 2).flatten(0, 1)
