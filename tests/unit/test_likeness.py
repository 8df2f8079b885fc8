"""How alike hidden activations are."""

import math

import pytest
import torch

from onebasin import models, seeding, symmetry
from onebasin.match.likeness import angular_cka, gram, representations


def features(*shape, seed=0):
    return torch.randn(*shape, generator=seeding.generator("features", seed))


def test_the_angle_ignores_rotation_scale_and_shift_and_nothing_else():
    x = features(40, 6)
    rotation = torch.linalg.qr(features(6, 6, seed=1)).Q
    assert angular_cka(gram(x), gram(3 * x @ rotation + 5)) == pytest.approx(0, abs=1e-6)
    assert angular_cka(gram(x), gram(x + 0.01 * features(40, 6, seed=2))) == pytest.approx(0, abs=0.05)
    assert angular_cka(gram(x), gram(x * torch.tensor([5.0, 1, 1, 1, 1, 1]))) > 0.3


def test_it_is_the_arc_cosine_of_linear_cka():
    x, y = features(30, 4), features(30, 7, seed=1) + features(30, 1, seed=2)
    x = x - x.mean(0)
    y = y - y.mean(0)
    cka = (x.T @ y).square().sum() / ((x.T @ x).norm() * (y.T @ y).norm())
    assert angular_cka(gram(x), gram(y)) == pytest.approx(math.acos(cka), abs=1e-5)
    apart = torch.eye(4)[:, :2].repeat(1, 1), torch.tensor([[1.0], [1], [-1], [-1]])
    assert angular_cka(gram(torch.tensor([[1.0], [-1], [0], [0]])), gram(apart[1])) == pytest.approx(math.pi / 2)


def test_a_permuted_network_has_the_same_representations():
    model = models.build("cnn", width=3, image_shape=(1, 8, 8), classes=10, norm="layer")
    models.initialise(model, seeding.generator("likeness"))
    images, state = features(12, 1, 8, 8), model.eval().state_dict()
    groups = symmetry.discover(model, images[:2])
    moved = groups.apply(groups.random(seeding.generator("permutation")), state)
    own, other = (representations(groups, model, one, images) for one in (state, moved))
    assert len(own) == len(groups.groups) and own[0].shape == (12, 12)
    assert all(angular_cka(a, b) < 1e-5 for a, b in zip(own, other, strict=True))
    assert angular_cka(own[0], own[-1]) > 0.1
