"""Multi-layer perceptron with ReLU."""

from collections.abc import Sequence

from torch import Tensor, nn

from onebasin.models.layers import check_norm, norm_1d


class MLP(nn.Module):
    """Flattened image, hidden layers (linear, norm, ReLU), one linear head.

    Args:
        width: unit of the hidden sizes.
        image_shape: channels, height, width of an image.
        classes: number of outputs.
        norm: "none", "layer" or "batch".
        hidden: sizes of the hidden layers as multiples of `width`; width 100 with `[3, 1]` is 784-300-100-10.
    """

    def __init__(
        self,
        *,
        width: int,
        image_shape: tuple[int, int, int],
        classes: int,
        norm: str = "none",
        hidden: Sequence[float] = (1, 1, 1),
    ) -> None:
        """Build the layers."""
        super().__init__()
        check_norm(norm)
        channels, height, image_width = image_shape
        sizes = [channels * height * image_width, *(round(width * multiple) for multiple in hidden)]
        if min(sizes) < 1:
            raise ValueError(f"hidden {list(hidden)} at width {width} gives an empty layer: give positive multiples")
        layers: list[nn.Module] = []
        for before, after in zip(sizes, sizes[1:], strict=False):
            layers.append(nn.Linear(before, after))
            if norm != "none":
                layers.append(norm_1d(norm, after))
            layers.append(nn.ReLU())
        self.hidden = nn.Sequential(*layers)
        self.head = nn.Linear(sizes[-1], classes)

    def forward(self, x: Tensor) -> Tensor:
        """Map images [n, channels, height, width] to logits [n, classes]."""
        return self.head(self.hidden(x.flatten(1)))
