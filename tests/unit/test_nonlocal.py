"""What is made of the experts of several tasks, against what can be computed by hand."""

import pytest
import torch
from networks import build, state

from onebasin.experiments import rooms
from onebasin.experiments.consensus import subsets
from onebasin.landscape.interpolate import interpolate

room = rooms()["nonlocal"].module


@pytest.mark.parametrize(("family", "norm"), [("mlp", "none"), ("cnn", "batch")])
def test_task_vectors_are_added_to_the_start(family, norm):
    model = build(family, norm=norm)
    start, *experts = (state(model, seed) for seed in range(4))
    parameters = dict(model.named_parameters())
    mean = interpolate(experts, [1 / 3] * 3)
    for coefficient in (0.3, 1.0):
        found = room.with_vectors(start, mean, 3 * coefficient, parameters)
        assert found.keys() == start.keys()
        for key in start:
            if key in parameters:
                wanted = start[key] + coefficient * sum(expert[key] - start[key] for expert in experts)
                assert torch.allclose(found[key], wanted, atol=1e-5), key
            else:
                assert torch.equal(found[key], mean[key]), "running statistics are averaged, and stay positive"
    one = room.with_vectors(start, mean, 3 * (1 / 3), parameters)
    assert all(torch.allclose(one[key], mean[key], atol=1e-6) for key in parameters)


def test_a_task_is_named_by_its_data_and_what_is_done_to_them():
    section = {"tasks": [{"name": "mnist", "variant": "none"}, {"name": "fashion_mnist", "variant": "permuted"}]}
    assert room.tasks(section) == {
        "tasks/mnist": section["tasks"][0],
        "tasks/fashion_mnist-permuted": section["tasks"][1],
    }


def test_the_first_tasks_are_merged_or_all_sets_of_them():
    assert subsets(range(3), "nested") == [(0, 1), (0, 1, 2)]
    assert subsets(range(3), "all") == [(0, 1), (0, 2), (1, 2), (0, 1, 2)]
