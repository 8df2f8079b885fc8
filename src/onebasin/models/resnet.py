"""ResNet-20 for small images (He et al. 2016, section 4.2, with projection shortcuts: option B)."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from onebasin.models.layers import norm_2d

STAGES = (1, 2, 4)
BLOCKS = 3


class Block(nn.Module):
    """Two 3x3 convolutions and a shortcut: the identity, or a 1x1 convolution with norm where the shape changes.

    Args:
        before: channels of the input.
        after: channels of the output.
        stride: of the first convolution and the shortcut.
        norm: "none", "layer" or "batch"; convolutions have a bias only without norm, whose shift replaces it.
        untied: whether an identity as shortcut is written as a convolution.
    """

    def __init__(self, before: int, after: int, stride: int, norm: str, untied: bool) -> None:
        """Build the layers."""
        super().__init__()
        bias = norm == "none"
        self.conv1 = nn.Conv2d(before, after, 3, stride, padding=1, bias=bias)
        self.norm1 = norm_2d(norm, after)
        self.conv2 = nn.Conv2d(after, after, 3, padding=1, bias=bias)
        self.norm2 = norm_2d(norm, after)
        self.shortcut: nn.Module = nn.Identity()
        if stride != 1 or before != after:
            # Takes every second pixel, then convolves: on CPUs the gradient of a strided 1x1 convolution of few
            # channels in channels-last order overruns memory (oneDNN issue 6035).
            self.shortcut = nn.Sequential(
                nn.AvgPool2d(1, stride), nn.Conv2d(before, after, 1, bias=bias), norm_2d(norm, after)
            )
        elif untied:
            self.shortcut = nn.Conv2d(before, after, 1, bias=False)
            with torch.no_grad():
                nn.init.dirac_(self.shortcut.weight)

    def forward(self, x: Tensor) -> Tensor:
        """Map x [n, before, height, width] to [n, after, height / stride, width / stride]."""
        inner = F.relu(self.norm1(self.conv1(x)))
        return F.relu(self.norm2(self.conv2(inner)) + self.shortcut(x))


class ResNet20(nn.Module):
    """A 3x3 convolution, three stages of three blocks, mean over the pixels, one linear head.

    Args:
        width: channels of the first stage; the standard network has 16.
        image_shape: channels, height, width of an image.
        classes: number of outputs.
        norm: "none", "layer" or "batch".
        untied: whether identities as shortcuts are written as convolutions that compute the same. The channels of a
            stage then need not have the same order in all of its blocks: a permutation moves the weights of these
            convolutions, which map one order to the next.
    """

    def __init__(
        self,
        *,
        width: int,
        image_shape: tuple[int, int, int],
        classes: int,
        norm: str = "layer",
        untied: bool = False,
    ) -> None:
        """Build the layers."""
        super().__init__()
        self.conv = nn.Conv2d(image_shape[0], width, 3, padding=1, bias=norm == "none")
        self.norm = norm_2d(norm, width)
        blocks: list[nn.Module] = []
        before = width
        for stage, multiple in enumerate(STAGES):
            for block in range(BLOCKS):
                stride = 2 if stage > 0 and block == 0 else 1
                blocks.append(Block(before, multiple * width, stride, norm, untied))
                before = multiple * width
        self.blocks = nn.Sequential(*blocks)
        self.head = nn.Linear(before, classes)

    def forward(self, x: Tensor) -> Tensor:
        """Map images [n, channels, height, width] to logits [n, classes]."""
        features = self.blocks(F.relu(self.norm(self.conv(x))))
        return self.head(features.mean((2, 3)))
