"""Nothing is done to the user's model: parameters, buffers, modes, attributes and outputs are those of before."""

import copy
import threading
from contextlib import suppress

import pytest
import torch
from networks import build, state
from test_symmetry import IMAGE, MODELS, images
from torch import nn

from onebasin import barrier, match, repair, symmetry
from onebasin.symmetry.values import leaves


class Shared(nn.Module):
    """One module under two names."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.shared = nn.Linear(4, 8), nn.Linear(8, 8)
        self.blocks = nn.ModuleList([self.shared, nn.Linear(8, 3)])

    def forward(self, x):
        return self.blocks[1](self.blocks[0](self.shared(self.first(x).relu()).relu()).relu())


class Cached(nn.Module):
    """Keeps what it derives from a parameter in evaluation mode, and drops it in ``train()``."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.last = nn.Linear(4, 8), nn.Linear(8, 3)
        self.bias, self.cache = nn.Parameter(torch.randn(8)), {}

    def train(self, mode=True):
        if mode:
            self.cache = {}
        return super().train(mode)

    def forward(self, x):
        bias = 2 * self.bias if self.training else self.cache.setdefault("bias", 2 * self.bias)
        return self.last((self.first(x) + bias).relu())


class Changing(nn.Module):
    """Counts its calls, updates a buffer in evaluation, rescales a parameter in place, keeps an activation."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.last = nn.Linear(4, 8), nn.Linear(8, 3)
        self.register_buffer("seen", torch.zeros(8))
        self.register_buffer("steps", torch.zeros((), dtype=torch.long), persistent=False)
        self.calls, self.kept, self.history = 0, None, []

    def forward(self, x):
        self.calls += 1
        with torch.no_grad():
            self.first.weight.div_(1 + 1e-3)
        hidden = self.first(x).relu()
        self.seen += hidden.mean(0)
        self.steps += 1
        self.kept = hidden
        self.history.append(hidden.shape)
        return self.last(hidden)


def normalised() -> nn.Module:
    return nn.Sequential(nn.Linear(4, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Linear(8, 3)).train()


KINDS = {"shared": Shared, "cached": Cached, "changing": Changing, "normalised": normalised}


def remembered(model: nn.Module) -> list:
    """All that a model holds, in order: tensors as copies, everything else as it is."""
    found = []
    for name, module in model.named_modules():
        for key, value in sorted(vars(module).items()):
            found += [(name, key)]
            found += [
                leaf.detach().clone() if torch.is_tensor(leaf) else id(leaf) if isinstance(leaf, nn.Module) else leaf
                for leaf in leaves(value)
            ]
    return found


def assert_same(before: list, after: list) -> None:
    assert len(before) == len(after)
    for old, new in zip(before, after, strict=True):
        assert old.dtype == new.dtype and torch.equal(old, new) if torch.is_tensor(old) else old == new


def every_function(model: nn.Module, batch: torch.Tensor) -> None:
    found = symmetry.discover(model, batch)
    network, other = (state(model, seed) for seed in (0, 1))
    symmetry.check(model, found, found.random(torch.Generator().manual_seed(0)), network, batch)
    symmetry.layers(model, batch)
    labels = torch.zeros(len(batch), dtype=torch.long)
    barrier.curve(model, network, other, batch, labels, alphas=3)
    match.activations(found, network, other, model=model, images=batch)
    for correction in ("reset", "repair"):
        with suppress(repair.RepairError):  # not every model can be corrected; refused or not, nothing happens to it
            correct = repair.correction(correction, model, [network, other], batch)
            if correct:
                correct(barrier.interpolate([network, other], [0.5, 0.5]), [0.5, 0.5])


@pytest.mark.parametrize("name", [*MODELS, *KINDS])
@pytest.mark.parametrize("training", [False, True])
def test_a_model_is_as_it_was(name, training):
    torch.manual_seed(0)
    model = (MODELS | KINDS)[name]().train(training)
    batch = images(name) if name in MODELS else torch.randn(3, 4)
    twin = copy.deepcopy(model)
    parameters, before, given = list(model.parameters()), remembered(model), batch.clone()
    every_function(model, batch)
    assert_same(before, remembered(model))
    assert all(old is new for old, new in zip(parameters, model.parameters(), strict=True))
    assert torch.equal(batch, given) and torch.is_grad_enabled()
    torch.manual_seed(1)
    expected = twin(batch)
    torch.manual_seed(1)
    assert torch.equal(model(batch), expected)


def test_a_model_that_fails_is_as_it_was():
    class Failing(Changing):
        def forward(self, x):
            super().forward(x)
            raise KeyError("no such thing")

    model = Failing()
    before = remembered(model)
    with pytest.raises(symmetry.SymmetryError, match="KeyError"):
        symmetry.discover(model, torch.randn(2, 4))
    assert_same(before, remembered(model))


def test_a_state_that_is_given_is_as_it_was():
    torch.manual_seed(0)
    model = Changing()
    network = state(model)
    before = {key: value.clone() for key, value in network.items()}
    found = symmetry.discover(model, torch.randn(3, 4), verify=False)
    symmetry.check(model, found, found.identity(), network, torch.randn(3, 4), tolerance=10)
    barrier.curve(model, network, network, torch.randn(3, 4), torch.zeros(3, dtype=torch.long), alphas=2)
    assert all(torch.equal(before[key], value) for key, value in network.items())


@pytest.mark.parametrize("make", [Cached, Shared])
def test_every_mixture_is_evaluated_by_itself(make):
    """The ends of a curve are what the two networks lose, though the model keeps what it derives from parameters."""
    torch.manual_seed(0)
    model, batch, labels = make().eval(), torch.randn(50, 4), torch.randint(0, 3, (50,))
    networks = [make().state_dict() for _ in range(2)]
    model(batch)  # and has kept something of its own already
    curve = barrier.curve(model, *networks, batch, labels, alphas=3)
    for network, loss in zip(networks, curve["loss"].iloc[[0, 2]], strict=True):
        own = make()
        own.load_state_dict(network)
        assert loss == pytest.approx(nn.functional.cross_entropy(own.train().eval()(batch), labels).item(), rel=1e-6)


def test_evaluation_is_left_through_train():
    model = Cached().eval()
    with symmetry.evaluation(model):
        model(torch.randn(2, 4))
    assert model.cache == {} and not model.training


def test_what_cannot_be_copied_is_shared():
    class Locked(nn.Sequential):
        def forward(self, x):
            with self.lock:
                return super().forward(x)

    model = Locked(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 3))
    model.lock = threading.Lock()
    model.kept = [model(torch.randn(2, 4))]  # remembers how it was computed, which a deep copy refuses
    assert symmetry.discover(model, torch.randn(2, 4)).sizes == {"0": 8}


def test_a_trained_batch_norm_is_proven():
    """Small variances stay variances: nothing about a model's values decides whether its symmetry is found."""
    torch.manual_seed(0)
    model = normalised()
    model[1].running_var.copy_(torch.tensor([1e-9, 1e-6, 1e-3, 0.1, 1, 10, 1e3, 1e5]))
    assert symmetry.discover(model, torch.randn(2, 4)).sizes == {"0": 8}
    values = symmetry.random_state(model, torch.Generator().manual_seed(0))
    assert values["1.running_var"].min() > 0 and values["1.running_var"].unique().numel() == 8


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -1e6, 1e-30])
def test_values_decide_nothing(value):
    model = build("cnn", shape=IMAGE, norm="batch")
    for tensor in model.state_dict().values():
        if tensor.is_floating_point():
            tensor.flatten()[0] = abs(value) if (tensor >= 0).all() else value
    assert (
        symmetry.discover(model, images("cnn")).sizes
        == symmetry.discover(build("cnn", shape=IMAGE, norm="batch"), images("cnn")).sizes
    )
