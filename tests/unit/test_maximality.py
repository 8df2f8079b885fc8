"""No symmetry is missed: a numerical check that needs no count by hand.

Where all entries of every parameter are equal, every symmetry leaves the network as it is, so that the gradients of
units that can change places are equal too. Different gradients along an axis therefore prove that it is fixed for a
reason. And a group whose axes could move apart would fall into parts: noise in one part leaves the gradients in
another equal among units.
"""

import pytest
import torch
from networks import build
from test_symmetry import Halves, SelfAttention, Shuffled
from torch import nn
from torch.func import functional_call

from onebasin import symmetry
from onebasin.symmetry import axes

MODELS = {
    "mlp": (lambda: build("mlp", shape=(3, 8, 8), hidden=[1, 0.5]), (3, 8, 8)),
    "resnet20": (lambda: build("resnet20", shape=(3, 8, 8), width=4, norm="batch"), (3, 8, 8)),
    "shuffled": (lambda: Shuffled(2, 2, 1), (3, 8, 8)),
    "halves": (Halves, (3,)),
    "shuffled groups": (lambda: Shuffled(3, 1, 3), (3, 8, 8)),
    "attention": (lambda: SelfAttention("unbind"), (5, 12)),
}


class Point:
    """A network at which all entries of each parameter are equal, and a function of its outputs."""

    def __init__(self, model: nn.Module, shape: tuple[int, ...]) -> None:
        self.model = model.double().eval()
        self.generator = torch.Generator().manual_seed(0)
        self.state = {}
        for key, value in model.state_dict().items():
            level = 0.5 + torch.rand((), generator=self.generator, dtype=torch.float64)
            self.state[key] = (level / max(1, value[0].numel() if value.dim() else 1)).expand(value.shape).clone()
        self.inputs = torch.rand(2, *shape, generator=self.generator, dtype=torch.float64)
        outputs = functional_call(model, self.state, (self.inputs,))
        self.weights = torch.rand(outputs.shape, generator=self.generator, dtype=torch.float64)

    def gradients(self, place: symmetry.Place | None = None) -> dict[str, torch.Tensor]:
        """Return the gradient of every parameter, after noise in the entries of a place."""
        state = {key: value.clone() for key, value in self.state.items()}
        if place is not None:
            inside = torch.zeros_like(state[place.key])
            inside.view(-1)[place.units(torch.arange(inside.numel()).view(inside.shape)).flatten()] = 1
            noise = torch.rand(inside.shape, generator=self.generator, dtype=torch.float64)
            state[place.key] *= 1 + 0.3 * inside * noise
        parameters = {key: state[key].requires_grad_() for key, _ in self.model.named_parameters()}
        loss = (functional_call(self.model, state, (self.inputs,)) * self.weights).sum()
        return dict(zip(parameters, torch.autograd.grad(loss, list(parameters.values())), strict=True))


def differ(rows: torch.Tensor, blocks: int = 1) -> bool:
    """Say whether the units of a block have different gradients."""
    rows = rows.unflatten(0, (blocks, -1))
    return bool((rows - rows[:, :1]).abs().max() > 1e-9 * rows.abs().max())


@pytest.fixture(params=MODELS)
def case(request):
    make, shape = MODELS[request.param]
    torch.manual_seed(0)
    model = make()
    found = symmetry.discover(model, torch.randn(2, *shape), verify=False)
    return found, Point(model, shape)


def test_fixed_axes_have_units_that_differ(case):
    found, point = case
    gradients = point.gradients()
    for key, axis in found.fixed:
        if key in gradients:
            assert differ(gradients[key].movedim(axis, 0).reshape(gradients[key].shape[axis], -1)), (key, axis)


def falls_apart(found: symmetry.Symmetry, point: Point, name: str) -> bool:
    """Say whether noise in one axis of a group, and then in those that it reaches, leaves another one untouched."""
    plain = point.gradients()
    blocks = found.groups[name].blocks
    places = [place for place in found.places(name) if place.key in plain]
    assert not any(differ(place.units(plain[place.key]), blocks) for place in places), name
    reached, last = [places[0]], [places[0]]
    while last:
        gradients = point.gradients(last.pop())
        for place in places:
            if place not in reached and differ(place.units(gradients[place.key]), blocks):
                reached.append(place)
                last.append(place)
    return len(reached) < len(places)


def test_the_axes_of_a_group_cannot_move_apart(case):
    found, point = case
    assert [name for name in found.groups if falls_apart(found, point, name)] == []


def test_the_check_finds_two_groups_taken_for_one():
    model = SelfAttention("unbind")
    found = symmetry.discover(model, torch.randn(2, 5, 12))
    _, queries, values = found.groups
    axes.unify(found._atoms[queries], found._atoms[values])
    coarse = symmetry.Symmetry(found._terms, found._terms.values(), found.parameters)
    assert len(coarse.groups) == 2
    point = Point(model, (5, 12))
    assert [falls_apart(coarse, point, name) for name in coarse.groups] == [False, True]
