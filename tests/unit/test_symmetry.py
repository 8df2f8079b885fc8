"""Permutation groups are found, are right, and are complete."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from networks import Attention, Grouped, Recurrent, Residual, build, state
from torch import nn

from onebasin import symmetry
from onebasin.permutation import Permutation
from onebasin.symmetry import axes

IMAGE = (3, 8, 8)
MODELS = {
    "mlp": lambda: build("mlp", shape=IMAGE),
    "mlp-batch": lambda: build("mlp", shape=IMAGE, norm="batch"),
    "mlp-layer": lambda: build("mlp", shape=IMAGE, norm="layer"),
    "cnn": lambda: build("cnn", shape=IMAGE),
    "cnn-batch": lambda: build("cnn", shape=IMAGE, norm="batch"),
    "cnn-none": lambda: build("cnn", shape=IMAGE, norm="none"),
    "resnet20-layer": lambda: build("resnet20", shape=IMAGE, width=4, norm="layer"),
    "resnet20-batch": lambda: build("resnet20", shape=IMAGE, width=4, norm="batch"),
    "vgg16-layer": lambda: build("vgg16", shape=(3, 32, 32), width=4, norm="layer"),
    "vgg16-batch": lambda: build("vgg16", shape=(3, 32, 32), width=4, norm="batch"),
    "grouped": Grouped,
    "residual": Residual,
    "attention": Attention,
}


def images(name: str) -> torch.Tensor:
    size = 32 if name.startswith("vgg") else 8
    return torch.randn(3, 3, size, size, generator=torch.Generator().manual_seed(0))


@pytest.fixture(params=MODELS)
def case(request):
    model = MODELS[request.param]()
    batch = images(request.param)
    return model, batch, symmetry.discover(model, batch)


def test_random_permutations_preserve_the_function(case):
    model, batch, sym = case
    for seed in range(3):
        permutation = sym.random(torch.Generator().manual_seed(seed))
        assert permutation != sym.identity()
        symmetry.check(model, sym, permutation, state(model, seed), batch, tolerance=1e-4)


def test_every_group_moves_something(case):
    model, _, sym = case
    network = state(model)
    random = sym.random(torch.Generator().manual_seed(1))
    for name, group in sym.groups.items():
        if group.within:
            continue
        moved = sym.apply(_consistent(sym, name, random), network)
        changed = {key for key in network if not torch.equal(moved[key], network[key])}
        assert changed and changed <= {key for key, _ in group.axes}


def _consistent(sym, name, random):
    """The permutation that moves only one group, with the blocks that it carries."""
    inner = {other: np.tile(np.arange(group.block_size), (group.blocks, 1)) for other, group in sym.groups.items()}
    inner[name] = sym.inner(random, name)
    return sym.assemble(inner)


def test_applying_is_a_group_action(case):
    model, _, sym = case
    network = state(model)
    p, q = (sym.random(torch.Generator().manual_seed(seed)) for seed in (1, 2))
    one_after_the_other = sym.apply(p, sym.apply(q, network))
    at_once = sym.apply(p @ q, network)
    back = sym.apply(p.inverse(), sym.apply(p, network))
    for key in network:
        assert torch.equal(one_after_the_other[key], at_once[key])
        assert torch.equal(back[key], network[key])


def test_identity_changes_nothing_and_shares_nothing_it_should_not(case):
    model, _, sym = case
    network = state(model)
    same = sym.apply(sym.identity(), network)
    assert all(torch.equal(same[key], network[key]) for key in network)
    assert list(same) == list(network)


def sizes(sym) -> list[int]:
    return sorted(group.size for group in sym.groups.values())


def test_counts_by_hand():
    """Every group that exists is found: sizes counted by hand."""
    assert sizes(symmetry.discover(build("mlp", hidden=[3, 1, 2]), torch.randn(2, 1, 8, 8))) == [8, 16, 24]
    resnet = symmetry.discover(build("resnet20", width=4, shape=IMAGE, norm="batch"), torch.randn(2, *IMAGE))
    # one stream per stage, and one inner layer in each of the nine blocks
    assert sizes(resnet) == [4, 4, 4, 4, 8, 8, 8, 8, 16, 16, 16, 16]
    vgg = symmetry.discover(build("vgg16", width=2, shape=(3, 32, 32)), torch.randn(2, 3, 32, 32))
    assert sizes(vgg) == [2, 2, 4, 4, 8, 8, 8, 16, 16, 16, 16, 16, 16]


def test_residual_stream_is_one_group():
    sym = symmetry.discover(Residual(), images("residual"))
    stream = sym.groups["scale"]
    assert ("stem.weight", 0) in stream.axes and ("instance.running_var", 0) in stream.axes
    assert {("first.weight", 1), ("second.weight", 0), ("side.weight", 1), ("head.weight", 1)} <= set(stream.axes)
    assert ("head.weight", 1) in sym.groups["side"].axes
    assert sizes(sym) == [4, 6, 10]


def test_grouped_convolution_moves_blocks_and_units_within():
    sym = symmetry.discover(Grouped(), images("grouped"))
    blocks = [group for group in sym.groups.values() if group.blocks == 1 and group.size == 4]
    nested = [group for group in sym.groups.values() if group.blocks == 4]
    assert len(blocks) == 1 and sorted(group.size for group in nested) == [8, 12]
    assert all(group.within == (blocks[0].name,) for group in nested)
    torn = {name: np.arange(size) for name, size in sym.sizes.items()}
    torn[nested[0].name] = np.roll(torn[nested[0].name], 1)
    with pytest.raises(ValueError, match="blocks"):
        sym.apply(Permutation(torn), state(Grouped()))


def test_flattening_after_convolution_keeps_pixels_in_place():
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(4 * 36, 5))
    sym = symmetry.discover(model, images("cnn"))
    assert sizes(sym) == [4]
    permutation = Permutation({"0": [3, 2, 1, 0]})
    moved = sym.apply(permutation, state(model))["3.weight"].reshape(5, 4, 36)
    assert torch.equal(moved, state(model)["3.weight"].reshape(5, 4, 36)[:, [3, 2, 1, 0]])


def test_shared_parameters_move_once():
    class Tied(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first = nn.Linear(6, 6, bias=False)
            self.second = self.first

        def forward(self, x):
            return self.second(F.relu(self.first(x)))

    # The hidden units are tied to the inputs and the outputs of the same matrix: nothing can move.
    assert symmetry.discover(Tied(), torch.randn(2, 6)).groups == {}


def test_concatenation_then_slicing_and_unused_parameters():
    class Model(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.left, self.right = nn.Linear(5, 4), nn.Linear(5, 6)
            self.head = nn.Linear(5, 3)
            self.unused = nn.Linear(7, 7)

        def forward(self, x):
            x = torch.cat([self.left(x), self.right(x)], dim=1)
            return self.head(torch.relu(x[:, 2:7]))

    sym = symmetry.discover(Model(), torch.randn(3, 5))
    # left is cut after 2 units, right after 3; the units that are cut off reach no output
    assert sizes(sym) == [2, 2, 3, 3]
    assert sym.fixed["unused.weight", 0] == "not used in evaluation"
    assert sym.fixed["left.weight", 1] == "model input" and sym.fixed["head.weight", 0] == "model output"


def test_every_axis_is_free_or_has_a_reason(case):
    _, _, sym = case
    free = {place for group in sym.groups.values() for place in group.axes}
    for key, terms in sym._terms.items():
        for axis, term in enumerate(terms):
            if axes.size(term) > 1:
                assert (key, axis) in free or sym.fixed[key, axis]


def test_operations_that_cannot_be_followed_are_refused_by_name():
    with pytest.raises(symmetry.SymmetryError, match="unsafe_split"):
        symmetry.discover(Recurrent(), images("cnn"))

    class Dice(nn.Module):
        def forward(self, x):
            return x + torch.rand_like(x)

    with pytest.raises(symmetry.SymmetryError, match="rand_like"):
        symmetry.discover(Dice(), torch.randn(2, 3))


def test_a_wrong_permutation_is_caught():
    model, batch = build("cnn", shape=IMAGE), images("cnn")
    sym = symmetry.discover(model, batch)
    network = state(model)
    wrong = dict(sym._terms)
    wrong["head.weight"] = [axes.atom(10, "model output"), axes.atom(16, "forgotten")]
    broken = symmetry.Symmetry(wrong, wrong.values(), sym.parameters)
    with pytest.raises(symmetry.SymmetryError, match="another function"):
        symmetry.check(model, broken, broken.random(torch.Generator().manual_seed(0)), network, batch)


def test_a_network_without_finite_outputs_is_not_called_equal():
    model, batch = build("mlp", shape=IMAGE), images("mlp")
    sym = symmetry.discover(model, batch)
    network = {key: value * float("nan") for key, value in state(model).items()}
    with pytest.raises(symmetry.SymmetryError):
        symmetry.check(model, sym, sym.identity(), network, batch)


def test_discovery_leaves_the_model_as_it_was():
    model = build("resnet20", width=4, shape=IMAGE, norm="batch").train()
    before = {key: value.clone() for key, value in model.state_dict().items()}
    symmetry.discover(model, images("resnet"))
    assert model.training and all(module.training for module in model.modules())
    assert all(torch.equal(before[key], value) for key, value in model.state_dict().items())
    assert torch.is_grad_enabled()


def test_a_foreign_state_is_refused():
    model = build("mlp", shape=IMAGE)
    sym = symmetry.discover(model, images("mlp"))
    with pytest.raises(ValueError, match="extra"):
        sym.apply(sym.identity(), {**model.state_dict(), "extra": torch.ones(1)})
    with pytest.raises(ValueError, match="groups"):
        sym.apply(Permutation({"other": [0, 1]}), model.state_dict())


def test_intermediates_are_the_relu_output_by_default():
    model = nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 2))
    sym = symmetry.discover(model, torch.randn(5, 3))
    first, last, every = (sym.intermediates("0", which) for which in ("first", "last", "all"))
    assert len(first) == len(last) == 1 and first != last and set(first + last) <= set(every)
    seen = {}
    batch = torch.randn(9, 3)
    with symmetry.evaluation(model), symmetry.Operations(lambda i, f, c, outs: seen.update({i: outs[0].clone()})):
        model(batch)
    assert torch.equal(seen[last[0][0]], model[:2](batch).detach())
    assert torch.equal(seen[first[0][0]], model[0](batch).detach())


def test_print_lists_groups():
    text = repr(symmetry.discover(build("mlp", shape=IMAGE), images("mlp")))
    assert text.splitlines()[0].split() == ["group", "units", "blocks", "axes"]
    assert len(text.splitlines()) == 4
