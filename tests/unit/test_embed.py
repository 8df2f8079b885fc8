"""Zero-padded networks compute the same function, whatever their norm."""

import pytest
import torch
from networks import build, state
from torch import nn
from torch.func import functional_call

from onebasin import symmetry
from onebasin.landscape import embed
from onebasin.landscape.embed import EmbeddingError

SHAPES = {"mlp": (1, 8, 8), "cnn": (1, 8, 8), "vgg16": (3, 16, 16), "resnet20": (3, 8, 8)}


def pair(family, norm, widths=(4, 6)):
    images = torch.randn(4, *SHAPES[family], dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    modules = [build(family, width=width, shape=SHAPES[family], norm=norm).double() for width in widths]
    return *modules, tuple(symmetry.discover(module, images[:2], verify=False) for module in modules), images


@pytest.mark.parametrize("norm", ["none", "batch", "layer"])
@pytest.mark.parametrize("family", SHAPES)
def test_a_padded_network_computes_the_same_function(family, norm):
    narrow, wide, symmetries, images = pair(family, norm)
    values = state(narrow)
    padded = embed.embed(narrow, wide, symmetries, values, images)
    narrow.eval(), wide.eval()
    before = functional_call(narrow, values, (images,))
    after = functional_call(wide, padded, (images,))
    assert (before - after).abs().max() <= 1e-11 * before.abs().max()
    for name, group in symmetries[1].groups.items():
        for key, axis in group.axes:
            new = padded[key].narrow(axis, symmetries[0].sizes[name], group.size - symmetries[0].sizes[name])
            assert not new.any(), key


def test_padding_leaves_weights_alone_where_no_layer_norm_follows():
    narrow, wide, symmetries, images = pair("cnn", "batch")
    values = state(narrow)
    padded = embed.embed(narrow, wide, symmetries, values, images)
    for key, value in values.items():
        assert torch.equal(padded[key][tuple(map(slice, value.shape))], value), key


def test_a_wider_network_or_another_architecture_is_refused():
    narrow, wide, symmetries, images = pair("mlp", "none")
    with pytest.raises(EmbeddingError, match="6 units, more than the 4"):
        embed.embed(wide, narrow, symmetries[::-1], state(wide), images)
    _, other, found, _ = pair("cnn", "none")
    with pytest.raises(EmbeddingError, match="not of the same architecture"):
        embed.embed(narrow, other, (symmetries[0], found[1]), state(narrow), images)


class Flattened(nn.Module):
    """A head upon a flattened feature map, whose positions are pairs of channel and pixel."""

    def __init__(self, width):
        super().__init__()
        self.conv = nn.Conv2d(1, width, 3)
        self.head = nn.Linear(width * 36, 5)

    def forward(self, x):
        return self.head(self.conv(x).relu().flatten(1))


class Shared(nn.Module):
    """A layer whose output goes both through a layer norm and around it."""

    def __init__(self, width):
        super().__init__()
        self.first = nn.Linear(8, width)
        self.norm = nn.LayerNorm(width)
        self.head = nn.Linear(width, 5)

    def forward(self, x):
        x = self.first(x)
        return self.head(x.relu() + self.norm(x))


class Stream(nn.Module):
    """A layer norm upon a sum of two layers."""

    def __init__(self, width):
        super().__init__()
        self.first, self.second = nn.Linear(8, width), nn.Linear(8, width)
        self.norm = nn.LayerNorm(width)
        self.head = nn.Linear(width, 5)

    def forward(self, x):
        return self.head(self.norm(self.first(x) + self.second(x)))


@pytest.mark.parametrize(
    ("make", "shape", "message"),
    [
        (Flattened, (1, 8, 8), "not an axis of head.weight"),
        (Shared, (8,), "another function"),
        (Stream, (8,), "scale norm.weight does not follow directly"),
    ],
)
def test_what_cannot_be_padded_is_refused(make, shape, message):
    narrow, wide = make(4), make(6)
    images = torch.randn(4, *shape, generator=torch.Generator().manual_seed(0))
    symmetries = symmetry.discover(narrow, images), symmetry.discover(wide, images)
    with pytest.raises(EmbeddingError, match=message):
        embed.embed(narrow, wide, symmetries, state(narrow), images)
