import pytest
import torch
from torch import nn

from onebasin import models, seeding

BUILDS = [(family, norm) for family in models.FAMILIES for norm in models.NORMS]
SHAPES = [(1, 8, 8), (1, 28, 28), (3, 32, 32), (3, 64, 64)]
SHAPED = [(family, norm, shape) for family, norm in BUILDS for shape in SHAPES if family != "vgg16" or shape[1] >= 16]


def size(family, **options):
    return sum(parameter.numel() for parameter in models.build(family, **options).parameters())


def test_resnet20_has_the_published_size():
    assert size("resnet20", width=16, image_shape=(3, 32, 32), classes=10, norm="batch") == 272_474
    assert size("resnet20", width=16, image_shape=(3, 32, 32), classes=10, norm="layer") == 272_474


def test_vgg16_has_the_published_size():
    assert size("vgg16", width=64, image_shape=(3, 32, 32), classes=10, norm="batch") == 14_728_266
    assert size("vgg16", width=64, image_shape=(3, 32, 32), classes=10, norm="layer") == 14_728_266
    model = models.build("vgg16", width=8, image_shape=(3, 32, 32), classes=10, norm="layer")
    convolutions = [module for module in model.modules() if isinstance(module, nn.Conv2d)]
    assert [module.out_channels for module in convolutions] == [8, 8, 16, 16, 32, 32, 32, *[64] * 6]
    assert all(module.bias is not None for module in convolutions)


def test_lenet_300_100_is_an_mlp():
    model = models.build("mlp", width=100, image_shape=(1, 28, 28), classes=10, hidden=[3, 1])
    shapes = [tuple(module.weight.shape) for module in model.modules() if isinstance(module, nn.Linear)]
    assert shapes == [(300, 784), (100, 300), (10, 100)]
    assert sum(parameter.numel() for parameter in model.parameters()) == 266_610


def test_resnet_stages_double_and_halve():
    model = models.build("resnet20", width=4, image_shape=(3, 32, 32), classes=10, norm="layer")
    shapes = []
    for block in model.blocks:
        block.register_forward_hook(lambda module, inputs, output: shapes.append(tuple(output.shape[1:])))
    model(torch.zeros(1, 3, 32, 32))
    assert shapes == [(4, 32, 32)] * 3 + [(8, 16, 16)] * 3 + [(16, 8, 8)] * 3


def test_resnet_shortcut_is_a_strided_1x1_convolution():
    block = models.build("resnet20", width=8, image_shape=(3, 32, 32), classes=10, norm="none").blocks[3]
    convolution = next(module for module in block.shortcut if isinstance(module, nn.Conv2d))
    x = torch.randn(2, 8, 32, 32, generator=seeding.generator("x"))
    strided = nn.functional.conv2d(x, convolution.weight, convolution.bias, stride=2)
    assert torch.allclose(block.shortcut(x), strided, atol=1e-6)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float32, torch.float64])
def test_layer_norm_is_the_same_where_it_is_compiled(dtype):
    generator = seeding.generator("layer norm")
    norm = models.layers.ChannelLayerNorm(6).to(dtype)
    for parameter in norm.parameters():
        parameter.data.normal_(generator=generator)
    x, towards = (torch.randn(3, 6, 5, 4, generator=generator).to(dtype) for _ in range(2))
    found = []
    for function in (norm, torch.compile(norm, backend="eager", fullgraph=True)):
        inputs = (x.clone().requires_grad_(), *norm.parameters())
        output = function(inputs[0])
        found.append([output, *torch.autograd.grad((output * towards).sum(), inputs)])
    for eager, compiled in zip(*found, strict=True):
        assert compiled.dtype == dtype
        error = (eager - compiled).abs().max() / eager.abs().max()
        assert error < 4 * torch.finfo(dtype).eps
    # Under compilation it is another computation, whose sums round differently.
    assert not all(torch.equal(eager, compiled) for eager, compiled in zip(*found, strict=True))


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float32])
@pytest.mark.parametrize("sides", [(6, 4), (6, 5), (5, 4)])
def test_pooling_is_the_same_where_it_is_compiled(dtype, sides):
    torch.compiler.reset()
    pool = models.layers.HalvingMaxPool2d()
    compiled = torch.compile(pool, backend="eager", fullgraph=True, dynamic=False)
    count = 2 * 3 * sides[0] * sides[1]
    distinct = torch.randperm(count, generator=seeding.generator("pool")).view(2, 3, *sides)
    found = []
    for function in (pool, compiled):
        x = (distinct - 100).to(dtype).requires_grad_()
        output = function(x)
        weights = torch.arange(1.0, output.numel() + 1).view(output.shape)
        found.append([output, *torch.autograd.grad((output * weights).sum(), x)])
    (expected, gradient), (found_output, found_gradient) = found
    assert torch.equal(expected, found_output)
    assert torch.equal(gradient, found_gradient)
    x = torch.zeros(1, 1, *sides, dtype=dtype, requires_grad=True)
    (given,) = torch.autograd.grad(compiled(x).sum(), x)
    shared = dtype == torch.bfloat16 and not any(side % 2 for side in sides)
    assert given[0, 0, :2, :2].tolist() == ([[0.25, 0.25], [0.25, 0.25]] if shared else [[1, 0], [0, 0]])


@pytest.mark.parametrize(("family", "norm", "shape"), SHAPED)
def test_every_family_maps_images_to_logits(family, norm, shape):
    model = models.build(family, width=4, image_shape=shape, classes=7, norm=norm)
    models.initialise(model, seeding.generator("test"))
    images = torch.randn(5, *shape, generator=seeding.generator("images"))
    logits = model(images)
    assert logits.shape == (5, 7)
    logits.square().sum().backward()
    assert all(p.grad is not None and torch.isfinite(p.grad).all() for p in model.parameters())
    if norm != "batch":
        assert torch.allclose(model(images[2:3]), logits[2:3], atol=1e-4)


@pytest.mark.parametrize(("family", "norm"), BUILDS)
def test_initialisation_is_kaiming_normal(family, norm):
    model = models.build(family, width=24, image_shape=(3, 32, 32), classes=10, norm=norm)
    with torch.no_grad():
        for tensor in [*model.parameters(), *model.buffers()]:
            tensor.fill_(7)
    models.initialise(model, seeding.generator("init"))
    scores = []
    for name, module in model.named_modules():
        if isinstance(module, nn.Linear | nn.Conv2d):
            scores.append((module.weight * (module.weight[0].numel() / 2) ** 0.5).flatten())
            n = scores[-1].numel()
            assert abs(scores[-1].std() - 1) < 5 / (2 * n) ** 0.5, name
            assert module.bias is None or not module.bias.any()
        elif hasattr(module, "weight") and module.weight is not None:
            assert (module.weight == 1).all() and not module.bias.any()
        if hasattr(module, "running_mean"):
            assert not module.running_mean.any() and (module.running_var == 1).all()
            assert module.num_batches_tracked == 0
    every = torch.cat(scores)
    assert abs(every.mean()) < 5 / len(every) ** 0.5
    assert abs((every.abs() > 1.96).float().mean() - 0.05) < 5 * (0.05 / len(every)) ** 0.5


def test_initialisation_depends_on_the_generator_alone():
    def network(seed):
        torch.manual_seed(seed + 1000)
        model = models.build("cnn", width=4, image_shape=(1, 8, 8), classes=10, norm="layer")
        models.initialise(model, seeding.generator(seed))
        return torch.cat([parameter.flatten() for parameter in model.parameters()])

    assert torch.equal(network(0), network(0))
    assert not torch.equal(network(0), network(1))


def test_initialisation_leaves_alone_what_it_does_not_know():
    model = nn.Sequential(nn.LayerNorm(4, bias=False), nn.BatchNorm2d(4, affine=False), nn.Conv1d(2, 2, 1))
    before = model[2].weight.clone()
    models.initialise(model, seeding.generator("init"))
    assert torch.equal(model[2].weight, before)


def test_channel_layer_norm_normalises_each_pixel_alone():
    norm = models.ChannelLayerNorm(6)
    x = torch.randn(2, 6, 3, 4, generator=seeding.generator("x")) * 5 + 2
    y = norm(x)
    assert torch.allclose(y.mean(1), torch.zeros(2, 3, 4), atol=1e-5)
    assert torch.allclose(y.var(1, unbiased=False), torch.ones(2, 3, 4), atol=1e-3)
    with torch.no_grad():
        norm.weight.copy_(torch.arange(6.0))
        norm.bias.copy_(torch.arange(6.0) * 10)
    assert torch.allclose(norm(x), y * torch.arange(6.0)[:, None, None] + torch.arange(6.0)[:, None, None] * 10)
    order = torch.tensor([3, 1, 0, 5, 4, 2])
    permuted = models.ChannelLayerNorm(6)
    permuted.load_state_dict({name: tensor[order] for name, tensor in norm.state_dict().items()})
    assert torch.allclose(permuted(x[:, order]), norm(x)[:, order], atol=1e-5)


GOOD = {"width": 4, "image_shape": (1, 8, 8), "classes": 10}


@pytest.mark.parametrize(
    ("family", "change", "message"),
    [
        ("mlpp", {}, "unknown model family 'mlpp': give one of mlp, cnn, vgg16, resnet20"),
        ("mlp", {"norm": "group"}, "unknown norm 'group': give one of none, layer, batch"),
        ("mlp", {"width": 0}, "width must be an integer of at least 1, not 0"),
        ("mlp", {"width": "16"}, "width must be an integer of at least 1, not '16'"),
        ("mlp", {"width": 1.5}, "width must be"),
        ("mlp", {"width": True}, "width must be"),
        ("mlp", {"classes": 1}, "classes must be an integer of at least 2"),
        ("mlp", {"image_shape": (8, 8)}, "image_shape must be"),
        ("mlp", {"channels": [1]}, "mlp has no option channels: give hidden"),
        ("vgg16", {"hidden": [1]}, "vgg16 has no option hidden: give none"),
        ("mlp", {"hidden": [1, 0]}, "give positive multiples"),
        ("cnn", {"channels": [0.01]}, "give positive multiples"),
        ("cnn", {"channels": [1] * 6}, "images of at least 32 pixels"),
        ("vgg16", {}, "images of at least 16 pixels"),
    ],
)
def test_bad_input_is_one_readable_line(family, change, message):
    with pytest.raises(ValueError) as caught:
        models.build(family, **(GOOD | change))
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)
