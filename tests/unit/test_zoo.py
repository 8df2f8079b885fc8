"""The kinds of modules that people bring: groups as counted by hand, right without the proof, and proven."""

import gc
import subprocess
import sys

import pytest
import torch
from test_symmetry import MODELS, images
from torch import nn
from zoo import ZOO

from onebasin import symmetry
from onebasin.symmetry import trace


def make(name: str):
    torch.manual_seed(0)
    if name in MODELS:
        return MODELS[name](), images(name)
    build, example, _ = ZOO[name]
    return build().eval(), example


@pytest.mark.filterwarnings("ignore:.*weight_norm.* is deprecated:FutureWarning")
@pytest.mark.parametrize("name", ZOO)
def test_groups_are_right_and_complete(name):
    model, example = make(name)
    found = symmetry.discover(model, example, verify=False)
    assert sorted((group.size, group.blocks) for group in found.groups.values()) == sorted(ZOO[name][2])
    for seed in range(3):
        generator = torch.Generator().manual_seed(seed)
        state = symmetry.random_state(model, generator)
        symmetry.check(model, found, found.random(generator), state, example, None, dtype=torch.float64)
    assert symmetry.discover(model, example).proof is not None


# Groups that lie in one tensor alone, where a swapped pair is another symmetry, or that nothing reads.
UNSEEN = {"adjacency": 1, "cosines": 1, "negative padding": 1, "chunks": 1, "pairs of rows": 1, "rows": 1}


class Swapped(symmetry.Symmetry):
    """A symmetry that changes the places of two units of a group, in one tensor alone."""

    def __init__(self, found: symmetry.Symmetry, name: str, key: str, pair: tuple[int, int]) -> None:
        self.__dict__.update(vars(found))
        self.name, self.key, self.pair = name, key, pair

    def apply(self, permutation, state):
        moved = super().apply(permutation, state)
        place = next(place for place in self.places(self.name) if place.key == self.key)
        rows = place.units(torch.arange(moved[self.key].numel()).reshape(moved[self.key].shape))
        flat = moved[self.key].clone().flatten()
        first, second = (rows[unit] for unit in self.pair)
        flat[first], flat[second] = flat[second], flat[first].clone()
        return {**moved, self.key: flat.reshape(moved[self.key].shape)}


@pytest.mark.filterwarnings("ignore:.*weight_norm.* is deprecated:FutureWarning")
@pytest.mark.parametrize("name", [*ZOO, *MODELS])
def test_the_proof_catches_a_swapped_pair_in_every_group(name):
    model, example = make(name)
    found = symmetry.discover(model, example, verify=False)
    call = symmetry.Call.of(example)
    assert symmetry.prove(model, found, call, torch.float64).error < 1e-4
    caught = [name for name in found.groups if is_caught(model, found, name, call)]
    assert len(caught) == len(found.groups) - UNSEEN.get(name, 0)


def is_caught(model, found: symmetry.Symmetry, name: str, call: symmetry.Call) -> bool:
    """Say whether the proof refuses a swapped pair; units that are zero for all inputs are nowhere seen."""
    for pair in ((0, -1), (0, 1)):
        for key in dict(found.groups[name].axes).keys() & found.parameters:
            try:
                symmetry.prove(model, Swapped(found, name, key, pair), call, torch.float64)
            except symmetry.SymmetryError as error:
                assert "another function" in str(error)
                return True
    return False


MEMORY = """
import resource, torch
from torch import nn
from onebasin import symmetry

torch.set_num_threads(1)
model = nn.Sequential(*[layer for _ in range(4) for layer in (nn.Linear(3000, 3000), nn.ReLU())], nn.Linear(3000, 3))
size = 8 * sum(value.numel() for value in model.parameters())
symmetry.discover(nn.Sequential(nn.Linear(3000, 8), nn.Linear(8, 3)), torch.randn(2, 3000))
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 - size / 2
symmetry.discover(model, torch.randn(2, 3000), precision=torch.{precision})
print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 - before) / size)
"""


@pytest.mark.parametrize(("precision", "most"), [("float64", 3), ("float32", 1.75)])
def test_the_proof_needs_three_times_the_memory_of_the_model(precision, most):
    """In its own precision: the model, a random state, and a copy that is evaluated; and a tensor on its way."""
    code = MEMORY.replace("{precision}", precision)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert float(done.stdout) < most


class Long(nn.Module):
    """Many large intermediates, of which two are needed at a time."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.last = nn.Linear(4, 2**16), nn.Linear(2**16, 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = self.first(x)
        for _ in range(100):
            y = y.relu() + y.view_as(y)
        alive = sum(1 for item in gc.get_objects() if type(item) is torch.Tensor and item.numel() == y.numel())
        MOST.append(alive)
        return self.last(y)


MOST: list[int] = []


def test_intermediates_are_dropped_when_the_model_drops_them():
    MOST.clear()
    sym = symmetry.discover(Long(), torch.randn(64, 4), verify=False)
    assert [len(group.axes) for group in sym.groups.values()] == [3]
    assert MOST[0] < 2 * trace.ENOUGH / (64 * 2**16 * 4) + 10  # 300 were made
