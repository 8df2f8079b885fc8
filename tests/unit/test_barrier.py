"""Barriers against values known by hand."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from networks import build, state
from torch import nn

from onebasin import barrier, match, repair, symmetry


@pytest.fixture
def case():
    model = build("cnn", norm="layer")
    images = torch.randn(50, 1, 8, 8, generator=torch.Generator().manual_seed(0))
    a, b = state(model, 1), state(build("cnn", norm="layer", seed=1), 2)
    with torch.no_grad():  # a network that is right, so that there is something to lose
        labels = torch.func.functional_call(model, a, (images,)).argmax(1)
    return model, a, b, images, labels


def test_ends_of_a_curve_are_the_networks(case):
    model, a, b, images, labels = case
    measured = barrier.curve(model, a, b, images, labels, alphas=5)
    assert measured["alpha"].tolist() == [0, 0.25, 0.5, 0.75, 1]
    for network, row in ((a, 0), (b, -1)):
        model.load_state_dict(network)
        with torch.no_grad():
            logits = model.eval()(images)
        assert measured["loss"].iloc[row] == pytest.approx(F.cross_entropy(logits, labels).item(), rel=1e-5)
        assert measured["error"].iloc[row] == (logits.argmax(1) != labels).double().mean().item()


def test_barrier_of_a_network_with_itself_is_zero(case):
    model, a, _, images, labels = case
    measured = barrier.curve(model, a, a, images, labels)
    assert len(measured) == 25
    assert barrier.barrier(measured, "error") == 0
    assert barrier.barrier(measured, "loss") == pytest.approx(0, abs=1e-5)


def test_barrier_of_a_network_with_its_permuted_copy_is_zero_after_matching(case):
    model, a, _, images, labels = case
    sym = symmetry.discover(model, images[:2])
    copy = sym.apply(sym.random(torch.Generator().manual_seed(0)), a)
    assert barrier.barrier(barrier.curve(model, a, copy, images, labels), "loss") > 0.01
    aligned = sym.apply(match.weights(sym, a, copy).permutation, copy)
    assert barrier.barrier(barrier.curve(model, a, aligned, images, labels), "loss") == pytest.approx(0, abs=1e-5)


def test_height_uses_the_line_between_the_ends_not_their_mean():
    assert barrier.height([0, 0.5, 1], [0.0, 0.5, 1.0]) == 0
    assert barrier.height([0, 0.25, 0.5, 1], [1.0, 2.0, 1.5, 3.0]) == 0.5
    assert barrier.height([0, 0.5, 1], [1.0, 0.2, 1.0]) == 0
    assert barrier.height([0, 0.9, 1], [0.0, 1.0, 1.0]) == pytest.approx(0.1)


def test_simplex_of_two_networks_is_the_curve(case):
    model, a, b, images, labels = case
    curve = barrier.curve(model, a, b, images, labels, alphas=5)
    triangle = barrier.simplex(model, [a, b], images, labels, barrier.grid(2, 4)).sort_values("weight_1")
    assert np.allclose(triangle["weight_1"], curve["alpha"])
    assert np.array_equal(triangle["loss"], curve["loss"]) and np.array_equal(triangle["error"], curve["error"])
    values = triangle["loss"].to_numpy()
    corners = [values[0], values[-1]]
    height = barrier.simplex_height(triangle[["weight_0", "weight_1"]].to_numpy(), values, corners)
    assert height == pytest.approx(barrier.barrier(curve, "loss"))


def test_simplex_barrier_of_a_linear_function_is_zero():
    weights = barrier.grid(3, 6).numpy()
    corners = np.array([1.0, 2.0, 5.0])
    assert barrier.simplex_height(weights, weights @ corners, corners) == pytest.approx(0)
    assert barrier.simplex_height(weights, weights @ corners + 3 * weights.prod(1), corners) == pytest.approx(3 / 27)


def test_grid_covers_the_simplex():
    points = barrier.grid(3, 4)
    assert points.shape == (15, 3) and torch.allclose(points.sum(1), torch.ones(15, dtype=torch.float64))
    assert len({tuple(row) for row in points.tolist()}) == 15
    for corner in torch.eye(3, dtype=torch.float64):
        assert (points == corner).all(1).any()


def test_mixing_three_networks(case):
    _, a, b, _, _ = case
    mixed = barrier.interpolate([a, b, a], [0.2, 0.5, 0.3])
    for key in a:
        assert torch.allclose(mixed[key], 0.5 * a[key] + 0.5 * b[key], atol=1e-6)
    assert all(torch.equal(value, a[key]) for key, value in barrier.interpolate([a, b], [1, 0]).items())


def test_batches_do_not_matter_and_the_model_is_left_alone(case):
    model, a, b, images, labels = case
    model.train()
    before = {key: value.clone() for key, value in model.state_dict().items()}
    whole, parts = (barrier.curve(model, a, b, images, labels, alphas=3, batch_size=n) for n in (50, 7))
    assert np.allclose(whole["loss"], parts["loss"], rtol=1e-5) and np.array_equal(whole["error"], parts["error"])
    assert model.training and all(torch.equal(before[key], value) for key, value in model.state_dict().items())


def test_batch_norm_statistics_are_used_and_counters_kept():
    model = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Linear(4, 2))
    a, b = state(model, 1), state(model, 2)
    mixed = barrier.interpolate([a, b], [0.5, 0.5])
    assert torch.allclose(mixed["1.running_var"], (a["1.running_var"] + b["1.running_var"]) / 2)
    assert mixed["1.num_batches_tracked"].dtype == torch.int64


@pytest.mark.parametrize("alphas", [0, 1])
def test_a_curve_needs_two_points(case, alphas):
    model, a, b, images, labels = case
    with pytest.raises(ValueError, match="at least 2"):
        barrier.curve(model, a, b, images, labels, alphas=alphas)


def test_a_curve_warns_of_batch_norm_that_is_not_corrected(case, caplog):
    images, labels = torch.rand(20, 1, 8, 8), torch.arange(20) % 10
    for norm in ("batch", "layer"):
        caplog.clear()
        model = build("cnn", norm=norm)
        barrier.curve(model, state(model, 1), state(model, 2), images, labels, alphas=2)
        assert ("batch norm" in caplog.text) == (norm == "batch")


def test_a_corrected_curve_is_that_of_the_corrected_networks(case):
    _, _, _, images, labels = case
    model = build("cnn", norm="batch")
    ends = [state(model, 1), state(build("cnn", norm="batch", seed=1), 2)]
    correct = repair.correction("repair", model, ends, images)
    measured = barrier.measure(model, ends, barrier.line(3), {"test": (images, labels)}, correct=correct)["test"]
    curve = barrier.curve(model, *ends, images, labels, 3, correct=correct)
    triangle = barrier.simplex(model, ends, images, labels, barrier.line(3), correct=correct)
    for found in (curve, triangle):
        assert np.array_equal(found["loss"], measured.loss) and np.array_equal(found["error"], measured.error)
    assert not np.array_equal(curve["loss"], barrier.curve(model, *ends, images, labels, 3)["loss"])
    with pytest.raises(ValueError, match=r"a Values is no curve: give what barrier\.curve returned"):
        barrier.barrier(measured)


WRONG = {
    "a missing key": (
        lambda c: {"b": {k: v for k, v in c["b"].items() if k != "head.bias"}},
        "state_b .*missing head.bias",
    ),
    "an unknown key": (
        lambda c: {"b": {**c["b"], "other": c["labels"]}},
        "state_b does not fit the model: unknown other",
    ),
    "another width": (
        lambda c: {"b": state(build("cnn", norm="layer", width=9))},
        r"state_b does not fit the model: .* has shape \[9, 1, 3, 3\], the model's \[8, 1, 3, 3\]; .*; and \d+ more",
    ),
    "a model": (lambda c: {"b": build("cnn", norm="layer")}, "state_b .*not a state dict"),
    "no batch axis": (lambda c: {"images": c["images"][0], "labels": c["labels"][0]}, "give .N, ….* as many labels"),
    "images of more channels": (
        lambda c: {"images": c["images"].repeat(1, 3, 1, 1)},
        "the model fails on images of shape",
    ),
    "too few labels": (lambda c: {"labels": c["labels"][:9]}, r"images of shape \[50, 1, 8, 8\] are 50, labels 9"),
    "labels that are numbers": (
        lambda c: {"labels": c["labels"].float()},
        "labels are float32: give class indices, int64",
    ),
    "labels beyond the classes": (
        lambda c: {"labels": c["labels"] + 5},
        r"lie in 5\.\.\d+, and the model has 10 outputs",
    ),
    "labels of positions": (lambda c: {"labels": c["labels"][:, None]}, r"gives \[2, 10\], expected \[2, classes, 1\]"),
}


@pytest.mark.parametrize("wrong", WRONG)
def test_what_does_not_fit_is_refused_in_one_line(case, wrong):
    model, a, b, images, labels = case
    change, message = WRONG[wrong]
    given = {"b": b, "images": images, "labels": labels}
    given |= change(given)
    sym = symmetry.discover(model, images[:2])
    calls = [lambda: barrier.curve(model, a, **{"state_b": given["b"], **{k: given[k] for k in ("images", "labels")}})]
    if given["b"] is b:
        calls.append(lambda: barrier.simplex(model, [a, b], given["images"], given["labels"], barrier.grid(2, 2)))
        learn = {"model": model, "images": given["images"], "labels": given["labels"], "similarity": "weights"}
        calls.append(lambda: match.sinkhorn_pair(sym, a, b, **learn))
    else:
        calls.append(lambda: match.weights(sym, a, given["b"]))
        calls.append(lambda: match.activations(sym, a, given["b"], model=model, images=images))
    for call in calls:
        with pytest.raises(ValueError, match=message) as caught:
            call()
        assert "\n" not in str(caught.value)


def test_other_metrics_and_networks_of_a_frame_are_refused_by_name(case):
    model, a, b, images, labels = case
    with pytest.raises(ValueError, match="metric 'accuracy': allowed are loss, error"):
        barrier.barrier(barrier.curve(model, a, b, images, labels, 3), "accuracy")
    sym = symmetry.discover(model, images[:2])
    with pytest.raises(ValueError, match="network 4 does not fit the model: missing head.bias"):
        match.merge_many(sym, {1: a, 4: {key: value for key, value in b.items() if key != "head.bias"}})
    with pytest.raises(ValueError, match="network 1 does not fit the model"):
        barrier.measure(model, [a, {}], barrier.line(2), {"test": (images, labels)})


def test_bad_arguments(case):
    model, a, b, images, labels = case
    with pytest.raises(ValueError, match="no images"):
        barrier.curve(model, a, b, images[:0], labels[:0])
    with pytest.raises(ValueError, match="weights"):
        barrier.losses(model, [a, b], torch.ones(2, 3), images, labels)
    with pytest.raises(ValueError):
        barrier.grid(0, 3)
