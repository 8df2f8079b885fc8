"""What cannot be followed is refused in one kind of error, which says what it is, where, and what to do."""

import warnings
from collections import OrderedDict

import pytest
import torch
from torch import nn
from zoo import Net

from onebasin import symmetry
from onebasin.permutation import Permutation
from onebasin.symmetry import SymmetryError

ROW = torch.randn(3, 4)


def plain() -> nn.Sequential:
    return nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 3))


def scripted() -> nn.Module:
    with warnings.catch_warnings(action="ignore"):
        return torch.jit.script(plain())


def quantised() -> nn.Module:
    with warnings.catch_warnings(action="ignore"):
        return torch.ao.quantization.quantize_dynamic(plain(), {nn.Linear})


def held() -> nn.Module:
    """A closure holds the model: a copy of it reads the parameters of the original."""
    model = plain()
    model.forward = lambda x: model[2](model[0](x).relu())
    return model


class Returning(nn.Module):
    def __init__(self, value) -> None:
        super().__init__()
        self.value = value

    def forward(self, x):
        return self.value


class Branching(nn.Module):
    def __init__(self, read) -> None:
        super().__init__()
        self.inner = plain()
        self.read = read

    def forward(self, x):
        y = self.inner(x)
        return y if self.read(y) else -y


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (scripted, "the model is compiled by torch.jit: pass the module from which it was made"),
        (quantised, r"module '0' is quantised \(Linear\): pass the module from which it was made"),
        (lambda: nn.Sequential(nn.LazyLinear(8)), "module '0' has no parameters yet: call the model once before"),
        (held, "reads '0.weight' of the model itself and not of its copy"),
        (lambda: Net(lambda y: y[:, :7]), r"RuntimeError: .*mat1 and mat2 shapes cannot be multiplied .*module 'last'"),
        (lambda: Net(lambda y: {}["missing"]), "KeyError: 'missing'.*test_refusals.py, line"),
        (lambda: Returning(iter([1])), "the model returns a list_iterator, whose tensors cannot be found"),
        (lambda: Returning({"loss": None}), "the model returns a dict that holds no tensor"),
        (lambda: Returning(3.0), "the model returns a float that holds no tensor"),
        (lambda: Branching(lambda y: y.sum() > 0), r"is read, as a branch does.*test_refusals.py.*self.read\(y\)"),
        (lambda: Branching(lambda y: y.norm().item()), "the value of a tensor .* is read"),
        (lambda: Branching(lambda y: y.tolist()[0][0] > 0), "the value of a tensor .* is read"),
        (lambda: Branching(lambda y: y.numpy().max() > 0), "the value of a tensor .* is read"),
        (lambda: Branching(lambda y: torch.equal(y, y)), "the value of a tensor .* is read"),
        (lambda: Net(lambda y: torch.bernoulli(y.sigmoid())), "operation aten.bernoulli.default is random"),
    ],
)
def test_refusals(make, message):
    with pytest.raises(SymmetryError, match=message):
        symmetry.discover(make(), ROW)


@pytest.mark.parametrize("read", [lambda x: bool((x > 3).all()), lambda x: int(x.max())])
def test_integers_of_the_input_may_be_read(read):
    class Reading(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.embedding, self.head = nn.Embedding(9, 6), nn.Linear(6, 3)

        def forward(self, tokens):
            y = self.embedding(tokens)
            return self.head(y.relu() if read(tokens) else y.tanh())

    assert symmetry.discover(Reading(), torch.tensor([[1, 4], [2, 8]])).sizes == {"embedding": 6}


def test_a_wrong_position_of_a_value_that_is_written_later_is_seen():
    """A constant that holds one value links nothing, until something is written into it."""

    def between(y):
        buffer = torch.zeros(len(y), 8)
        view = buffer[:, 2:6]
        view.copy_(y[:, :4].relu())
        return buffer

    found = symmetry.discover(Net(between), ROW)
    # 4 units are written, 4 are not; of what is read, 2 stay zero on either side
    assert sorted(found.sizes.values()) == [2, 2, 4, 4]
    assert {"first.weight", "last.weight"} <= dict(found.groups["first"].axes).keys()


def test_compiled_modules_are_followed_as_they_were_before():
    inner = nn.Sequential(nn.Linear(4, 8), torch.compile(nn.Linear(8, 8)), nn.ReLU(), nn.Linear(8, 3))
    assert symmetry.discover(inner, ROW).sizes == {"0": 8, "1._orig_mod": 8}
    whole = torch.compile(plain())
    assert symmetry.discover(whole, ROW).sizes == {"_orig_mod.0": 8}
    model = plain()
    model.compile()
    assert symmetry.discover(model, ROW).sizes == {"0": 8}


def test_a_module_without_modes_is_refused():
    class Frozen(nn.Sequential):
        def train(self, mode=True):
            raise NotImplementedError("no modes")

    with pytest.raises(SymmetryError, match="evaluation mode: NotImplementedError: no modes"):
        symmetry.discover(Frozen(*plain()), ROW)


def test_sparse_constants_stay_in_place():
    class Graph(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layers = plain()
            self.adjacency = torch.eye(3).to_sparse()

        def forward(self, x):
            return self.layers(torch.sparse.mm(self.adjacency, x))

    assert symmetry.discover(Graph(), ROW).sizes == {"layers.0": 8}


def test_what_a_state_carries_besides_tensors_is_kept():
    class Extra(nn.Sequential):
        def get_extra_state(self):
            return {"version": 1}

        def set_extra_state(self, state):
            assert state == {"version": 1}

    model = Extra(*plain())
    found = symmetry.discover(model, ROW)
    state = model.state_dict()
    moved = found.apply(found.random(torch.Generator().manual_seed(0)), state)
    assert isinstance(moved, OrderedDict) and moved._metadata is state._metadata and list(moved) == list(state)
    model.load_state_dict(moved)


def test_one_tensor_under_two_keys_moves_as_each_key_does():
    model = nn.Sequential(nn.Linear(4, 4, bias=False), nn.ReLU(), nn.Linear(4, 4, bias=False))
    found = symmetry.discover(model, torch.randn(2, 4))
    tensor = torch.arange(16.0).reshape(4, 4)
    moved = found.apply(Permutation({"0": [1, 2, 3, 0]}), {"0.weight": tensor, "2.weight": tensor})
    assert torch.equal(moved["0.weight"], tensor[[1, 2, 3, 0]])
    assert torch.equal(moved["2.weight"], tensor[:, [1, 2, 3, 0]])


def test_the_proof_says_how_precise_it_is():
    double, single = (
        symmetry.discover(plain(), ROW, precision=precision).proof for precision in (torch.float64, torch.float32)
    )
    assert (double.precision, double.tolerance) == (torch.float64, 1e-8) and double.error < 1e-14
    assert (single.precision, single.tolerance) == (torch.float32, 1e-4) and single.error < 1e-5
    half = symmetry.discover(Net(lambda y: y.half().relu().to(y.dtype)), ROW).proof
    assert (half.dtype, half.precision) == (torch.float64, torch.float16)
    assert symmetry.discover(plain(), ROW, verify=False).proof is None
