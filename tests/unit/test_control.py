"""Networks with nothing to find: their weights in random order."""

import torch

from onebasin.experiments.control import shuffled


def test_shuffled_weights_are_the_same_numbers_in_another_order():
    state = {"weight": torch.arange(12.0).reshape(3, 4), "count": torch.tensor([3, 4, 5]), "scale": torch.ones(1)}
    moved = shuffled(state, 0, 7)
    assert not torch.equal(moved["weight"], state["weight"])
    assert torch.equal(moved["weight"].flatten().sort().values, state["weight"].flatten())
    assert moved["count"] is state["count"] and moved["scale"] is state["scale"]
    assert torch.equal(moved["weight"], shuffled(state, 0, 7)["weight"])
    assert not torch.equal(moved["weight"], shuffled(state, 0, 8)["weight"])
