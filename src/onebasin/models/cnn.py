"""Small convolutional network for small images."""

from collections.abc import Sequence

from torch import Tensor, nn

from onebasin.models.layers import HalvingMaxPool2d, norm_2d


class CNN(nn.Module):
    """3x3 convolutions (norm, ReLU), halved in size between two of them, mean over the pixels, one linear head.

    Args:
        width: unit of the channels.
        image_shape: channels, height, width of an image.
        classes: number of outputs.
        norm: "none", "layer" or "batch".
        channels: channels of the convolutions as multiples of `width`.
    """

    def __init__(
        self,
        *,
        width: int,
        image_shape: tuple[int, int, int],
        classes: int,
        norm: str = "layer",
        channels: Sequence[float] = (1, 2, 2),
    ) -> None:
        """Build the layers."""
        super().__init__()
        sizes = [image_shape[0], *(round(width * multiple) for multiple in channels)]
        if min(sizes) < 1:
            raise ValueError(f"channels {list(channels)} at width {width} give an empty layer: give positive multiples")
        pools = len(sizes) - 2
        if min(image_shape[1:]) < 2**pools:
            raise ValueError(f"cnn with {pools + 1} convolutions needs images of at least {2**pools} pixels a side")
        layers: list[nn.Module] = []
        for index, (before, after) in enumerate(zip(sizes, sizes[1:], strict=False)):
            if index > 0:
                layers.append(HalvingMaxPool2d())
            layers += [nn.Conv2d(before, after, 3, padding=1), norm_2d(norm, after), nn.ReLU()]
        self.features = nn.Sequential(*layers)
        self.head = nn.Linear(sizes[-1], classes)

    def forward(self, x: Tensor) -> Tensor:
        """Map images [n, channels, height, width] to logits [n, classes]."""
        return self.head(self.features(x).mean((2, 3)))
