"""Layers, hybrids of a network, and matching of several checkpoints at once."""

import pytest
import torch
from networks import Attention, Grouped, Residual, build, state

from onebasin import match, symmetry
from onebasin.experiments import layers as hybrids
from onebasin.permutation import Permutation


def images(count=2, channels=3, size=16):
    return torch.randn(count, channels, size, size, generator=torch.Generator().manual_seed(7))


def test_layers_are_weights_in_the_order_of_use_with_what_belongs_to_them():
    model = build("cnn", width=4, shape=(3, 16, 16), norm="batch")
    found = symmetry.layers(model, images())
    assert [layer[0] for layer in found] == [
        "features.0.weight",
        "features.4.weight",
        "features.8.weight",
        "head.weight",
    ]
    assert set(found[0]) >= {"features.0.bias", "features.1.weight", "features.1.running_mean"}


def test_layers_follow_the_evaluation_and_neither_names_nor_the_order_of_definition():
    class Backwards(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.layer1 = torch.nn.Linear(4, 3)
            self.layer10 = torch.nn.Linear(5, 4)
            self.unused = torch.nn.Linear(2, 2)
            self.again = self.layer1

        def forward(self, x):
            return self.again(self.layer10(x).relu())

    found = symmetry.layers(Backwards(), torch.zeros(2, 5))
    assert found == [
        ["layer10.weight", "layer10.bias"],
        ["layer1.weight", "again.weight", "layer1.bias", "again.bias", "unused.weight", "unused.bias"],
    ]


@pytest.mark.parametrize("make", [Grouped, Residual, lambda: build("resnet20", width=4, shape=(3, 16, 16))])
def test_every_tensor_belongs_to_one_layer(make):
    model = make()
    found = symmetry.layers(model, images(size=8 if make is Grouped else 16))
    keys = [key for layer in found for key in layer]
    assert sorted(keys) == sorted(model.state_dict())
    assert all(model.state_dict()[layer[0]].dim() > 1 for layer in found)


def test_residual_networks_have_a_layer_for_each_convolution_and_the_head():
    found = symmetry.layers(build("resnet20", width=4, shape=(3, 16, 16)), images())
    assert len(found) == 19 + 2 + 1  # two shortcuts have a convolution


def test_layers_of_attention():
    found = symmetry.layers(Attention(), images(size=8))
    weights = [layer[0] for layer in found]
    assert weights.index("patch.weight") < weights.index("attention.in_proj_weight") < weights.index("head.weight")
    assert weights[-1] == "head.weight"


def test_which_layers_are_kept():
    kept = hybrids.kept_layers(3)
    assert {layer: set(kept["bottom_up", layer]) for layer in (1, 2, 3)} == {1: {1}, 2: {1, 2}, 3: {1, 2, 3}}
    assert {layer: set(kept["top_down", layer]) for layer in (1, 2, 3)} == {1: {1, 2, 3}, 2: {2, 3}, 3: {3}}
    assert {layer: set(kept["one_in", layer]) for layer in (1, 2, 3)} == {1: {1}, 2: {2}, 3: {3}}
    assert {layer: set(kept["one_out", layer]) for layer in (1, 2, 3)} == {1: {2, 3}, 2: {1, 3}, 3: {1, 2}}


def test_a_hybrid_has_exactly_the_tensors_that_it_should():
    model = build("mlp", width=6)
    end, earlier = state(model, 1), state(model, 2)
    layers = symmetry.layers(model, images(channels=1, size=8))
    every = range(1, len(layers) + 1)
    assert all(torch.equal(value, end[key]) for key, value in hybrids.hybrid(layers, every, end, earlier).items())
    assert all(torch.equal(value, earlier[key]) for key, value in hybrids.hybrid(layers, (), end, earlier).items())
    mixed = hybrids.hybrid(layers, {2}, end, earlier)
    assert list(mixed) == list(end)
    for key, value in mixed.items():
        assert torch.equal(value, end[key]) == (key in layers[1])
    with pytest.raises(ValueError, match="keys"):
        hybrids.hybrid(layers[:-1], {1}, end, earlier)


def pair(family="mlp", **options):
    model = build(family, width=8, shape=(1, 8, 8), **options)
    return model, symmetry.discover(model, images(channels=1, size=8))


def test_matching_one_stacked_checkpoint_is_matching_that_one():
    model, sym = pair("cnn")
    a, b = state(model, 1), state(model, 2)
    batch = images(32, channels=1, size=8)
    for kernel in ("linear", "cosine"):
        once, twice = (match.weights(sym, *states, kernel=kernel) for states in ((a, b), ([a], [b])))
        assert (once.permutation, once.objective) == (twice.permutation, twice.objective)
        copies = match.weights(sym, [a, a], [b, b], kernel=kernel)
        assert copies.permutation == once.permutation
        assert copies.objective == pytest.approx(once.objective * (2 if kernel == "linear" else 1))
    found = [
        match.activations(sym, *states, model=model, images=batch) for states in ((a, b), ([a], [b]), ([a, a], [b, b]))
    ]
    assert found[0].permutation == found[1].permutation == found[2].permutation


def test_stacked_checkpoints_need_as_many_of_both_networks():
    model, sym = pair()
    a = state(model, 1)
    with pytest.raises(ValueError, match="2 and 1 states of the networks"):
        match.weights(sym, [a, a], a)
    with pytest.raises(ValueError, match="0 and 0 states"):
        match.activations(sym, [], [], model=model, images=images(4, channels=1, size=8))


@pytest.mark.parametrize("family", ["mlp", "cnn"])
def test_stacked_matching_recovers_a_planted_permutation(family):
    model, sym = pair(family)
    planted = sym.random(torch.Generator().manual_seed(3))
    noise = torch.Generator().manual_seed(4)
    network = [state(model, seed) for seed in (1, 2, 3)]
    copy = [
        {key: v + 1e-3 * torch.randn(v.shape, generator=noise) for key, v in sym.apply(planted, one).items()}
        for one in network
    ]
    found = match.weights(sym, network, copy, restarts=3)
    assert found.permutation == planted.inverse()
    batch = images(64, channels=1, size=8)
    assert match.activations(sym, network, copy, model=model, images=batch).permutation == planted.inverse()


def test_the_objective_of_stacked_checkpoints_is_the_sum_over_them():
    model, sym = pair()
    a, b = [state(model, seed) for seed in (1, 2)], [state(model, seed) for seed in (3, 4)]
    found = match.weights(sym, a, b)
    moved = [sym.apply(found.permutation, one) for one in b]
    counted = {key for group in sym.groups.values() for key, _ in group.axes} & sym.parameters
    total = sum(float((x[key] * y[key]).sum()) for x, y in zip(a, moved, strict=True) for key in counted)
    assert found.objective == pytest.approx(total, rel=1e-4)


def test_a_stacked_symmetry_moves_every_copy_alike():
    model, sym = pair("cnn")
    states = [state(model, seed) for seed in (1, 2)]
    permutation = sym.random(torch.Generator().manual_seed(5))
    moved = sym.stacked(2).apply(permutation, symmetry.stack(states))
    expected = symmetry.stack([sym.apply(permutation, one) for one in states])
    assert moved.keys() == expected.keys() and all(torch.equal(moved[key], expected[key]) for key in moved)


def test_composition_by_hand():
    # unit i of the permuted network is unit indices[i] of the original
    i, j = Permutation({"g": [1, 2, 0]}), Permutation({"g": [1, 0, 2]})
    assert (i @ j.inverse())["g"].tolist() == [0, 2, 1]
    assert (i @ j.inverse()).fixed_points() == {"g": pytest.approx(1 / 3)}
    assert (i @ i.inverse()).fixed_points() == {"g": 1}
