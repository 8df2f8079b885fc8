"""Layers that several families share."""

from collections.abc import Iterator

import torch
import torch.nn.functional as F
from torch import Tensor, nn

NORMS = ("none", "layer", "batch")
"""What normalises behind each layer."""


class ChannelLayerNorm(nn.Module):
    """Layer normalisation over the channels of each pixel, with a scale and a shift per channel.

    Unlike statistics over channels and pixels together, it treats every pixel alone; like them, it commutes with
    permutations of the channels.

    Args:
        channels: number of channels.
        eps: added to the variance.
    """

    def __init__(self, channels: int, eps: float = 1e-5) -> None:
        """Start with scale 1 and shift 0."""
        super().__init__()
        self.channels = channels
        self.eps = eps
        self.weight = nn.Parameter(torch.ones(channels))
        self.bias = nn.Parameter(torch.zeros(channels))

    def forward(self, x: Tensor) -> Tensor:
        """Normalise x [n, channels, height, width]."""
        if torch.compiler.is_dynamo_compiling():
            return self._elementary(x)
        last = F.layer_norm(x.permute(0, 2, 3, 1), (self.channels,), self.weight, self.bias, self.eps)
        return last.permute(0, 3, 1, 2)

    def _elementary(self, x: Tensor) -> Tensor:
        """Do the same in elementary operations, which a compiler fuses with those before and after."""
        # A scale and shift for each image: gradients are then summed over pixels first, over images last.
        weight, bias = (p.expand(x.shape[:2])[:, :, None, None] for p in (self.weight, self.bias))
        exact = x.to(torch.promote_types(x.dtype, torch.float32))
        centred = exact - exact.mean(1, keepdim=True)
        scale = torch.rsqrt(centred.square().mean(1, keepdim=True) + self.eps)
        return (centred * scale * weight + bias).to(x.dtype)

    def extra_repr(self) -> str:
        """Say the number of channels."""
        return f"{self.channels}, eps={self.eps}"


class HalvingMaxPool2d(nn.MaxPool2d):
    """Maxima over 2x2 pixels, in bfloat16 compiled as maxima along rows and then along columns.

    That gives the compiler plain reductions, where the gradient of a pooling scatters; in float32 it does not pay.
    Equal maxima of two pixels then share the gradient, which otherwise goes to the first.
    """

    def __init__(self) -> None:
        """Halve both sides of an image."""
        super().__init__(2)

    def forward(self, x: Tensor) -> Tensor:
        """Pool x [n, channels, height, width]."""
        odd = x.shape[2] % 2 or x.shape[3] % 2
        if odd or x.dtype != torch.bfloat16 or not torch.compiler.is_dynamo_compiling():
            return super().forward(x)
        rows = x.permute(0, 2, 3, 1).unflatten(2, (-1, 2)).amax(3)
        return rows.unflatten(1, (-1, 2)).amax(2).permute(0, 3, 1, 2)


def weights(model: nn.Module) -> Iterator[tuple[str, nn.Parameter]]:
    """Yield the weights of a model by their state keys, in order.

    These are parameters with two or more axes longer than 1, and those of linear and convolutional layers; neither
    biases nor parameters of norms.
    """
    for prefix, module in model.named_modules():
        if isinstance(module, nn.LayerNorm):
            continue
        for name, parameter in module.named_parameters(recurse=False):
            layer = isinstance(module, nn.Linear | nn.modules.conv._ConvNd) and parameter.dim() >= 2
            if layer or sum(length > 1 for length in parameter.shape) >= 2:
                yield f"{prefix}.{name}" if prefix else name, parameter


def check_norm(norm: str) -> None:
    """Raise ValueError for an unknown kind of normalisation."""
    if norm not in NORMS:
        raise ValueError(f"unknown norm {norm!r}: give one of {', '.join(NORMS)}")


def norm_2d(norm: str, channels: int) -> nn.Module:
    """Make the normalisation of a feature map.

    Args:
        norm: "layer" (over the channels of each pixel), "batch" or "none".
        channels: number of channels.

    Returns:
        A module from [n, channels, height, width] to the same shape.

    Raises:
        ValueError: for an unknown kind.
    """
    check_norm(norm)
    if norm == "layer":
        return ChannelLayerNorm(channels)
    return nn.BatchNorm2d(channels) if norm == "batch" else nn.Identity()


def norm_1d(norm: str, features: int) -> nn.Module:
    """Make the normalisation of a feature vector.

    Args:
        norm: "layer" (over the features of each example), "batch" or "none".
        features: number of features.

    Returns:
        A module from [n, features] to the same shape.

    Raises:
        ValueError: for an unknown kind.
    """
    check_norm(norm)
    if norm == "layer":
        return nn.LayerNorm(features)
    return nn.BatchNorm1d(features) if norm == "batch" else nn.Identity()
