"""Network families: ordinary modules that know nothing of permutations."""

import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import nn

from onebasin.models.cnn import CNN
from onebasin.models.layers import NORMS, ChannelLayerNorm
from onebasin.models.mlp import MLP
from onebasin.models.resnet import ResNet20
from onebasin.models.vgg import VGG16

__all__ = ["FAMILIES", "NORMS", "ChannelLayerNorm", "build", "initialise"]

FAMILIES: Mapping[str, Callable[..., nn.Module]] = {"mlp": MLP, "cnn": CNN, "vgg16": VGG16, "resnet20": ResNet20}
"""The class of each family, by its name."""

_NORM_LAYERS = (nn.LayerNorm, nn.BatchNorm1d, nn.BatchNorm2d, ChannelLayerNorm)


def build(
    family: str, *, width: int, image_shape: Sequence[int], classes: int, norm: str = "none", **options: Any
) -> nn.Module:
    """Build a network; its parameters are not yet initialised as a study wants them (see `initialise`).

    Args:
        family: one of `FAMILIES`.
        width: unit of the layer sizes, at least 1.
        image_shape: channels, height, width of an image.
        classes: number of outputs, at least 2.
        norm: one of `NORMS`; "layer" is over the features of each example, in images over the channels of each pixel.
        options: of the family, such as `hidden` for "mlp" and `channels` for "cnn".

    Returns:
        The network: images float32 [n, channels, height, width] to logits [n, classes].

    Raises:
        ValueError: an unknown family, norm or option, or a size that does not work.
    """
    if family not in FAMILIES:
        raise ValueError(f"unknown model family {family!r}: give one of {', '.join(FAMILIES)}")
    if norm not in NORMS:
        raise ValueError(f"unknown norm {norm!r}: give one of {', '.join(NORMS)}")
    if isinstance(width, bool) or not isinstance(width, int) or width < 1:
        raise ValueError(f"width must be an integer of at least 1, not {width!r}")
    if isinstance(classes, bool) or not isinstance(classes, int) or classes < 2:
        raise ValueError(f"classes must be an integer of at least 2, not {classes!r}")
    shape = tuple(image_shape)
    if len(shape) != 3 or min(shape) < 1:
        raise ValueError(f"image_shape must be (channels, height, width), not {shape}")
    allowed = set(inspect.signature(FAMILIES[family]).parameters) - {"width", "image_shape", "classes", "norm"}
    unknown = sorted(set(options) - allowed)
    if unknown:
        raise ValueError(f"{family} has no option {', '.join(unknown)}: give {', '.join(sorted(allowed)) or 'none'}")
    return FAMILIES[family](width=width, image_shape=shape, classes=classes, norm=norm, **options)


def initialise(model: nn.Module, generator: torch.Generator) -> None:
    """Initialise a network in place: Kaiming-normal weights, biases 0, norm scales 1 and shifts 0.

    Weights have the standard deviation sqrt(2 / fan_in) (He et al. 2015); running statistics are reset. Layers other
    than linear, two-dimensional convolutional, layer-norm and batch-norm ones stay as they are.

    Args:
        model: the network.
        generator: on the CPU, so that networks are the same on every device.
    """
    for module in model.modules():
        if isinstance(module, nn.Linear | nn.Conv2d):
            fan_in = module.weight[0].numel()
            values = torch.empty(module.weight.shape).normal_(0, (2 / fan_in) ** 0.5, generator=generator)
            with torch.no_grad():
                module.weight.copy_(values)
            if module.bias is not None:
                nn.init.zeros_(module.bias)
        elif isinstance(module, _NORM_LAYERS):
            if module.weight is not None:
                nn.init.ones_(module.weight)
            if module.bias is not None:
                nn.init.zeros_(module.bias)
            if isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d):
                module.reset_running_stats()
