"""VGG-16 for small images (Simonyan and Zisserman 2015; CIFAR variant with one linear head, Frankle et al. 2020)."""

from torch import Tensor, nn

from onebasin.models.layers import HalvingMaxPool2d, norm_2d

# Multiples of the width; "pool" halves the image.
PLAN: tuple[int | str, ...] = (1, 1, "pool", 2, 2, "pool", 4, 4, 4, "pool", 8, 8, 8, "pool", 8, 8, 8)


class VGG16(nn.Module):
    """Thirteen 3x3 convolutions with bias (norm, ReLU), four max pools, mean over the pixels, one linear head.

    Args:
        width: channels of the first convolution; the standard network has 64.
        image_shape: channels, height, width of an image; at least 16 pixels a side.
        classes: number of outputs.
        norm: "none", "layer" or "batch".
    """

    def __init__(self, *, width: int, image_shape: tuple[int, int, int], classes: int, norm: str = "layer") -> None:
        """Build the layers."""
        super().__init__()
        if min(image_shape[1:]) < 16:
            raise ValueError("vgg16 needs images of at least 16 pixels a side: take cnn for smaller ones")
        layers: list[nn.Module] = []
        before = image_shape[0]
        for step in PLAN:
            if isinstance(step, str):
                layers.append(HalvingMaxPool2d())
                continue
            after = step * width
            layers += [nn.Conv2d(before, after, 3, padding=1), norm_2d(norm, after), nn.ReLU()]
            before = after
        self.features = nn.Sequential(*layers)
        self.head = nn.Linear(before, classes)

    def forward(self, x: Tensor) -> Tensor:
        """Map images [n, channels, height, width] to logits [n, classes]."""
        return self.head(self.features(x).mean((2, 3)))
