"""Corrected statistics against statistics computed by hand."""

import dataclasses
import math

import pytest
import torch
import torch.nn.functional as F
from networks import Attention, Grouped, Recurrent, Residual, build, state
from torch import nn
from torch.func import functional_call

from onebasin import barrier, data, match, models, repair, symmetry, train

MODELS = [
    (family, norm, width) for family, width in (("mlp", 12), ("cnn", 4), ("resnet20", 4)) for norm in models.NORMS
]


def make(family, norm, width):
    shape = (3, 16, 16) if family == "resnet20" else (1, 8, 8)
    model = build(family, width=width, shape=shape, norm=norm)
    return model, torch.randn(60, *shape, generator=torch.Generator().manual_seed(0))


def logits(model, network, images):
    with torch.no_grad():
        return functional_call(model.eval(), dict(network), (images,), tie_weights=False)


def outputs(model, network, images, kinds):
    """The outputs of all modules of some kinds, by name, seen from outside."""
    found = {}
    hooks = [
        module.register_forward_hook(lambda module, inputs, output, name=name: found.update({name: output.double()}))
        for name, module in model.named_modules()
        if isinstance(module, kinds)
    ]
    logits(model, network, images)
    for hook in hooks:
        hook.remove()
    return found


def moments(tensor, channel=1):
    """Mean and standard deviation of each channel."""
    flat = tensor.movedim(channel, 0).flatten(1)
    return flat.mean(1), flat.std(1, correction=0)


def test_reset_computes_the_statistics_of_all_images():
    model = nn.Sequential(nn.Linear(3, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Linear(8, 6), nn.BatchNorm1d(6))
    mixed = state(model)
    images = torch.randn(50, 3, generator=torch.Generator().manual_seed(0))
    corrected = repair.correction("reset", model, [mixed], images)(mixed, [1.0])
    x = images
    for linear, norm in ((0, 1), (3, 4)):
        x = F.relu(x) if linear else x
        x = x @ mixed[f"{linear}.weight"].T + mixed[f"{linear}.bias"]
        mean, variance = x.sum(0) / 50, ((x - x.sum(0) / 50) ** 2).sum(0) / 50
        assert torch.allclose(corrected[f"{norm}.running_mean"], mean, atol=1e-5)
        assert torch.allclose(corrected[f"{norm}.running_var"], variance, rtol=1e-4)
        x = (x - mean) / (variance + 1e-5).sqrt() * mixed[f"{norm}.weight"] + mixed[f"{norm}.bias"]
    assert torch.allclose(logits(model, corrected, images), x, atol=1e-4)
    unchanged = mixed.keys() - {f"{norm}.running_{what}" for norm in (1, 4) for what in ("mean", "var")}
    assert all(corrected[key] is mixed[key] for key in unchanged)


@pytest.mark.parametrize(("family", "width"), [("cnn", 4), ("resnet20", 4)])
def test_reset_gives_what_training_sees_of_one_large_batch(family, width):
    model, images = make(family, "batch", width)
    mixed = state(model)
    corrected = repair.correction("reset", model, [mixed], images)(mixed, [1.0])
    with torch.no_grad():
        expected = functional_call(model.train(), {k: v.clone() for k, v in mixed.items()}, (images,))
    assert torch.allclose(logits(model, corrected, images), expected, atol=1e-3)


@pytest.mark.parametrize(("family", "norm", "width"), MODELS)
@pytest.mark.parametrize("name", ["reset", "repair"])
def test_a_network_merged_with_itself_is_unchanged(name, family, norm, width):
    model, images = make(family, norm, width)
    network = state(model)
    if name == "reset" and norm == "batch":  # a trained network's running statistics are those of its training
        network = repair.correction("reset", model, [network], images)(network, [1.0])
    correct = repair.correction(name, model, [network, network], images)
    merged = barrier.interpolate([network, network], [0.5, 0.5])
    corrected = correct(merged, [0.5, 0.5]) if correct else merged
    before, after = (logits(model, each, images) for each in (network, corrected))
    assert (after - before).abs().max() < 2e-4 * before.abs().max()


@pytest.mark.parametrize("weights", [[0.3, 0.7], [0.5, 0.3, 0.2]])
@pytest.mark.parametrize(
    ("family", "norm", "kinds"),
    [
        ("mlp", "none", nn.Linear),
        ("mlp", "layer", nn.LayerNorm),
        ("mlp", "batch", nn.BatchNorm1d),
        ("cnn", "none", nn.Conv2d),
        ("cnn", "layer", models.ChannelLayerNorm),
        ("cnn", "batch", nn.BatchNorm2d),
        ("resnet20", "none", nn.Conv2d),
        ("resnet20", "layer", models.ChannelLayerNorm),
        ("resnet20", "batch", nn.BatchNorm2d),
    ],
)
def test_repaired_statistics_are_interpolated_between_the_ends(family, norm, kinds, weights):
    model, images = make(family, norm, 12 if family == "mlp" else 4)
    ends = [state(model, seed) for seed in range(len(weights))]
    mixed = barrier.interpolate(ends, weights)
    corrected = repair.correction("repair", model, ends, images)(mixed, weights)
    seen = [outputs(model, network, images, kinds) for network in (*ends, mixed, corrected)]
    hidden = [name for name in seen[0] if name != "head"]
    assert len(hidden) >= 3
    off = 0.0
    for name in hidden:
        *of_ends, of_mixed, of_corrected = (moments(found[name]) for found in seen)
        for part in range(2):
            target = sum(weight * found[part] for weight, found in zip(weights, of_ends, strict=True))
            scale = target.abs().max()
            assert (of_corrected[part] - target).abs().max() < 1e-3 * scale, name
            off = max(off, float((of_mixed[part] - target).abs().max() / scale))
    assert off > 0.1  # there was something to correct
    assert all(torch.equal(corrected[f"head.{part}"], mixed[f"head.{part}"]) for part in ("weight", "bias"))


@pytest.mark.parametrize("last_layer", [False, True])
@pytest.mark.parametrize(("family", "norm", "width"), MODELS)
def test_statistics_by_task_are_those_of_the_expert(family, norm, width, last_layer):
    model, images = make(family, norm, width)
    experts = [state(model, seed) for seed in range(3)]
    mixed = barrier.interpolate(experts, [1 / 3] * 3)
    asked = {"last_layer": last_layer}
    correct = repair.correction("task", model, experts, images, expert=1, **asked)
    targets = repair.statistics(model, experts[1], images, **asked)
    before, after = (
        repair.statistics(model, network, images, **asked) for network in (mixed, correct(mixed, [1 / 3] * 3))
    )
    assert list(before) == list(targets) and (len(targets) > 2 or not last_layer)
    off = 0.0
    for name, target in targets.items():
        for part, wanted in enumerate(target):
            scale = wanted.abs().max()
            assert (after[name][part] - wanted).abs().max() < 1e-3 * scale, name
            off = max(off, float((before[name][part] - wanted).abs().max() / scale))
    assert off > 0.1  # there was something to correct
    other = correct(mixed, [0.7, 0.2, 0.1])
    assert all(torch.equal(value, other[key]) for key, value in correct(mixed, [1 / 3] * 3).items())


@pytest.mark.parametrize(("family", "norm", "width"), MODELS)
def test_an_expert_corrected_by_itself_is_unchanged(family, norm, width):
    model, images = make(family, norm, width)
    other, network = state(model, 1), state(model)
    if norm == "batch":  # a trained network's running statistics are those of its training
        network = repair.correction("reset", model, [network], images)(network, [1.0])
    corrected = repair.correction("task", model, [other, network], images, expert=1)(network, [0.5, 0.5])
    before, after = (logits(model, each, images) for each in (network, corrected))
    assert (after - before).abs().max() < 2e-4 * before.abs().max()


def test_statistics_are_those_that_are_seen_from_outside():
    model, images = make("mlp", "none", 12)
    network = state(model)
    seen = outputs(model, network, images, nn.Linear)
    found = repair.statistics(model, network, images)
    assert [f"{name}.weight" for name in seen if name != "head"] == list(found)
    for name, (mean, deviation) in found.items():
        of_layer = moments(seen[name.removesuffix(".weight")].float())
        assert torch.allclose(mean, of_layer[0], atol=1e-5) and torch.allclose(deviation, of_layer[1], atol=1e-5)


@pytest.mark.parametrize("norm", models.NORMS)
@pytest.mark.parametrize("family", ["mlp", "cnn"])
def test_the_last_layer_is_corrected_too_if_asked_for(family, norm):
    model, images = make(family, norm, 8)
    ends = [state(model, seed) for seed in range(2)]
    weights = [0.3, 0.7]
    mixed = barrier.interpolate(ends, weights)
    without, corrected = (
        repair.correction("repair", model, ends, images, last_layer=last)(mixed, weights) for last in (False, True)
    )
    assert {key for key in mixed if not torch.equal(without[key], corrected[key])} == {"head.weight", "head.bias"}
    *of_ends, found = (moments(logits(model, network, images)) for network in (*ends, corrected))
    for part in range(2):
        target = weights[0] * of_ends[0][part] + weights[1] * of_ends[1][part]
        assert torch.allclose(found[part], target, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize(("norm", "changed"), [("layer", "norm"), ("batch", "norm"), ("none", "conv")])
def test_repair_folds_into_norms_where_there_are_some(norm, changed):
    model, images = make("resnet20", norm, 4)
    ends = [state(model, seed) for seed in range(2)]
    mixed = barrier.interpolate(ends, [0.5, 0.5])
    corrected = repair.correction("repair", model, ends, images)(mixed, [0.5, 0.5])
    assert corrected.keys() == mixed.keys()
    norms = {name for name, module in model.named_modules() if name and "norm" in type(module).__name__.lower()}
    for key, value in mixed.items():
        module = key.rpartition(".")[0]
        if value.is_floating_point() and module != "head":
            assert torch.equal(corrected[key], value) == ((module in norms) != (changed == "norm")), key
    assert not any(
        torch.equal(corrected[f"{changed}.{part}"], mixed[f"{changed}.{part}"]) for part in ("weight", "bias")
    )


def test_networks_that_the_project_does_not_make():
    class Unusual(nn.Module):
        """Groups, a transposed convolution, a product with a transposed matrix, a norm over two axes, reused inputs."""

        def __init__(self):
            super().__init__()
            self.grouped = nn.Conv2d(4, 8, 3, padding=1, groups=2)
            self.up = nn.ConvTranspose2d(8, 6, 2, stride=2)
            self.norm = nn.GroupNorm(3, 6)
            self.matrix = nn.Parameter(torch.zeros(6 * 36, 10))
            self.shift = nn.Parameter(torch.zeros(10))
            self.wide = nn.LayerNorm((2, 5))
            self.plain = nn.LayerNorm(10, elementwise_affine=False)
            self.last = nn.Linear(10, 10)
            self.head = nn.Linear(10, 3)
            self.scale = nn.Parameter(torch.ones(3))

        def forward(self, x):
            x = F.relu(self.norm(self.up(F.relu(self.grouped(x)))))
            x = torch.addmm(self.shift, x.flatten(1), self.matrix)
            x = self.wide(x.view(-1, 2, 5)).flatten(1) + x
            return F.log_softmax(self.scale * self.head(F.gelu(self.plain(self.last(x) + x))), dim=1)

    model = Unusual()
    images = torch.randn(40, 4, 3, 3, generator=torch.Generator().manual_seed(0))
    ends = [state(model, seed) for seed in range(2)]
    mixed = barrier.interpolate(ends, [0.5, 0.5])
    corrected = repair.correction("repair", model, ends, images)(mixed, [0.5, 0.5])
    changed = {key for key in mixed if not torch.equal(mixed[key], corrected[key])}
    # The transposed convolution alone is read by a norm alone; the head by no layer.
    parts = {f"{layer}.{part}" for layer in ("grouped", "norm", "wide", "last") for part in ("weight", "bias")}
    assert changed == {*parts, "matrix", "shift"}
    kinds = (nn.Conv2d, nn.GroupNorm, nn.LayerNorm, nn.Linear)
    seen = [outputs(model, network, images, kinds) for network in (*ends, corrected)]
    for name in ("grouped", "norm", "last"):
        first, second, third = (moments(found[name]) for found in seen)
        for part in range(2):
            assert torch.allclose(third[part], (first[part] + second[part]) / 2, atol=1e-4), name
    first, second, third = (found["wide"].flatten(1).std(0, correction=0) for found in seen)
    assert torch.allclose(third, (first + second) / 2, atol=1e-4)


def test_a_grouped_network_merged_with_itself_is_unchanged():
    model, network = Grouped(), state(Grouped())
    images = torch.randn(20, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    corrected = repair.correction("repair", model, [network, network], images)(network, [0.5, 0.5])
    assert torch.allclose(logits(model, corrected, images), logits(model, network, images), atol=1e-4)


def test_units_that_do_not_vary_are_shifted():
    model = build("mlp", hidden=[1, 1])
    images = torch.randn(30, 1, 8, 8, generator=torch.Generator().manual_seed(0))
    ends = [state(model, seed) for seed in range(2)]
    weights = [end["hidden.0.weight"] for end in ends]
    weights[0][0] = weights[1][0] = 0  # constant everywhere
    weights[0][1] = 0  # constant in one network
    weights[1][2] = -weights[0][2]  # constant where they meet
    mixed = barrier.interpolate(ends, [0.5, 0.5])
    corrected = repair.correction("repair", model, ends, images)(mixed, [0.5, 0.5])
    (mean_a, deviation_a), (mean_b, deviation_b), (mean, deviation) = (
        moments(outputs(model, network, images, nn.Linear)["hidden.0"]) for network in (*ends, corrected)
    )
    assert torch.allclose(mean, (mean_a + mean_b) / 2, atol=1e-6)
    assert deviation[0] < 1e-6 and deviation[2] < 1e-6
    assert deviation[1] == pytest.approx(float(deviation_b[1]) / 2, rel=1e-4)
    assert torch.allclose(deviation[3:], (deviation_a + deviation_b)[3:] / 2, rtol=1e-4)


def test_nothing_to_correct():
    model, images = make("cnn", "layer", 4)
    assert repair.correction("none", model, [state(model)], images) is None
    assert repair.correction("reset", model, [state(model)], images) is None


@pytest.mark.parametrize("name", ["reset", "repair"])
def test_what_is_given_is_left_alone(name):
    model, images = make("cnn", "batch", 4)
    model.train()
    ends = [state(model, seed) for seed in range(2)]
    mixed = barrier.interpolate(ends, [0.5, 0.5])
    copies = [{key: value.clone() for key, value in each.items()} for each in (*ends, mixed, model.state_dict())]
    first, second = (repair.correction(name, model, ends, images)(mixed, [0.5, 0.5]) for _ in range(2))
    for copy, each in zip(copies, (*ends, mixed, model.state_dict()), strict=True):
        assert all(torch.equal(copy[key], each[key]) for key in copy)
    assert model.training
    assert all(torch.equal(first[key], second[key]) for key in first)
    assert all(first[key].shape == value.shape and first[key].dtype == value.dtype for key, value in mixed.items())


class Twice(nn.Module):
    """A hidden layer that is evaluated twice."""

    def __init__(self, norm):
        super().__init__()
        self.layer, self.norm, self.head = nn.Linear(4, 4), norm, nn.Linear(4, 3)

    def forward(self, x):
        for _ in range(2):
            x = F.relu(self.norm(self.layer(x)))
        return self.head(x)


class Tied(nn.Module):
    """Two layers with one weight."""

    def __init__(self):
        super().__init__()
        self.first, self.second, self.head = nn.Linear(4, 4), nn.Linear(4, 4), nn.Linear(4, 3)
        self.second.weight = self.first.weight

    def forward(self, x):
        return self.head(F.relu(self.second(F.relu(self.first(x)))))


class Masked(nn.Module):
    """A layer whose weight is computed from a parameter."""

    def __init__(self):
        super().__init__()
        self.weight, self.head = nn.Parameter(torch.ones(4, 4)), nn.Linear(4, 3)

    def forward(self, x):
        return self.head(F.relu(F.linear(x, 2 * self.weight)))


@pytest.mark.parametrize(
    ("model", "shape", "name", "message"),
    [
        (nn.Sequential(nn.Linear(4, 5, bias=False), nn.ReLU(), nn.Linear(5, 3)), (4,), "repair", "'0.weight'.*no bias"),
        (Twice(nn.Identity()), (4,), "repair", "'layer.bias'.*more than one place"),
        (Twice(nn.BatchNorm1d(4)), (4,), "reset", "'norm.bias'.*more than one place"),
        (Tied(), (4,), "repair", "'first.weight'.*more than one place"),
        (Masked(), (4,), "repair", "'weight'.*operation"),
        (Recurrent(), (1, 8, 8), "repair", "'cell.*operation"),
        (Residual(), (3, 8, 8), "repair", "'instance.weight'.*operation aten.native_batch_norm"),
        (Residual(), (3, 8, 8), "reset", "'instance.running_mean'.*operation aten.native_batch_norm"),
        (Attention(), (3, 8, 8), "repair", "'attention.in_proj_weight'.*operation aten.bmm"),
    ],
)
def test_what_cannot_be_corrected_is_named(model, shape, name, message):
    with pytest.raises(repair.RepairError, match=message):
        repair.correction(name, model, [state(model)], torch.randn(4, *shape))


def test_bad_arguments():
    model, images = make("mlp", "none", 4)
    network = state(model)
    with pytest.raises(ValueError, match="unknown correction 'fix': give one of none, reset, repair, task"):
        repair.correction("fix", model, [network], images)
    with pytest.raises(ValueError, match="at least 2 images, not 1"):
        repair.correction("repair", model, [network], images[:1])
    with pytest.raises(ValueError):
        repair.correction("repair", model, [network], images)(network, [0.5, 0.5])
    for expert in (None, 1, -1):
        with pytest.raises(ValueError, match=f"needs an expert among the 1 states, not {expert}"):
            repair.correction("task", model, [network], images, expert=expert)
    with pytest.raises(ValueError, match="correction 'repair' has no expert"):
        repair.correction("repair", model, [network], images, expert=0)


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """Two small networks with batch norm, trained on digits; the second aligned to the first."""
    dataset = data.load("digits")
    dataset = dataclasses.replace(
        dataset, train_images=dataset.train_images[:800], train_labels=dataset.train_labels[:800]
    )
    folder = tmp_path_factory.mktemp("trained")
    ends = []
    for seed in range(2):
        model = build("cnn", norm="batch", seed=seed)
        settings = train.Settings(epochs=10, lr=3e-3)
        files = {"checkpoints": {}, "table": folder / f"{seed}.csv", "work": folder / f"work{seed}"}
        train.train(model, dataset, settings, seed_address=("repair", seed), metadata={}, **files)
        ends.append({key: value.clone() for key, value in model.state_dict().items()})
    images, _ = dataset.tensors("train")
    sym = symmetry.discover(model, images[:2])
    ends[1] = sym.apply(match.activations(sym, *ends, model=model, images=images).permutation, ends[1])
    return model, ends, images, dataset.tensors("test")


def test_merged_batch_norm_networks_collapse_and_recover(trained):
    model, ends, images, test = trained
    accuracy = {}
    for name in ("none", "reset", "repair"):
        correct = repair.correction(name, model, ends, images)
        measured = barrier.measure(model, ends, barrier.line(3), {"test": test}, correct=correct)
        accuracy[name] = 1 - measured["test"].error
        assert accuracy[name][0] > 0.9 and accuracy[name][2] > 0.9
    assert accuracy["none"][1] < 0.5
    assert accuracy["reset"][1] > 0.7 and accuracy["repair"][1] > 0.7
    assert accuracy["repair"][[0, 2]] == pytest.approx(accuracy["none"][[0, 2]], abs=1e-6)


def test_the_centre_of_a_triangle_is_corrected(trained):
    model, ends, images, test = trained
    states = [*ends, ends[0]]
    weights = torch.tensor([[1 / 3, 1 / 3, 1 / 3], [2 / 3, 1 / 3, 0.0]])
    correct = repair.correction("reset", model, states, images)
    error = barrier.measure(model, states, weights, {"test": test}, correct=correct)["test"].error
    assert error[0] == pytest.approx(error[1], abs=1e-6)  # two names of one network
    assert error[0] < barrier.losses(model, states, weights, *test)[1][0] - 0.1


def test_calibration_helps_where_it_is_fitted_and_changes_no_error(trained):
    model, ends, images, (test_images, test_labels) = trained
    fit, rest = (test_images[:180], test_labels[:180]), (test_images[180:], test_labels[180:])
    splits, line = {"fit": fit, "rest": rest}, barrier.line(5)
    correct = repair.correction("reset", model, ends, images)
    measured = barrier.measure(model, ends, line, splits, correct=correct, held_out=fit)
    plain = barrier.measure(model, ends, line, splits, correct=correct)
    for name in splits:
        assert (measured[name].error == plain[name].error).all() and (measured[name].loss == plain[name].loss).all()
        assert plain[name].loss_calibrated is None
    assert (measured["fit"].loss_calibrated <= measured["fit"].loss + 1e-9).all()
    middle = measured["rest"]
    assert middle.loss_calibrated[2] < 0.9 * middle.loss[2]  # the logits of the merged network had shrunk
    network = correct(barrier.interpolate(ends, [0.5, 0.5]), [0.5, 0.5])
    scale = barrier.temperature(logits(model, network, fit[0]), fit[1])
    expected = F.cross_entropy(logits(model, network, rest[0]) / scale, rest[1])
    assert middle.loss_calibrated[2] == pytest.approx(float(expected), rel=1e-4)


@pytest.mark.parametrize(("margin", "right"), [(1.0, 0.9), (4.0, 0.75), (0.01, 0.6), (30.0, 0.55)])
def test_temperature_of_two_classes_is_known(margin, right):
    # Of images with logits ± margin / 2 a share is right: the probability of the larger logit must be that share.
    labels = (torch.arange(1000) >= 1000 * right).long()
    given = torch.tensor([[margin / 2, -margin / 2]]).repeat(1000, 1)
    expected = margin / math.log(right / (1 - right))
    assert barrier.temperature(given, labels) == pytest.approx(min(max(expected, 0.01), 100), rel=1e-6)


def test_temperature_is_the_best_of_a_grid():
    generator = torch.Generator().manual_seed(0)
    given = 3 * torch.randn(500, 10, generator=generator) + 100
    labels = torch.where(
        torch.rand(500, generator=generator) < 0.7, given.argmax(1), torch.randint(10, (500,), generator=generator)
    )
    best = min((k / 100 for k in range(5, 2000)), key=lambda t: F.cross_entropy(given.double() / t, labels).item())
    assert barrier.temperature(given, labels) == pytest.approx(best, abs=0.006)
    assert barrier.temperature(7 * given, labels) == pytest.approx(7 * barrier.temperature(given, labels), rel=1e-6)


def test_temperature_has_bounds():
    given = torch.tensor([[2.0, 0.0], [0.0, 1.0]])
    assert barrier.temperature(given, torch.tensor([0, 1])) == pytest.approx(0.01, rel=1e-3)
    assert barrier.temperature(given, torch.tensor([1, 0])) == pytest.approx(100, rel=1e-3)
    assert barrier.temperature(torch.zeros(2, 2), torch.tensor([0, 1])) > 0


def test_no_images_to_calibrate_on():
    model, images = make("mlp", "none", 4)
    labels = torch.zeros(60, dtype=torch.long)
    with pytest.raises(ValueError, match="no images"):
        barrier.measure(
            model, [state(model)], torch.ones(1, 1), {"all": (images, labels)}, held_out=(images[:0], labels[:0])
        )


@pytest.mark.cuda
@pytest.mark.parametrize(("family", "norm", "width"), MODELS)
def test_a_gpu_gives_the_same_corrections(family, norm, width):
    model, images = make(family, norm, width)
    ends = [state(model, seed) for seed in range(2)]
    mixed = barrier.interpolate(ends, [0.5, 0.5])
    there = [{key: value.cuda() for key, value in each.items()} for each in (*ends, mixed)]
    for name in ("reset", "repair"):
        here = repair.correction(name, model, ends, images)
        gpu = repair.correction(name, model.cuda(), there[:2], images.cuda())
        model.cpu()
        if here is None:
            assert gpu is None
            continue
        expected, found = here(mixed, [0.5, 0.5]), gpu(there[2], [0.5, 0.5])
        for key, value in expected.items():
            assert torch.allclose(found[key].cpu(), value, rtol=1e-2, atol=1e-2), key
