"""What is remarked on among the errors of networks."""

import pytest
import torch

from onebasin.experiments import errors


def test_a_guess_names_the_most_frequent_class():
    assert errors.guess(torch.tensor([0, 1, 2, 2])) == 0.5
    assert errors.guess(torch.tensor([[0, 1], [2, 3]])) == 0.75


@pytest.mark.parametrize(
    ("found", "remarks"),
    [
        ({0: 0.02, 1: 0.03, 2: 0.02}, {}),
        ({0: 0.02, 1: 0.85, 2: 0.02}, {1: "error 0.850, near that of a guess, 0.900"}),
        ({0: 0.02, 1: 0.2, 2: 0.03}, {1: "error 0.200, far from the others', 0.025"}),
        ({0: 0.001, 1: 0.009}, {}),  # many times as large, and small
        ({0: 0.01, 7: 0.08}, {7: "error 0.080, far from the others', 0.010"}),
        ({0: 0.5}, {}),
        ({0: 0.88}, {0: "error 0.880, near that of a guess, 0.900"}),
    ],
)
def test_errors_near_chance_or_far_from_the_others_are_remarked_on(found, remarks):
    assert errors.remarks(found, 0.9) == remarks
