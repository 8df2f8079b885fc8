"""The groups of torchvision's architectures: right under random permutations, and as many and as large as by hand."""

import itertools
import warnings
from collections import Counter
from collections.abc import Callable, Iterable

import pytest
import torch
import torchvision
from torch import nn

from onebasin import symmetry

Sizes = Counter[tuple[int, int]]


def plain(*sizes: int) -> Sizes:
    """Groups without blocks, by the number of their units."""
    return Counter((size, 1) for size in sizes)


def attention(heads: int, width: int) -> Sizes:
    """Heads change places; in each, queries move with keys, and values with the inputs of the output projection."""
    return Counter({(heads, 1): 1, (width, heads): 2})


def repeat(count: int, sizes: Sizes) -> Sizes:
    return Counter({key: count * value for key, value in sizes.items()})


def total(parts: Iterable[Sizes]) -> Sizes:
    return sum(parts, Counter())


def alexnet() -> Sizes:
    return plain(64, 192, 384, 256, 256, 4096, 4096)


def vgg11() -> Sizes:
    return plain(64, 128, 256, 256, 512, 512, 512, 512, 4096, 4096)


def vgg16() -> Sizes:
    # 13 convolutions and two hidden layers; flattening keeps the pixels of the last convolution in place
    return plain(*[64] * 2, *[128] * 2, *[256] * 3, *[512] * 6, 4096, 4096)


def resnet18() -> Sizes:
    # a residual stream per stage, in the first the stem's units; one hidden convolution in each of two blocks
    return total(plain(width, width, width) for width in (64, 128, 256, 512))


def resnet50() -> Sizes:
    # bottlenecks have two hidden convolutions; the first stream starts at a projection, so the stem has its own units
    stages = zip((3, 4, 6, 3), (64, 128, 256, 512), strict=True)
    return plain(64) + total(plain(4 * width, *[width] * 2 * blocks) for blocks, width in stages)


def resnext50_32x4d() -> Sizes:
    # as ResNet-50, with hidden convolutions twice as wide in 32 groups, which change places with the units inside
    stages = zip((3, 4, 6, 3), (64, 128, 256, 512), strict=True)
    return plain(64) + total(
        plain(4 * width) + Counter({(32, 1): blocks, (2 * width, 32): 2 * blocks}) for blocks, width in stages
    )


def densenet121() -> Sizes:
    # every one of 58 layers makes 128 units for itself and 32 that all later ones read; three transitions
    return plain(64, 128, 256, 512) + repeat(58, plain(128, 32))


def googlenet() -> Sizes:
    # each inception has a 1x1, a reduced 3x3, a second reduced 3x3 and a projection after pooling
    inceptions = [
        (64, 96, 128, 16, 32, 32),
        (128, 128, 192, 32, 96, 64),
        (192, 96, 208, 16, 48, 64),
        (160, 112, 224, 24, 64, 64),
        (128, 128, 256, 24, 64, 64),
        (112, 144, 288, 32, 64, 64),
        (256, 160, 320, 32, 128, 128),
        (256, 160, 320, 32, 128, 128),
        (384, 192, 384, 48, 128, 128),
    ]
    return plain(64, 64, 192, *itertools.chain(*inceptions))


def inception_v3() -> Sizes:
    # no unit of a convolution is added to another's: each of the 94 has its own
    stem = [32, 32, 64, 80, 192]
    a = [(64, 48, 64, 64, 96, 96, pool) for pool in (32, 64, 64)]
    b = (384, 64, 96, 96)
    c = [(192, c, c, 192, c, c, c, c, 192, 192) for c in (128, 160, 160, 192)]
    d = (192, 320, 192, 192, 192, 192)
    e = [(320, 384, 384, 384, 448, 384, 384, 384, 192)] * 2
    return plain(*stem, *itertools.chain(*a, b, *c, d, *e))


def squeezenet1_0() -> Sizes:
    # a fire module squeezes, and expands twice; the last convolution makes the output
    fires = [(16, 64), (16, 64), (32, 128), (32, 128), (48, 192), (48, 192), (64, 256), (64, 256)]
    return plain(96) + total(plain(squeeze, expand, expand) for squeeze, expand in fires)


def mobilenet_v2() -> Sizes:
    # a stream per stage and a hidden layer per block, through its depthwise convolution; in the first it is the stem's
    stages = [(1, 16, 1), (6, 24, 2), (6, 32, 3), (6, 64, 4), (6, 96, 3), (6, 160, 3), (6, 320, 1)]
    sizes, before = [32, 1280], 32
    for expansion, width, blocks in stages:
        for _ in range(blocks):
            sizes += [expansion * before] if expansion > 1 else []
            before = width
        sizes.append(width)
    return plain(*sizes)


def mobilenet_v3_small() -> Sizes:
    # (hidden, out, squeezed) of each block; the first has no expansion; a block that keeps width and stride adds
    blocks = [
        (None, 16, 8),
        (72, 24, None),
        (88, None, None),
        (96, 40, 24),
        (240, None, 64),
        (240, None, 64),
        (120, 48, 32),
        (144, None, 40),
        (288, 96, 72),
        (576, None, 144),
        (576, None, 144),
    ]
    return plain(16, 576, 1024, *(size for block in blocks for size in block if size))


def mnasnet0_5() -> Sizes:
    stages = [(3, 16, 3), (3, 24, 3), (6, 40, 3), (6, 48, 2), (6, 96, 4), (6, 160, 1)]
    sizes, before = [16, 8, 1280], 8
    for expansion, width, blocks in stages:
        for _ in range(blocks):
            sizes.append(expansion * before)
            before = width
        sizes.append(width)
    return plain(*sizes)


def efficientnet_b0() -> Sizes:
    # as MobileNetV2, with the units of squeeze-and-excitation: a quarter of what the block reads
    stages = [(1, 16, 1), (6, 24, 2), (6, 40, 2), (6, 80, 3), (6, 112, 3), (6, 192, 4), (6, 320, 1)]
    sizes, before = [32, 1280], 32
    for expansion, width, blocks in stages:
        for _ in range(blocks):
            sizes += [expansion * before] if expansion > 1 else []
            sizes.append(before // 4)
            before = width
        sizes.append(width)
    return plain(*sizes)


def efficientnet_v2_s() -> Sizes:
    # fused blocks have no squeezing, and without expansion nothing hidden
    fused = [(1, 24, 2), (4, 48, 4), (4, 64, 4)]
    stages = [(4, 128, 6), (6, 160, 9), (6, 256, 15)]
    sizes, before = [1280], 24  # the first stage adds to the stem's units
    for expansion, width, blocks in fused + stages:
        for _ in range(blocks):
            sizes += [expansion * before] if expansion > 1 else []
            sizes += [before // 4] if (expansion, width, blocks) in stages else []
            before = width
        sizes.append(width)
    return plain(*sizes)


def regnet_x_400mf() -> Sizes:
    # a stream per stage; in a block the groups of 16 channels change places, with the units inside on either side
    stages = [(32, 1), (64, 2), (160, 7), (400, 12)]
    return plain(32) + total(
        plain(width) + Counter({(width // 16, 1): blocks, (width, width // 16): 2 * blocks}) for width, blocks in stages
    )


def regnet_y_400mf() -> Sizes:
    # the same in groups of 8, with a squeezed layer of a quarter of what the block reads
    stages = [(48, 1), (104, 3), (208, 6), (440, 6)]
    sizes, before = plain(32), 32
    for width, blocks in stages:
        sizes += plain(width) + Counter({(width // 8, 1): blocks}) + Counter({(width, width // 8): 2 * blocks})
        sizes += plain(before // 4, *[width // 4] * (blocks - 1))
        before = width
    return sizes


def shufflenet_v2_x0_5() -> Sizes:
    # Followed unit by unit: which convolution makes it, and which blocks read it.
    sizes = plain(24, 1024)
    for width, blocks in ((48, 4), (96, 8), (192, 4)):
        half = width // 2
        sizes += repeat(blocks, plain(half))  # hidden, between the 1x1 convolution and the depthwise one
        made = itertools.count()
        readers: dict[tuple[int, int], tuple[int, ...]] = {}

        def units(made: Iterable[int] = made, half: int = half) -> list[tuple[int, int]]:
            convolution = next(made)
            return [(convolution, unit) for unit in range(half)]

        left, right = units(), units()
        for block in range(1, blocks + 1):
            shuffled = [unit for pair in zip(left, right, strict=True) for unit in pair]
            if block < blocks:
                left, right = shuffled[:half], units()
                readers.update({unit: (*readers.get(unit, ()), block) for unit in shuffled[half:]})
            everything = shuffled
        # what is left reads the last shuffle too: the same for all units that reach it
        reached = set(everything)
        classes = Counter((unit[0], readers.get(unit), unit in reached) for unit in {*reached, *readers})
        sizes += plain(*(size for size in classes.values() if size > 1))
    return sizes


def convnext_tiny() -> Sizes:
    # a stream per stage, through the depthwise convolution of each block, and the four times wider layer
    stages = [(96, 3), (192, 3), (384, 9), (768, 3)]
    return total(plain(width, *[4 * width] * blocks) for width, blocks in stages)


def swin_t() -> Sizes:
    # merging patches puts four copies of a stream side by side; relative positions have a column for each head
    stages = [(96, 2, 3), (192, 2, 6), (384, 6, 12), (768, 2, 24)]
    return total(plain(width) + repeat(n, plain(4 * width) + attention(heads, width)) for width, n, heads in stages)


def swin_v2_t() -> Sizes:
    return swin_t() + plain(*[512] * 12)  # the layer that makes the relative positions


def vit_b_16() -> Sizes:
    return plain(768) + repeat(12, plain(3072) + attention(12, 768))


def maxvit() -> Sizes:
    # Stem of two; in a block of two layers the stream, and in each layer an inverted bottleneck with squeezing (four
    # times and a quarter of the width) and two attentions with their wider layers; the classifier's hidden layer.
    layer = plain(4 * 16, 16 // 4, 4 * 16, 4 * 16) + repeat(2, attention(2, 16))
    return plain(8, 8, 16, 16) + repeat(2, layer)


def _maxvit() -> nn.Module:
    return torchvision.models.maxvit.MaxVit(
        input_size=(32, 32),
        stem_channels=8,
        partition_size=2,
        block_channels=[16],
        block_layers=[2],
        head_dim=8,
        stochastic_depth_prob=0.0,
        num_classes=10,
    )


def _vit() -> nn.Module:
    return torchvision.models.VisionTransformer(
        image_size=32, patch_size=8, num_layers=2, num_heads=4, hidden_dim=48, mlp_dim=80, num_classes=10
    )


def build(name: str) -> nn.Module:
    with warnings.catch_warnings(action="ignore"):  # some announce that their initialisation will change
        return torchvision.models.get_model(name, weights=None)


# One of each architecture: what builds it, the size of images, and the groups counted by hand.
MODELS: dict[str, tuple[Callable[[], nn.Module], int, Sizes]] = {
    **{
        function.__name__: (lambda name=function.__name__: build(name), size, function())
        for function, size in [
            (alexnet, 64),
            (convnext_tiny, 32),
            (densenet121, 32),
            (efficientnet_b0, 32),
            (efficientnet_v2_s, 32),
            (googlenet, 32),
            (inception_v3, 75),
            (mnasnet0_5, 32),
            (mobilenet_v2, 32),
            (mobilenet_v3_small, 32),
            (regnet_x_400mf, 32),
            (regnet_y_400mf, 32),
            (resnet18, 32),
            (resnext50_32x4d, 32),
            (shufflenet_v2_x0_5, 32),
            (squeezenet1_0, 32),
            (swin_t, 64),
            (swin_v2_t, 64),
        ]
    },
    "maxvit": (_maxvit, 32, maxvit()),
    "vision transformer": (_vit, 32, plain(48, 80, 80) + repeat(2, attention(4, 48))),
    "vgg11_bn": (lambda: build("vgg11_bn"), 32, vgg11()),
}


def sizes(found: symmetry.Symmetry) -> Sizes:
    return Counter((group.size, group.blocks) for group in found.groups.values())


@pytest.mark.parametrize("name", MODELS)
def test_groups_are_right_and_complete(name):
    make, size, by_hand = MODELS[name]
    torch.manual_seed(0)
    model = make()
    images = torch.randn(2, 3, size, size)
    found = symmetry.discover(model, images, verify=False)
    assert sizes(found) == by_hand
    assert all(found.fixed.values())
    generator = torch.Generator().manual_seed(1)
    state = symmetry.random_state(model, generator)
    permutation = found.random(generator)
    assert permutation != found.identity()
    assert symmetry.check(model, found, permutation, state, images) < 1e-4


@pytest.mark.parametrize(("name", "by_hand"), [("resnet50", resnet50()), ("vgg16", vgg16()), ("vit_b_16", vit_b_16())])
def test_groups_of_larger_models_are_complete(name, by_hand):
    with torch.device("meta"):
        model = build(name)
    model = model.to_empty(device="cpu")
    size = 224 if name == "vit_b_16" else 32
    assert sizes(symmetry.discover(model, torch.randn(2, 3, size, size), verify=False)) == by_hand


@pytest.mark.parametrize("name", ["resnet18", "mobilenet_v3_small", "squeezenet1_0"])
def test_training_mode(name):
    """The same groups where training is deterministic; dropout is refused by name."""
    make, size, by_hand = MODELS[name]
    torch.manual_seed(0)
    model = make().eval()
    before = {key: value.clone() for key, value in model.state_dict().items()}
    images = torch.randn(4, 3, 2 * size, 2 * size)
    if name != "resnet18":
        with pytest.raises(symmetry.SymmetryError, match="is random"):
            symmetry.discover(model, images, training=True)
        for module in model.modules():
            if isinstance(module, nn.Dropout):
                module.p = 0.0
    found = symmetry.discover(model, images, training=True)
    assert sizes(found) == by_hand
    assert not model.training
    assert all(torch.equal(before[key], value) for key, value in model.state_dict().items())
