"""Matching recovers what was planted, and behaves as an objective's maximiser must."""

import numpy as np
import pytest
import torch
import torchvision
from networks import Attention, Grouped, Residual, build, state
from torch import nn
from zoo import ZOO

from onebasin import match, seeding, symmetry
from onebasin.match import weight_matching
from onebasin.match.assignment import assign, assign_blocks
from onebasin.match.coordinate_ascent import Search
from onebasin.match.decision import decide

IMAGE = (3, 16, 16)
FAMILIES = {
    "mlp": lambda: build("mlp", shape=IMAGE, width=16),
    "cnn": lambda: build("cnn", shape=IMAGE, width=8),
    "cnn-batch": lambda: build("cnn", shape=IMAGE, width=8, norm="batch"),
    "resnet20": lambda: build("resnet20", shape=IMAGE, width=8, norm="layer"),
    "vgg16": lambda: build("vgg16", shape=(3, 32, 32), width=4, norm="layer"),
    "grouped": Grouped,
    "residual": Residual,
    "attention": Attention,
}


def images(name: str, count: int = 64) -> torch.Tensor:
    size = {"vgg16": 32, "grouped": 8, "attention": 8}.get(name, 16)
    return torch.randn(count, 3, size, size, generator=torch.Generator().manual_seed(7))


@pytest.fixture(params=FAMILIES)
def planted(request):
    """A network, a permuted and slightly noisy copy, and the permutation that brings it back."""
    torch.manual_seed(0)
    model = FAMILIES[request.param]()
    batch = images(request.param)
    sym = symmetry.discover(model, batch[:2])
    network = state(model, seed=3)
    # no dead units
    network = {key: value.abs() + 0.5 if key.endswith("bias") else value for key, value in network.items()}
    noise = torch.Generator().manual_seed(4)
    planted = sym.random(torch.Generator().manual_seed(5))
    copy = {
        key: value + 1e-3 * torch.randn(value.shape, generator=noise) if value.is_floating_point() else value
        for key, value in sym.apply(planted, network).items()
    }
    return request.param, model, sym, network, copy, batch, planted.inverse()


@pytest.mark.parametrize("kernel", weight_matching.KERNELS)
def test_weights_recover_a_planted_permutation(planted, kernel):
    _, model, sym, network, copy, batch, answer = planted
    found = match.weights(sym, network, copy, kernel=kernel, restarts=3, model=model, images=batch)
    assert found.permutation == answer
    assert match.similarity(sym, network, sym.apply(found.permutation, copy)) > 0.999


@pytest.mark.parametrize("kernel", ["correlation", "cosine"])
@pytest.mark.parametrize("intermediate", ["first", "last", "all"])
def test_activations_recover_a_planted_permutation(planted, kernel, intermediate):
    _, model, sym, network, copy, batch, answer = planted
    found = match.activations(sym, network, copy, model=model, images=batch, kernel=kernel, intermediate=intermediate)
    assert found.permutation == answer
    assert 0.8 < found.objective <= 1 and found.sweeps == 1  # units that never vary count as 0


class Twice(nn.Module):
    """A residual stream that a layer reads and writes: one group on both axes of its weight."""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.mix, self.head = nn.Linear(6, 24), nn.Linear(24, 24), nn.Linear(24, 5)

    def forward(self, x):
        x = self.stem(x)
        return self.head(x + torch.relu(self.mix(x)))


def test_a_group_on_two_axes_never_lowers_the_objective():
    sym = symmetry.discover(Twice(), torch.randn(2, 6))
    assert [group.axes.count(("mix.weight", 1)) for group in sym.groups.values()] == [1]
    generator = torch.Generator().manual_seed(0)
    for _ in range(10):
        a, b = (symmetry.random_state(Twice(), generator) for _ in range(2))
        for state_ in (a, b):
            state_["mix.weight"] = 3 * torch.randn(24, 24, generator=generator)
        search = Search(sym, b)
        search.aim(a)
        values = [search.objective()]
        for _ in range(6):
            search.improve("stem")
            values.append(search.objective())
        assert values == sorted(values)
        copy = sym.apply(sym.random(generator), a)
        found = match.weights(sym, a, copy)
        assert found.objective >= sum(float((a[key] * copy[key]).sum()) for key in a if key != "head.bias") - 1e-3


@pytest.mark.parametrize("name", ["resnet50", "mobilenet_v3_small"])
def test_a_planted_permutation_is_recovered_in_networks_of_torchvision(name):
    """As between copies of a trained network: all parameters and statistics permuted, with noise of a tenth."""
    torch.manual_seed(0)
    model = getattr(torchvision.models, name)(weights=None).eval()
    sym = symmetry.discover(model, torch.randn(2, 3, 32, 32), verify=False)
    generator = torch.Generator().manual_seed(1)
    network = symmetry.random_state(model, generator)
    planted = sym.random(generator)
    copy = {
        key: value + 0.1 * value.std() * torch.randn(value.shape, generator=generator) if value.dim() else value
        for key, value in sym.apply(planted, network).items()
    }
    assert match.weights(sym, network, copy).permutation == planted.inverse()


def different(name: str):
    model = FAMILIES[name]()
    sym = symmetry.discover(model, images(name, 2))
    return model, sym, state(build(**_arguments(name), seed=1)), state(build(**_arguments(name), seed=2), 1)


def _arguments(name: str) -> dict:
    return {"family": name, "shape": IMAGE, "width": 16 if name == "mlp" else 8}


@pytest.mark.parametrize("name", ["mlp", "cnn"])
def test_either_order_of_the_pair_gives_inverse_permutations(name):
    model, sym, a, b = different(name)
    assert match.weights(sym, a, b).permutation == match.weights(sym, b, a).permutation.inverse()
    forward, backward = (match.activations(sym, *pair, model=model, images=images(name)) for pair in ((a, b), (b, a)))
    assert forward.permutation == backward.permutation.inverse()
    assert forward.objective == pytest.approx(backward.objective)


@pytest.mark.parametrize("name", ["mlp", "cnn"])
def test_objective_is_the_inner_product_and_never_below_the_start(name):
    _, sym, a, b = different(name)
    found = match.weights(sym, a, b)
    aligned = sym.apply(found.permutation, b)
    keys = {key for group in sym.groups.values() for key, _ in group.axes}
    assert found.objective == pytest.approx(sum(float((a[k] * aligned[k]).sum()) for k in keys), rel=1e-5)
    assert found.objective > sum(float((a[k] * b[k]).sum()) for k in keys)
    few, many = (match.weights(sym, a, b, restarts=n).objective for n in (1, 4))
    assert many >= few


def test_no_single_swap_improves_the_result():
    _, sym, a, b = different("mlp")
    found = match.weights(sym, a, b)
    for name, size in sym.sizes.items():
        for i in range(size):
            for j in range(i):
                order = {key: np.array(value) for key, value in found.permutation.items()}
                order[name][[i, j]] = order[name][[j, i]]
                other = sym.apply(type(found.permutation)(order), b)
                product = sum(float((a[k].double() * other[k].double()).sum()) for k in a if k != "layers.6.bias")
                assert product <= found.objective * (1 + 1e-5) + _fixed_part(sym, a, b) + 1e-3


def _fixed_part(sym, a, b) -> float:
    keys = {key for group in sym.groups.values() for key, _ in group.axes}
    return sum(float((a[k] * b[k]).sum()) for k in a if k not in keys)


def test_same_seed_same_result_whatever_global_state():
    _, sym, a, b = different("cnn")
    torch.manual_seed(1)
    one = match.weights(sym, a, b, seed=3, restarts=2)
    torch.manual_seed(2)
    two = match.weights(sym, a, b, seed=3, restarts=2)
    assert one.permutation == two.permutation and one.objective == two.objective


def test_skipping_solved_groups_changes_nothing():
    """The search with caches ends where a plain search, every group in every sweep, ends."""
    _, sym, a, b = different("mlp")
    search = Search(sym, b)
    search.aim(a)
    found = match.weights(sym, a, b)
    search.permutation = dict(found.permutation)
    for name in sym.groups:
        search.gains.clear()
        assert not search.improve(name)


def test_biases_can_be_left_out():
    _, sym, a, b = different("mlp")
    loud = {key: value * 100 if value.dim() == 1 else value for key, value in b.items()}
    without = match.weights(sym, a, b, biases=False)
    assert without.permutation == match.weights(sym, a, loud, biases=False).permutation
    assert without.permutation != match.weights(sym, a, loud).permutation


def test_cosine_ignores_the_scale_of_units():
    _, sym, a, b = different("mlp")
    scaled = {key: value * (5.0 if key.startswith(next(iter(sym.groups))) else 1.0) for key, value in b.items()}
    cosine, other = (match.weights(sym, a, network, kernel="cosine", biases=False) for network in (b, scaled))
    assert cosine.permutation == other.permutation and cosine.objective == pytest.approx(other.objective, rel=1e-5)


def test_activation_kernels_are_what_they_are_called():
    model = nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 2))
    sym = symmetry.discover(model, torch.randn(5, 3))
    batch = torch.randn(200, 3, generator=torch.Generator().manual_seed(0))
    a, b = state(model, 1), state(model, 2)
    hidden = [torch.relu(batch @ s["0.weight"].T + s["0.bias"]).double().numpy() for s in (a, b)]
    by_hand = {
        "correlation": np.corrcoef(*(h.T for h in hidden))[:4, 4:],
        "cosine": (hidden[0] / np.linalg.norm(hidden[0], axis=0)).T @ (hidden[1] / np.linalg.norm(hidden[1], axis=0)),
        "linear": hidden[0].T @ hidden[1] / len(batch),
    }
    for kernel, gain in by_hand.items():
        found = match.activations(sym, a, b, model=model, images=batch, kernel=kernel, batch_size=64)
        order = assign(gain)
        assert found.permutation["0"].tolist() == order.tolist()
        assert found.objective == pytest.approx(gain[np.arange(4), order].mean(), rel=1e-5)


def test_n_images_uses_the_first_ones():
    model, sym, a, b = different("mlp")
    batch = images("mlp", 40)
    first = match.activations(sym, a, b, model=model, images=batch[:10])
    assert match.activations(sym, a, b, model=model, images=batch, n_images=10).permutation == first.permutation
    assert match.activations(
        sym, a, b, model=model, images=batch, n_images=10, batch_size=3
    ).objective == pytest.approx(first.objective)


def test_dead_units_have_no_correlation_and_no_nan():
    model, sym, a, b = different("mlp")
    first = next(iter(sym.groups))
    dead = {key: value * 0 if key.startswith(first) else value for key, value in b.items()}
    found = match.activations(sym, a, dead, model=model, images=images("mlp"))
    assert np.isfinite(found.objective)


def test_blocks_are_ordered_with_the_units_inside():
    rng = np.random.default_rng(0)
    a = rng.normal(size=(3, 4, 5))
    order, inner = np.array([2, 0, 1]), np.array([[1, 0, 3, 2], [3, 2, 1, 0], [0, 1, 2, 3]])
    b = np.empty_like(a)
    for place, block in enumerate(order):
        b[block][inner[place]] = a[place]
    found, orders = assign_blocks(np.zeros((3, 3)), {"units": np.einsum("iuf,jvf->ijuv", a, b)})
    assert found.tolist() == order.tolist() and orders["units"].tolist() == inner.tolist()


@pytest.mark.parametrize(
    "call",
    [
        lambda s, m, a, x: match.weights(s, a, a, kernel="line"),
        lambda s, m, a, x: match.weights(s, a, a, restarts=0),
        lambda s, m, a, x: match.weights(s, a, a, kernel="moments", model=m),
        lambda s, m, a, x: match.weights(s, a, a, kernel="moments", model=m, images=x[:0]),
        lambda s, m, a, x: match.activations(s, a, a, model=m, images=x, kernel="corr"),
        lambda s, m, a, x: match.activations(s, a, a, model=m, images=x, intermediate="middle"),
        lambda s, m, a, x: match.activations(s, a, a, model=m, images=x[:0]),
    ],
)
def test_bad_arguments(call):
    model, sym, a, _ = different("mlp")
    with pytest.raises(ValueError):
        call(sym, model, a, images("mlp"))


@pytest.mark.filterwarnings("ignore::FutureWarning")  # of old weight norm
@pytest.mark.parametrize("name", ZOO)
def test_weights_recover_what_is_planted_in_the_networks_that_people_bring(name):
    torch.manual_seed(0)
    make, example, _ = ZOO[name]
    model = make().eval()
    sym = symmetry.discover(model, example, verify=False)
    generator = torch.Generator().manual_seed(1)
    network = symmetry.random_state(model, generator)
    planted = sym.random(generator)
    noisy = {
        key: value + 0.01 * value.std() * torch.randn(value.shape, generator=generator, dtype=value.dtype)
        if key in sym.parameters and value.numel() > 1
        else value
        for key, value in network.items()
    }
    assert match.weights(sym, network, sym.apply(planted.inverse(), noisy)).permutation == planted


@pytest.mark.parametrize("name", ["mlp", "cnn"])
def test_a_search_from_what_is_fixed_ends_no_lower_than_one_from_the_identity(name):
    _, sym, a, b = different(name)
    search = Search(sym, b)
    search.aim(a)
    search.run(seeding.generator("weight matching", 0, 0), 100)
    assert match.weights(sym, a, b).objective >= search.objective()


def test_each_group_is_decided_by_what_is_fixed_or_was_decided_before():
    """The last layer of network b is upside down, so that the output alone would say the contrary."""
    _, sym, a, _ = different("mlp")
    planted = sym.random(torch.Generator().manual_seed(3))
    copy = sym.apply(
        planted.inverse(), {key: -0.1 * value if key == "head.weight" else value for key, value in a.items()}
    )
    assert decide(sym, [a, copy])[1] == planted


def test_several_networks_are_decided_together():
    _, sym, a, _ = different("cnn")
    generator = torch.Generator().manual_seed(4)
    planted = [sym.identity(), *(sym.random(generator) for _ in range(3))]
    copies = [
        {key: value + 0.3 * value.std() * torch.randn(value.shape, generator=generator) for key, value in moved.items()}
        for moved in (sym.apply(permutation.inverse(), a) for permutation in planted)
    ]
    found = decide(sym, copies)
    assert [found[0].inverse() @ one for one in found] == planted


def test_weights_decide_where_activations_say_nothing():
    """A third of the units is silent on all images: their order is free for activations, and found by weights."""
    model = build("mlp", shape=IMAGE, width=24)
    sym = symmetry.discover(model, images("mlp", 2))
    a = state(model, 1)
    first = next(iter(sym.groups))
    silent = torch.arange(24) % 3 == 0
    a[f"{first}.bias"][silent] = -100.0
    planted = sym.random(torch.Generator().manual_seed(5))
    found = match.activations(sym, a, sym.apply(planted.inverse(), a), model=model, images=images("mlp", 64))
    assert found.permutation == planted
    frame = match.reference(
        sym, {0: a, 1: sym.apply(planted.inverse(), a)}, model=model, images=images("mlp", 64), similarity="activations"
    )
    assert frame.permutations[0].inverse() @ frame.permutations[1] == planted
