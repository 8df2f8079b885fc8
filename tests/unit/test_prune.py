from itertools import pairwise

import pytest
import torch
from torch import nn

from onebasin import match, models, prune, seeding, symmetry
from onebasin.files import FileError
from onebasin.prune import Mask, rounded_up

SHAPE = (1, 16, 16)
FAMILIES = {
    "mlp": {"width": 8, "norm": "layer"},
    "cnn": {"width": 4, "norm": "batch"},
    "vgg16": {"width": 1, "norm": "layer"},
    "resnet20": {"width": 2, "norm": "layer"},
}


def network(family="mlp", seed=0, **options):
    model = models.build(family, image_shape=SHAPE, classes=3, **{**FAMILIES[family], **options}).eval()
    models.initialise(model, seeding.generator("prune", seed))
    # Biases are not 0 in a trained network.
    for index, parameter in enumerate(model.parameters()):
        if parameter.dim() == 1:
            parameter.data += 0.1 * torch.rand(parameter.shape, generator=seeding.generator("bias", seed, index))
    images = torch.rand((12, *SHAPE), generator=seeding.generator("images"))
    return model, symmetry.discover(model, images[:2]), images


def chain(model, found, strategy, fraction, levels):
    masks = [prune.full(model, found)]
    for level in range(levels):
        generator = seeding.generator("chain", level)
        masks.append(prune.prune(masks[-1], model.state_dict(), fraction, strategy, generator))
    return masks


@pytest.mark.parametrize("family", FAMILIES)
def test_only_weights_are_pruned_and_the_output_layer_where_asked(family):
    model, found, _ = network(family)
    layers = {f"{name}.weight" for name, module in model.named_modules() if isinstance(module, nn.Linear | nn.Conv2d)}
    assert prune.full(model, found, output_layer=True).keys() == layers
    assert prune.full(model, found).keys() == layers - {"head.weight"}
    assert prune.full(model, found).density == 1


def test_the_output_layer_is_found_in_the_graph_not_by_its_name():
    class Odd(nn.Module):
        """The output layer comes first and is named as if it were the first hidden one; a norm scales with two axes."""

        def __init__(self):
            super().__init__()
            self.hidden1 = nn.Linear(5, 3)
            self.head = nn.Linear(4, 5)
            self.gain = nn.Parameter(torch.ones(5, 1))
            self.norm = nn.LayerNorm((2, 4))

        def forward(self, x):
            return self.hidden1(torch.relu(self.head(self.norm(x))).mean(1) * self.gain.T)

    model = Odd()
    found = symmetry.discover(model, torch.rand(3, 2, 4))
    assert prune.full(model, found).keys() == {"head.weight"}
    assert prune.full(model, found, output_layer=True).keys() == {"head.weight", "hidden1.weight"}
    with pytest.raises(ValueError, match="no weights to prune"):
        prune.full(nn.Linear(4, 3), symmetry.discover(nn.Linear(4, 3), torch.rand(2, 4)))


@pytest.mark.parametrize("strategy", prune.STRATEGIES)
@pytest.mark.parametrize("fraction", [0.2, 0.55])
def test_every_level_is_nested_and_removes_the_fraction_rounded_up(strategy, fraction):
    masks = chain(*network("cnn")[:2], strategy, fraction, 6)
    for before, after in pairwise(masks):
        assert all(not (after[key] & ~before[key]).any() for key in before)
        if strategy == "layer":
            for key in before:
                left = int(before[key].sum())
                assert int(after[key].sum()) == left - rounded_up(fraction, left)
        else:
            assert after.remaining == before.remaining - rounded_up(fraction, before.remaining)


def test_the_fraction_is_rounded_as_it_is_written():
    assert [rounded_up(0.2, count) for count in (100, 101, 5, 1, 0)] == [20, 21, 1, 1, 0]
    assert rounded_up(0.7, 10) == 7  # 0.7 * 10 is 7.000000000000001


def test_global_pruning_takes_the_smallest_magnitudes_of_all_layers():
    model, found, _ = network()
    second = chain(model, found, "global", 0.3, 2)[2]
    values = {key: value.abs() for key, value in model.state_dict().items() if key in second}
    kept = torch.cat([values[key][second[key]] for key in second])
    gone = torch.cat([values[key][~second[key]] for key in second])
    assert kept.min() >= gone.max()
    shares = [float(tensor.float().mean()) for tensor in second.values()]
    assert max(shares) - min(shares) > 0.05
    layers = chain(model, found, "layer", 0.3, 1)[1]
    for key, kept in layers.items():
        assert values[key][kept].min() >= values[key][~kept].max()


def test_random_levels_are_drawn_evenly_and_not_intersected_with_magnitudes():
    model, found, _ = network(width=60)
    masks = chain(model, found, "random", 0.5, 2)
    magnitude = chain(model, found, "global", 0.5, 2)[2]
    assert masks[2].density == pytest.approx(magnitude.density)
    for key, kept in masks[2].items():
        assert float(kept.float().mean()) == pytest.approx(0.25, abs=0.02)
        # What it keeps is kept by the magnitudes no more often than anything else.
        share = float(magnitude[key].float().mean())
        assert float(magnitude[key][kept].float().mean()) == pytest.approx(share, abs=0.04)
    assert chain(model, found, "random", 0.5, 2) == masks
    with pytest.raises(ValueError, match="needs a generator"):
        prune.prune(masks[0], model.state_dict(), 0.5, "random")


def test_a_shuffled_mask_keeps_the_number_in_every_layer_alone():
    model, found, _ = network(width=40)
    mask = chain(model, found, "global", 0.8, 1)[1]
    drawn = mask.shuffled(seeding.generator("draw"))
    for key, kept in mask.items():
        assert int(drawn[key].sum()) == int(kept.sum())
        share = float(kept.float().mean())
        assert float(kept[drawn[key]].float().mean()) == pytest.approx(share, abs=0.05)
    assert drawn == mask.shuffled(seeding.generator("draw")) != mask.shuffled(seeding.generator("other"))


@pytest.mark.parametrize("family", FAMILIES)
def test_permuting_and_masking_change_places(family):
    model, found, images = network(family)
    mask = chain(model, found, "global", 0.6, 1)[1]
    permutation = found.random(seeding.generator("any"))
    state = model.state_dict()
    one = found.apply(permutation, mask.apply(state))
    two = mask.permuted(found, permutation).apply(found.apply(permutation, state))
    assert all(torch.equal(one[key], two[key]) for key in state)
    symmetry.check(model, found, permutation, mask.apply(state), images)
    # The mask of the permuted network is the permuted mask.
    permuted = prune.prune(prune.full(model, found), found.apply(permutation, state), 0.6)
    assert permuted == mask.permuted(found, permutation) != mask
    assert mask.permuted(found, permutation).permuted(found, permutation.inverse()) == mask


def test_a_mask_is_saved_as_bits(tmp_path):
    model, found, _ = network()
    mask = chain(model, found, "global", 0.6, 1)[1]
    mask.save(tmp_path / "mask.safetensors", {"level": 1})
    assert Mask.load(tmp_path / "mask.safetensors") == mask
    assert hash(Mask.load(tmp_path / "mask.safetensors")) == hash(mask)
    assert (tmp_path / "mask.safetensors").stat().st_size < mask.weights / 8 + 1000
    found.random(seeding.generator("a")).save(tmp_path / "permutation.safetensors")
    with pytest.raises(FileError, match="is a permutation file, not a mask file"):
        Mask.load(tmp_path / "permutation.safetensors")


def test_a_mask_of_another_network_is_refused():
    small, found, _ = network()
    large, _, _ = network(width=9)
    with pytest.raises(ValueError, match="'hidden.0.weight' has another shape"):
        prune.full(small, found).apply(large.state_dict())
    with pytest.raises(ValueError, match="unknown pruning strategy 'magnitude': give one of global, layer, random"):
        prune.prune(prune.full(small, found), small.state_dict(), 0.2, "magnitude")
    with pytest.raises(ValueError, match="between 0 and 1, not 1"):
        prune.prune(prune.full(small, found), small.state_dict(), 1)


def test_dead_units_are_counted():
    model, found, images = network(norm="none", hidden=[1, 1])
    state = {key: value.clone() for key, value in model.state_dict().items()}
    before = prune.dead_units(found, model, state, images)
    assert before.keys() == {"hidden.0", "hidden.2"}
    alive = [unit for unit in range(8) if model.hidden[:2](images.flatten(1))[:, unit].max() > 0]
    assert before["hidden.0"] == 8 - len(alive)
    state["hidden.0.weight"][alive[0]] = 0  # nothing comes in: constant
    state["hidden.0.bias"][alive[1]] = -100  # never active
    state["hidden.2.weight"][:, alive[2]] = 0  # nothing goes out
    after = prune.dead_units(found, model, state, images)
    assert after["hidden.0"] == before["hidden.0"] + 3


def test_networks_with_units_that_have_no_weights_left_are_matched():
    """Among units that are almost alike the sparse assignment of large groups would hardly end."""
    model, found, _ = network(width=160, hidden=[1, 1], norm="none")
    state = {key: value.clone() for key, value in model.state_dict().items()}
    for key in ("hidden.0.weight", "hidden.0.bias"):
        state[key][:3] = 0
    state["hidden.2.weight"][:, :3] = 0
    permutation = found.random(seeding.generator("any"))
    moved = found.apply(permutation.inverse(), state)
    matched = match.METHODS["weights"](found, state, moved).permutation
    assert all(torch.allclose(a, b) for a, b in zip(found.apply(matched, moved).values(), state.values(), strict=True))
