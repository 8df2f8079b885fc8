"""Linear maps between networks: what must hold exactly, whatever was measured."""

import pytest
import torch
from networks import Attention, Grouped, Residual, build, state
from torch import nn

from onebasin import match, symmetry
from onebasin.experiments.linear import by_split, rises, subsets
from onebasin.landscape import repair
from onebasin.landscape.interpolate import interpolate
from onebasin.match import linear_maps

SHAPE = (1, 8, 8)
IMAGES = torch.randn(300, *SHAPE, generator=torch.Generator().manual_seed(1))
FAMILIES = {
    "mlp": ("mlp", {"hidden": [1, 1]}),
    "cnn": ("cnn", {"norm": "none"}),
    "cnn, layer norm": ("cnn", {"norm": "layer"}),
    "cnn, batch norm": ("cnn", {"norm": "batch"}),
    "resnet": ("resnet20", {"norm": "layer"}),
}
families = pytest.mark.parametrize("name", FAMILIES)


def network(name, width=6, seed=0):
    family, options = FAMILIES[name]
    model = build(family, width, **options).eval()
    return model, symmetry.discover(model, IMAGES[:2]), state(model, seed)


def maps(groups, model, first, second, intermediate="last", gamma=0.01):
    """Each kind of map that takes the second network into the frame of the first."""
    found = linear_maps.moments(groups, model, [first, second], IMAGES, intermediate=intermediate)
    permutation = linear_maps.permutation_of(groups, found, (0, 1), (first, second))
    return {
        "permutation": permutation,
        "cca": linear_maps.cca(found, (0, 1), permutation, gamma),
        "procrustes": linear_maps.procrustes(found, (0, 1), permutation),
    }


def outputs(model, tensors, images=IMAGES[:50]):
    return symmetry.Network(model, tensors)(images)


@families
@pytest.mark.parametrize("intermediate", ["last", "first"])
def test_a_permuted_copy_comes_back_by_every_map_and_the_way_between_is_flat(name, intermediate):
    model, groups, original = network(name)
    if name == "cnn, batch norm":  # what running statistics would be after training
        original = repair.correction("reset", model, [original], IMAGES)(original, [1.0])
    copy = groups.apply(groups.random(torch.Generator().manual_seed(2)), original)
    for kind, found in maps(groups, model, original, copy, intermediate).items():
        moved = linear_maps.apply(groups, model, found, copy, IMAGES)
        tolerance = {"rtol": 1e-4, "atol": 1e-4}
        for key in original:
            assert torch.allclose(moved[key].double(), original[key].double(), **tolerance), (kind, key)
        middle = interpolate([original, moved], [0.5, 0.5])
        assert torch.allclose(outputs(model, middle), outputs(model, original), **tolerance)


def test_maps_and_their_inverses_cancel_and_those_of_procrustes_are_orthogonal():
    model, groups, first = network("mlp", 20)
    found = maps(groups, model, first, state(model, 1))
    for kind, linear_map in found.items():
        for name, matrix in linear_map.matrices.items():
            one = torch.eye(len(matrix), dtype=torch.float64)
            assert torch.allclose(matrix @ linear_map.inverses[name], one, atol=1e-9)
            assert torch.allclose(linear_map.inverse().matrices[name] @ matrix, one, atol=1e-9)
            assert torch.allclose(matrix @ matrix.T, one, atol=1e-9) == (kind != "cca")
    by_activations = match.activations(groups, first, state(model, 1), model=model, images=IMAGES)
    assert found["permutation"].permutation == by_activations.permutation


def test_of_all_orthogonal_maps_procrustes_is_nearest_and_cca_becomes_it_as_gamma_grows():
    model, groups, first = network("mlp", 12)
    second = state(model, 1)
    found = linear_maps.moments(groups, model, [first, second], IMAGES)
    permutation = linear_maps.permutation_of(groups, found, (0, 1), (first, second))
    turned, stiff = linear_maps.procrustes(found, (0, 1), permutation), linear_maps.cca(found, (0, 1), permutation, 1e6)
    for name, moments in found.items():
        cross, matrix = moments.covariance(0, 1), turned.matrices[name]
        assert torch.allclose(stiff.matrices[name], matrix, atol=1e-4)
        reached = float((matrix * cross).sum())
        assert reached == pytest.approx(float(torch.linalg.svdvals(cross).sum()), rel=1e-5)
        assert reached > float((permutation.matrices[name] * cross).sum())
    # The mean squared distance of activations, computed from them.
    seen = {name: [] for name in found}
    for name, _, activations in match.activation_matching.features(groups, model, [[first], [second]], IMAGES):
        seen[name].append(torch.stack(activations).double())
    for name, parts in seen.items():
        x, y = (part - part.mean(0) for part in torch.cat(parts, 1))
        assert torch.allclose(x.T @ y / len(x), found[name].covariance(0, 1), atol=1e-9)
        near, far = ((x - y @ linear_map.matrices[name].T).square().sum() for linear_map in (turned, permutation))
        assert near < far


def test_after_cca_whitened_activations_go_together_unit_by_unit():
    """In the canonical basis, in which x and y are uncorrelated but for pairs, T maps each direction to its partner."""
    model, groups, first = network("mlp", 10)
    second = state(model, 1)
    found = linear_maps.moments(groups, model, [first, second], IMAGES)
    permutation = linear_maps.permutation_of(groups, found, (0, 1), (first, second))
    gamma = 1e-9
    mapped = linear_maps.cca(found, (0, 1), permutation, gamma)
    for name, moments in found.items():
        matrix, of_x, of_y = mapped.matrices[name], moments.covariance(0, 0), moments.covariance(1, 1)
        assert torch.allclose(matrix @ of_y @ matrix.T, of_x, atol=1e-5 * float(of_x.diagonal().max()))
        values, vectors = torch.linalg.eigh(of_x)
        whitened = (vectors / values.sqrt()) @ vectors.T
        together = whitened @ moments.covariance(0, 1) @ matrix.T @ whitened
        assert torch.allclose(together, together.T, atol=1e-4)
        assert torch.linalg.eigvalsh((together + together.T) / 2).min() > -1e-4


class Linear(nn.Module):
    """Convolutions and linear layers without anything between them, so that maps of layers cancel."""

    def __init__(self):
        super().__init__()
        self.first = nn.Conv2d(1, 5, 3, padding=1)
        self.second = nn.Conv2d(5, 4, 3)
        self.third = nn.Linear(4 * 36, 7)
        self.head = nn.Linear(7, 3)

    def forward(self, x):
        return self.head(self.third(self.second(self.first(x)).flatten(1)))


def test_a_linear_network_computes_the_same_and_one_with_relu_does_not():
    torch.manual_seed(0)
    model = Linear().eval()
    groups = symmetry.discover(model, IMAGES[:2])
    first, second = state(model, 0), state(model, 1)
    for found in maps(groups, model, first, second).values():
        moved = linear_maps.apply(groups, model, found, second, IMAGES)
        assert torch.allclose(outputs(model, moved), outputs(model, second), rtol=1e-4, atol=1e-4)
    model, groups, first = network("mlp")
    second = state(model, 1)
    for kind, found in maps(groups, model, first, second).items():
        moved = linear_maps.apply(groups, model, found, second, IMAGES)
        same = torch.allclose(outputs(model, moved), outputs(model, second), rtol=1e-2, atol=1e-2)
        assert same == (kind == "permutation"), kind


@families
def test_a_permutation_as_matrices_does_what_it_does(name):
    model, groups, original = network(name)
    permutation = groups.random(torch.Generator().manual_seed(3))
    matrices = {
        group: torch.eye(groups.groups[group].size, dtype=torch.float64)[torch.tensor(permutation[group])]
        for group in groups.groups
    }
    found = linear_maps.LinearMap(matrices, {group: matrix.T for group, matrix in matrices.items()})
    moved, hard = linear_maps.apply(groups, model, found, original, IMAGES), groups.apply(permutation, original)
    for key in original:
        if "running" not in key:
            assert torch.equal(moved[key], hard[key])


@families
def test_scales_that_are_equal_and_shifts_are_exact(name):
    """A map of the identity times a number: what makes units takes it, what reads them the inverse."""
    model, groups, original = network(name)
    sizes = {group: groups.groups[group].size for group in groups.groups}
    twice = {group: 2 * torch.eye(count, dtype=torch.float64) for group, count in sizes.items()}
    half = {group: matrix / 4 for group, matrix in twice.items()}
    moved = linear_maps.apply(groups, model, linear_maps.LinearMap(twice, half), original, IMAGES)
    roles = repair.roles(model, original, IMAGES[:2])
    for key, (kind, rows) in roles.items():
        if kind == "shift" and not key.startswith(("head", "classifier")):
            assert torch.equal(moved[key], 2 * original[key])
        if kind == "scale":
            assert torch.equal(moved[key], original[key])
        if kind == "weight":
            assert rows == 0
    if name in ("mlp", "cnn"):  # ReLU commutes with positive factors
        assert torch.allclose(outputs(model, moved), outputs(model, original), rtol=1e-4, atol=1e-4)


def test_units_that_never_vary_are_left_to_the_permutation():
    model, groups, original = network("mlp", 12)
    [name, *_] = [name for name in groups.groups if name.endswith("0")]
    dead = {key: value.clone() for key, value in original.items()}
    dead[f"{name}.bias"][:6] = -100.0
    copy = groups.apply(groups.random(torch.Generator().manual_seed(2)), dead)
    for kind, found in maps(groups, model, dead, copy).items():
        moved = linear_maps.apply(groups, model, found, copy, IMAGES)
        assert all(torch.allclose(moved[key], dead[key], atol=1e-3) for key in dead), kind
        assert all(torch.isfinite(matrix).all() for matrix in found.matrices.values())


class Scaled(nn.Module):
    """A scale of its own, which no norm has."""

    def __init__(self):
        super().__init__()
        self.first, self.head = nn.Linear(64, 5), nn.Linear(5, 3)
        self.scale = nn.Parameter(torch.ones(5))

    def forward(self, x):
        return self.head(self.scale * self.first(x.flatten(1)).relu())


@pytest.mark.parametrize(
    ("make", "shape", "said"),
    [
        (Grouped, (3, 8, 8), "blocks"),
        (Attention, (3, 8, 8), "blocks"),
        (Scaled, SHAPE, "'scale' cannot be mapped by a matrix"),
        (Residual, (3, 8, 8), "cannot be mapped by a matrix"),
    ],
)
def test_what_a_matrix_cannot_be_applied_to_is_refused_by_name(make, shape, said):
    torch.manual_seed(0)
    model, images = make().eval(), torch.randn(20, *shape)
    groups = symmetry.discover(model, images[:2])
    tensors = state(model)
    with pytest.raises(linear_maps.LinearMapError, match=said):
        found = linear_maps.moments(groups, model, [tensors, tensors], images)
        permutation = linear_maps.permutation_of(groups, found, (0, 1), (tensors, tensors))
        turned = linear_maps.procrustes(found, (0, 1), permutation)
        linear_maps.apply(groups, model, turned, tensors, images)


def test_bad_arguments_are_refused():
    model, groups, first = network("mlp")
    with pytest.raises(ValueError, match="allowed are last, first"):
        linear_maps.moments(groups, model, [first, first], IMAGES, intermediate="all")
    with pytest.raises(ValueError, match="at least 2 images"):
        linear_maps.moments(groups, model, [first, first], IMAGES[:1])
    found = linear_maps.moments(groups, model, [first, first], IMAGES)
    permutation = linear_maps.permutation_of(groups, found, (0, 1), (first, first))
    with pytest.raises(ValueError, match="gamma must be above 0"):
        linear_maps.cca(found, (0, 1), permutation, 0)


def test_a_rise_is_above_mapped_networks_and_an_excess_above_trained_ones():
    """On the line to a bad network there is no barrier, and the excess is that of this network."""
    way = [
        ((1 - alpha, alpha), {"split": "test", "loss": loss, "error": error, "loss_calibrated": None})
        for alpha, loss, error in ((0.0, 1.0, 0.1), (0.5, 2.0, 0.2), (1.0, 2.0, 0.5))
    ]
    trained = 2 * [{("test", "loss"): 1.0, ("test", "error"): 0.1}]
    loss, error = rises(way, [by_split(way, (1, 0)), by_split(way, (0, 1))], trained)
    assert loss == {"split": "test", "metric": "loss", "value": 2, "baseline": 1.5, "rise": 0.5, "excess": 1}
    assert (error["rise"], error["value"], error["excess"]) == pytest.approx((0, 0.1, 0.4))


def test_every_network_is_the_reference_once_and_takes_part_as_often_as_others():
    found = subsets([3, 5, 7, 9], 3)
    assert found == [[3, 5, 7], [5, 7, 9], [7, 9, 3], [9, 3, 5]]
    assert [len(one) for one in subsets([3, 5], 2)] == [2, 2]
