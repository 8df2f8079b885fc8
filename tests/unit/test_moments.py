"""The kernel `moments` compares what weights make of their inputs, and moves with permutations."""

import numpy as np
import pytest
import torch
from networks import build, state
from torch import nn
from torch.nn import functional

from onebasin import match, symmetry
from onebasin.match.moments import in_metric

GENERATOR = torch.Generator().manual_seed(0)
IMAGES = torch.randn(50, 1, 8, 8, generator=GENERATOR) + 0.3
FAMILIES = ("mlp", "cnn", "resnet20", "vgg16")


def make(family):
    model = build(family, shape=(3, 32, 32) if family == "vgg16" else (1, 8, 8), width=6, norm="layer")
    return model, torch.randn(20, 3, 32, 32, generator=GENERATOR) if family == "vgg16" else IMAGES


@pytest.mark.parametrize("biases", [True, False])
def test_products_of_the_first_layer_are_those_of_its_outputs(biases):
    for layer in (nn.Linear(64, 5), nn.Conv2d(1, 5, 3, 2, padding=(2, 1), padding_mode="reflect", bias=biases)):
        model = nn.Sequential(layer) if isinstance(layer, nn.Conv2d) else nn.Sequential(nn.Flatten(), layer)
        a, b = state(model, 1), state(model, 2)
        key = next(iter(a)).removesuffix("weight")
        rows, outputs = [], []
        for network in (a, b):
            changed = in_metric(model, network, IMAGES, biases=biases, batch_size=7)
            counted = [changed[f"{key}weight"].flatten(1)]
            counted += [changed[f"{key}bias"][:, None]] if biases else []
            rows.append(torch.cat(counted, 1))
            used = network if biases else {k: v * 0 if k.endswith("bias") else v for k, v in network.items()}
            outputs.append(torch.func.functional_call(model, used, IMAGES).movedim(1, 0).flatten(1))
        assert torch.allclose(rows[0] @ rows[1].T, outputs[0] @ outputs[1].T / 50, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("family", FAMILIES)
def test_moments_move_with_the_units(family):
    model, images = make(family)
    sym = symmetry.discover(model, images[:2])
    network = state(model, 1)
    permutation = sym.random(torch.Generator().manual_seed(1))
    moved = in_metric(model, sym.apply(permutation, network), images)
    expected = sym.apply(permutation, in_metric(model, network, images))
    assert any(not torch.equal(moved[key], value) for key, value in sym.apply(permutation, network).items())
    for key, value in expected.items():
        assert torch.allclose(moved[key], value, rtol=1e-3, atol=1e-3 * float(value.abs().max())), key


@pytest.mark.parametrize("family", ["mlp", "cnn"])
def test_permuting_one_network_permutes_the_result(family):
    model, images = make(family)
    sym = symmetry.discover(model, images[:2])
    a, b = state(model, 1), state(model, 2)
    given = {"kernel": "moments", "model": model, "images": images}
    found = match.weights(sym, a, b, **given)
    permutation = sym.random(torch.Generator().manual_seed(2))
    again = match.weights(sym, a, sym.apply(permutation, b), **given)
    assert again.permutation @ permutation == found.permutation
    assert again.objective == pytest.approx(found.objective, rel=1e-4)


def test_pixels_that_are_always_0_do_not_count():
    model = build("mlp", width=12)
    sym = symmetry.discover(model, IMAGES[:2])
    images = IMAGES.clone()
    images[..., :3, :] = 0
    a, b = state(model, 1), state(model, 2)
    first = next(key for key in a if key.endswith("weight"))
    loud = {key: value.clone() for key, value in b.items()}
    loud[first][:, :24] = 100 * torch.randn(12, 24, generator=torch.Generator().manual_seed(3))
    given = {"kernel": "moments", "model": model, "images": images}
    plain, with_noise = (match.weights(sym, a, network, **given) for network in (b, loud))
    assert plain.permutation == with_noise.permutation
    assert plain.objective == pytest.approx(with_noise.objective, rel=1e-5)
    assert match.weights(sym, a, b).permutation != match.weights(sym, a, loud).permutation
    assert np.isfinite(plain.objective)


class Mixed(nn.Module):
    """Layers that read otherwise than their inputs say: groups, a shared weight, and one that computes its weight."""

    def __init__(self):
        super().__init__()
        self.first, self.grouped = nn.Conv2d(1, 6, 3), nn.Conv2d(6, 6, 3, groups=6)
        self.one, self.two, self.head = nn.Linear(6, 6), nn.Linear(6, 6), nn.Linear(6, 3)
        self.two.weight = self.one.weight
        self.normed = nn.utils.parametrizations.weight_norm(nn.Linear(6, 6))

    def forward(self, x):
        x = torch.relu(self.grouped(torch.relu(self.first(x)))).mean((2, 3))
        return self.head(torch.relu(self.normed(functional.relu(self.two(functional.relu(self.one(x)))))))


def test_other_layers_keep_their_weights():
    model = Mixed()
    network = state(model, 1)
    changed = in_metric(model, network, IMAGES)
    assert changed.keys() == network.keys()
    parts = {f"{name}.{part}" for name in ("first", "head") for part in ("weight", "bias")}
    assert {key for key in network if not torch.equal(changed[key], network[key])} == parts


def test_the_first_n_images_are_used_and_nothing_else_is_touched():
    model = build("mlp")
    sym = symmetry.discover(model, IMAGES[:2])
    a, b = state(model, 1), state(model, 2)
    before = {key: value.clone() for key, value in a.items()}
    given = {"kernel": "moments", "model": model}
    few = match.weights(sym, a, b, images=IMAGES, n_images=10, **given)
    assert few.objective == match.weights(sym, a, b, images=IMAGES[:10], **given).objective
    assert all(torch.equal(a[key], value) for key, value in before.items())
    assert not any(module._forward_pre_hooks for module in model.modules())


def test_several_states_are_each_seen_with_their_own_moments():
    model = build("mlp")
    sym = symmetry.discover(model, IMAGES[:2])
    a, b, c = (state(model, seed) for seed in (1, 2, 3))
    found = match.weights(sym, [a, b], [a, c], kernel="moments", model=model, images=IMAGES)
    permuted = [sym.apply(found.permutation, in_metric(model, network, IMAGES)) for network in (a, c)]
    targets = [in_metric(model, network, IMAGES) for network in (a, b)]
    counted = {key for group in sym.groups.values() for key, _ in group.axes}
    product = sum(float((x[key] * y[key]).sum()) for x, y in zip(targets, permuted, strict=True) for key in counted)
    assert found.objective == pytest.approx(product, rel=1e-4)
