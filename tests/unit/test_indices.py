"""Indices that are used in a way that depends on their order, or on the order of what they are indices of."""

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from zoo import Routed

from onebasin import symmetry


class Looking(nn.Module):
    """Chooses the best of some units for each row, and the best row for each unit."""

    def __init__(self, way) -> None:
        super().__init__()
        self.scores, self.head = nn.Linear(4, 6), nn.Linear(5, 3)
        self.table, self.shift = nn.Parameter(torch.randn(6, 5)), nn.Parameter(torch.randn(6))
        self.places, self.way = nn.Parameter(torch.randn(6, 4)), way

    def forward(self, x: Tensor) -> Tensor:
        return self.way(self, x, self.scores(x).argmax(-1))


WAYS = {
    "as a mask": lambda self, x, best: self.head(self.table[best].relu())[best.bool()].sum(0),
    "as a value": lambda self, x, best: self.head(self.table[best].relu()) + torch.zeros(3).fill_(best[0]),
    "in bags": lambda self, x, best: F.embedding_bag(best, self.table.detach() * 1.0, torch.tensor([0, 3])),
    "where the last value stays": lambda self, x, best: (
        torch.zeros(4).scatter(0, self.places.argmax(-1), self.shift.relu()) + x.sum(0)
    ),
}


def check(make) -> None:
    for seed in range(8):
        torch.manual_seed(seed)
        model, x = make().eval(), torch.randn(8, 4 if make is not Pairs else 8)
        found = symmetry.discover(model, x, verify=False)
        permutation = found.random(torch.Generator().manual_seed(seed))
        symmetry.check(model, found, permutation, model.state_dict(), x, None)


@pytest.mark.parametrize("way", WAYS)
def test_indices_that_are_used_as_numbers(way):
    check(lambda: Looking(WAYS[way]))


class Pairs(Routed):
    """Compares tokens, each of which has been to experts of its own: the experts' outputs have one order."""

    def __init__(self) -> None:
        super().__init__("looked up")

    def forward(self, x: Tensor) -> Tensor:
        chosen = self.router(x).argmax(-1)
        y = torch.bmm(torch.bmm(x[:, None], self.up[chosen]).relu(), self.down[chosen])[:, 0]
        return (y @ y.T).square()


def test_rows_that_meet_stand_for_two_experts():
    check(Pairs)
