"""A model of one's own, for `factory: "own_net:build"`: residual blocks on patches of an image."""

from torch import Tensor, nn


class Block(nn.Module):
    """Linear, GELU, linear, on a residual stream."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(channels)
        self.wide = nn.Linear(channels, 2 * channels)
        self.narrow = nn.Linear(2 * channels, channels)

    def forward(self, x: Tensor) -> Tensor:
        """Map x [n, patches, channels] to its like."""
        return x + self.narrow(nn.functional.gelu(self.wide(self.norm(x))))


class Patches(nn.Module):
    """Patches of an image, blocks on each of them, and their mean."""

    def __init__(self, width: int, image_shape: tuple[int, int, int], classes: int, depth: int, patch: int) -> None:
        super().__init__()
        self.stem = nn.Conv2d(image_shape[0], width, patch, stride=patch)
        self.blocks = nn.Sequential(*[Block(width) for _ in range(depth)])
        self.norm = nn.LayerNorm(width)
        self.head = nn.Linear(width, classes)

    def forward(self, x: Tensor) -> Tensor:
        """Map images [n, channels, height, width] to logits [n, classes]."""
        return self.head(self.norm(self.blocks(self.stem(x).flatten(2).mT)).mean(1))


def build(width: int, image_shape: tuple[int, int, int], classes: int, depth: int = 2, patch: int = 2) -> nn.Module:
    """Build the network; depth and patch are options of the study."""
    return Patches(width, image_shape, classes, depth, patch)
