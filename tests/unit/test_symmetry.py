"""Permutation groups are found, are right, and are complete."""

import cProfile
import pstats

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from networks import Attention, Grouped, Residual, build, state
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
    class Decomposed(nn.Module):
        def forward(self, x):
            return torch.linalg.svdvals(x)

    with pytest.raises(symmetry.SymmetryError, match=r"linalg_svd.*module '0'.*test_symmetry.py, line .*svdvals"):
        symmetry.discover(nn.Sequential(Decomposed()), torch.randn(2, 3))

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


def test_print_lists_groups_and_reasons():
    sym = symmetry.discover(build("mlp", shape=IMAGE), images("mlp"))
    groups, fixed = repr(sym).split("\n\n")
    assert groups.splitlines()[0].split() == ["group", "units", "blocks", "within", "axes"]
    assert len(groups.splitlines()) == 1 + len(sym.groups)
    assert [line.split("  ")[0] for line in fixed.splitlines()[1:]] == ["model input", "model output"]
    assert "hidden.0.weight[0], hidden.0.bias[0]" in groups and "hidden.0.weight[1]" in fixed


def test_long_tables_are_shortened():
    sym = symmetry.discover(build("resnet20", width=4, shape=IMAGE, norm="batch"), images("resnet"))
    most = max(sym.groups.values(), key=lambda group: len(group.axes))
    assert f"and {len(most.axes) - 4} more" in repr(sym)
    assert all(f"{key}[{axis}]" in sym.table() for group in sym.groups.values() for key, axis in group.axes)
    assert "more" not in sym.table()


class SelfAttention(nn.Module):
    """Heads written as libraries write them, from one packed projection."""

    def __init__(self, kind: str) -> None:
        super().__init__()
        self.kind = kind
        self.qkv, self.out = nn.Linear(12, 36), nn.Linear(12, 12)

    def forward(self, x):
        y = self.qkv(x)
        if self.kind == "unbind":
            q, k, v = y.unflatten(-1, (3, 3, 4)).permute(2, 0, 3, 1, 4).unbind(0)
        elif self.kind == "select":
            y = y.reshape(*x.shape[:2], 3, 12).permute(2, 0, 1, 3).contiguous()
            q, k, v = (y[i].unflatten(-1, (3, 4)).transpose(1, 2) for i in range(3))
        elif self.kind == "split":
            q, k, v = (part.unflatten(-1, (3, 4)).transpose(1, 2) for part in y.split(12, dim=-1))
        else:  # queries, keys and values of one head beside each other
            q, k, v = (part.transpose(1, 2) for part in y.unflatten(-1, (3, 12)).chunk(3, dim=-1))
        weights = (q @ k.transpose(-2, -1)).softmax(-1)
        return self.out((weights @ v).transpose(1, 2).flatten(2))


@pytest.mark.parametrize("kind", ["unbind", "select", "split", "heads first"])
def test_packed_attention_is_complete(kind):
    sym = symmetry.discover(SelfAttention(kind), torch.randn(2, 5, 12))
    assert sorted((group.size, group.blocks) for group in sym.groups.values()) == [(3, 1), (12, 3), (12, 3)]
    heads, query, value = sym.groups.values()
    assert query.within == value.within == (heads.name,)
    assert {key for key, _ in query.axes} == {"qkv.weight", "qkv.bias"}
    assert {key for key, _ in value.axes} == {"qkv.weight", "qkv.bias", "out.weight"}


class Wrapped(nn.Module):
    def __init__(self, module: nn.Module, inputs: int, **options: object) -> None:
        super().__init__()
        self.module, self.inputs, self.options = module, inputs, options

    def forward(self, x, y=None):
        return self.module(*[x, x if y is None else y, x if y is None else y][: self.inputs], **self.options)


SEQUENCE, MEMORY = torch.randn(2, 5, 12), torch.randn(2, 4, 12)
ATTENTION = [(3, 1), (12, 3), (12, 3)]


@pytest.mark.parametrize(
    ("model", "inputs", "by_hand"),
    [
        (Wrapped(nn.MultiheadAttention(12, 3, batch_first=True), 3), (SEQUENCE,), ATTENTION),
        (Wrapped(nn.MultiheadAttention(12, 3), 3, need_weights=False), (SEQUENCE,), ATTENTION),
        (Wrapped(nn.MultiheadAttention(12, 3, add_bias_kv=True, add_zero_attn=True), 3), (SEQUENCE,), ATTENTION),
        (Wrapped(nn.MultiheadAttention(12, 3, batch_first=True), 3), (SEQUENCE, MEMORY), ATTENTION),
        (
            Wrapped(nn.MultiheadAttention(12, 3, kdim=7, vdim=7, batch_first=True), 3),
            (SEQUENCE, MEMORY[..., :7].contiguous()),
            ATTENTION,
        ),
        # the residual stream begins at the input and ends at the output: only what is inside the layers moves
        (nn.TransformerEncoderLayer(12, 3, 20, batch_first=True), (SEQUENCE,), [*ATTENTION, (20, 1)]),
        (nn.TransformerDecoderLayer(12, 3, 20, batch_first=True), (SEQUENCE, MEMORY), [*ATTENTION * 2, (20, 1)]),
    ],
)
def test_transformer_layers_are_complete(model, inputs, by_hand):
    sym = symmetry.discover(model, inputs)
    assert sorted((group.size, group.blocks) for group in sym.groups.values()) == sorted(by_hand)


class Shuffled(nn.Module):
    """A shuffle of ``parts`` stacks of channels, between two convolutions."""

    def __init__(self, parts: int, before: int, after: int, cut: int | None = None) -> None:
        super().__init__()
        self.first = nn.ModuleList(nn.Conv2d(3, 12 // before, 1) for _ in range(before))
        self.second = nn.Conv2d(cut or 12, 6, 1, groups=after)
        self.head = nn.Linear(6, 5)
        self.parts, self.cut = parts, cut

    def forward(self, x):
        x = torch.cat([layer(x) for layer in self.first], dim=1)
        x = x.unflatten(1, (self.parts, -1)).transpose(1, 2).flatten(1, 2)
        return self.head(F.relu(self.second(F.relu(x[:, : self.cut]))).mean((2, 3)))


class Halves(nn.Module):
    """Two layers' units in turns; one layer reads the first half of them, another one the second."""

    def __init__(self) -> None:
        super().__init__()
        self.left, self.right, self.first, self.second = (
            nn.Linear(3, 5),
            nn.Linear(3, 5),
            nn.Linear(5, 4),
            nn.Linear(5, 4),
        )
        self.head = nn.Linear(8, 2)

    def forward(self, x):
        x = torch.stack([self.left(x), self.right(x)], dim=2).flatten(1)
        first, second = x.chunk(2, dim=1)
        return self.head(torch.cat([self.first(first), self.second(second)], dim=1).square())


@pytest.mark.parametrize(
    ("model", "by_hand"),
    [
        # one layer's units, in another order, are still free; in three groups, each holds units from all over the layer
        (Shuffled(3, 1, 1), [(6, 1), (12, 1)]),
        (Shuffled(3, 1, 3), [(3, 1), (6, 3), (12, 3)]),
        # of each of two layers the first 3 and 2 units are read, by alternation
        (Shuffled(2, 2, 1, cut=5), [(2, 1), (3, 1), (3, 1), (4, 1), (6, 1)]),
        (nn.Sequential(nn.Conv2d(3, 12, 1), nn.ChannelShuffle(3), nn.ReLU(), nn.Conv2d(12, 4, 1)), [(12, 1)]),
        (nn.Sequential(nn.Conv2d(3, 12, 1), nn.PixelShuffle(2), nn.ReLU(), nn.Conv2d(3, 4, 1)), [(3, 1)]),
    ],
)
def test_shuffles_are_followed_unit_by_unit(model, by_hand):
    sym = symmetry.discover(model, images("cnn"))
    assert sorted((group.size, group.blocks) for group in sym.groups.values()) == by_hand


def test_stacked_layers_are_followed_unit_by_unit():
    sym = symmetry.discover(Halves(), torch.randn(2, 3))
    assert sizes(sym) == [2, 2, 3, 3, 4, 4]


def test_units_that_are_shuffled_in_two_ways_stay_fixed():
    class Model(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first, self.second = nn.Linear(3, 4), nn.Linear(3, 2)
            self.head = nn.Linear(6, 5)

        def forward(self, x):
            x = torch.cat([self.first(x), self.second(x)], dim=1)
            return self.head(x + x.unflatten(1, (2, 3)).transpose(1, 2).flatten(1))

    sym = symmetry.discover(Model(), torch.randn(3, 3))
    assert sym.groups == {} and sym.fixed["head.weight", 1] == "shuffled differently"


def test_tables_of_the_architecture_do_not_move():
    """A buffer with several axes is no parameter: what it is added to keeps its order."""

    class Model(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first, self.head = nn.Linear(3, 4), nn.Linear(4, 2)
            self.register_buffer("table", torch.randn(5, 4))

        def forward(self, x):
            return self.head(self.first(x) + self.table)

    sym = symmetry.discover(Model(), torch.randn(2, 5, 3))
    assert sym.groups == {} and sym.fixed["first.weight", 0] == "table that is not a parameter"


def calls(model: nn.Module, batch: torch.Tensor) -> int:
    """The number of function calls of discovery, which unlike its time is the same in every run."""
    profile = cProfile.Profile()
    profile.enable()
    symmetry.discover(model, batch, verify=False)
    profile.disable()
    return pstats.Stats(profile).total_calls


def test_effort_grows_with_depth_and_no_faster():
    def deep(blocks: int) -> nn.Module:
        layers = [nn.TransformerEncoderLayer(8, 2, 16, batch_first=True) for _ in range(blocks)]
        return nn.Sequential(nn.Linear(3, 8), *layers, nn.Linear(8, 2))

    batch = torch.randn(2, 4, 3)
    few, many = calls(deep(4), batch), calls(deep(16), batch)
    assert many < 4.4 * few


def test_units_that_are_never_an_axis_are_read_inside_one():
    model = Shuffled(2, 2, 1, cut=5)
    sym = symmetry.discover(model, images("cnn"))
    network, batch = state(model), images("cnn")
    part = next(
        name for name, group in sym.groups.items() if {"first.0.weight", "second.weight"} <= dict(group.axes).keys()
    )
    (index, units), *_ = sym.intermediates(part, "first")
    seen = {}
    with symmetry.evaluation(model), symmetry.Operations(lambda i, f, c, outs: seen.update({i: outs[0].clone()})):
        torch.func.functional_call(model, network, (batch,))
        read = torch.func.functional_call(model.first[0], {k[8:]: network[k] for k in network if "first.0" in k}, batch)
    assert torch.allclose(units.of(seen[index]), read[:, :3].movedim(1, -1).flatten(0, -2), atol=1e-6)
