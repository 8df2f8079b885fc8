"""A GPU gives what the CPU gives, within the tolerances stated here; without one the same tests run on the CPU."""

import copy

import numpy as np
import pytest
import torch
from networks import build, state

from onebasin import barrier, match, seeding, symmetry, train
from onebasin.data import Dataset
from onebasin.match import activation_matching, weight_matching
from onebasin.train import Settings

DEVICES = ["cpu", pytest.param("cuda", marks=pytest.mark.cuda)]
SHAPE = (3, 16, 16)
NETWORKS = {
    "mlp": {"family": "mlp", "width": 16},
    "cnn batch norm": {"family": "cnn", "width": 8, "norm": "batch"},
    "vgg16": {"family": "vgg16", "width": 4, "norm": "layer"},
    "resnet20": {"family": "resnet20", "width": 16, "norm": "layer"},
}
SGD = Settings(epochs=2, batch_size=16, optimizer="sgd", lr=0.02, momentum=0.9, weight_decay=1e-3)
AUGMENTED = {"augment": "flip_crop", "crop_padding": 2, "channels_last": True}

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(params=DEVICES)
def device(request):
    return request.param


@pytest.fixture
def float32(monkeypatch):
    """Convolutions on a GPU compute in TF32 unless told otherwise, whose 10 bits need other tolerances."""
    monkeypatch.setattr(torch.backends.cudnn, "allow_tf32", False)


def moved(tensors, device):
    return {key: value.to(device) for key, value in tensors.items()}


def pictures(count=64):
    return torch.randn(count, *SHAPE, generator=seeding.generator("pictures"))


def classes(count=64):
    return torch.randint(10, (count,), generator=seeding.generator("classes"))


def trained(folder, name, settings, device, mask=None):
    """The network before and after training, and the rows of its table."""
    generator = seeding.generator("images")
    images = torch.randint(256, (96, *SHAPE), generator=generator, dtype=torch.uint8)
    dataset = Dataset("random", images[:80], classes(80), images[80:], classes(16), 10)
    model = build(**NETWORKS[name], shape=SHAPE)
    before = copy.deepcopy(model.state_dict())
    table = folder / f"{device}.csv"
    train.train(
        model,
        dataset,
        settings,
        seed_address=("devices", name),
        checkpoints={},
        table=table,
        work=folder / "work",
        metadata={},
        device=device,
        mask=mask and mask(before),
    )
    rows = np.genfromtxt(table, delimiter=",", skip_header=1)[:, 1:-1]
    return before, {key: value.cpu() for key, value in model.state_dict().items()}, rows


def half(tensors):
    """A mask that prunes every second weight."""
    return {
        key: (torch.arange(value.numel()) % 2 == 0).view(value.shape)
        for key, value in tensors.items()
        if key.endswith("weight") and value.dim() > 1
    }


@pytest.mark.parametrize(
    ("name", "changes", "mask", "tolerance", "of_loss"),
    [
        ("mlp", {}, None, 1e-3, 1e-4),
        ("mlp", {"optimizer": "adam", "lr": 1e-3, "momentum": 0}, None, 1e-2, 1e-4),
        ("mlp", {"precision": "bfloat16", "lr": 0.005}, None, 0.2, 0.02),
        ("cnn batch norm", AUGMENTED, half, 1e-3, 1e-3),
        ("vgg16", AUGMENTED, None, 1e-2, 1e-3),
        # Units that rounding takes over the kink of a ReLU: changing the start by 1e-6 of it moves the end by 0.01.
        ("resnet20", AUGMENTED, None, 0.05, 0.02),
        ("resnet20", {**AUGMENTED, "precision": "bfloat16"}, None, 0.3, 0.05),
    ],
)
def test_training_goes_where_it_goes_on_the_cpu(tmp_path, device, float32, name, changes, mask, tolerance, of_loss):
    settings = Settings(**{**vars(SGD), **changes})
    before, here, expected = trained(tmp_path, name, settings, "cpu", mask)
    _, there, found = trained(tmp_path, name, settings, device, mask)

    def distance(one, other):
        return sum(float((one[key].double() - other[key].double()).square().sum()) for key in one) ** 0.5

    assert distance(here, there) <= tolerance * distance(here, before)
    np.testing.assert_allclose(found[:, [1, 3]], expected[:, [1, 3]], rtol=of_loss)  # losses of training and test
    np.testing.assert_allclose(found[:, [2, 4]], expected[:, [2, 4]], atol=2 / 16)  # errors, two test images
    for key, kept in (mask(before) if mask else {}).items():
        assert not there[key][~kept].any()


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize(("tf32", "tolerance"), [(False, 1e-4), (True, 1e-2)])
def test_mixtures_lose_what_they_lose_on_the_cpu(device, monkeypatch, name, tf32, tolerance):
    monkeypatch.setattr(torch.backends.cudnn, "allow_tf32", tf32)
    model = build(**NETWORKS[name], shape=SHAPE)
    ends = [state(model, seed) for seed in range(2)]
    images, labels = pictures(), classes()
    arguments = [(model, ends, images, labels)]
    model_there = copy.deepcopy(model).to(device)
    arguments.append((model_there, [moved(end, device) for end in ends], images.to(device), labels.to(device)))
    expected, found = (
        barrier.measure(model, ends, barrier.line(5), {"all": (x, y)}, batch_size=24, held_out=(x[:32], y[:32]))["all"]
        for model, ends, x, y in arguments
    )
    np.testing.assert_allclose(found.loss, expected.loss, rtol=tolerance)
    np.testing.assert_allclose(found.loss_calibrated, expected.loss_calibrated, rtol=10 * tolerance)
    np.testing.assert_allclose(found.error, expected.error, atol=1 / 64 if not tf32 else 4 / 64)


class Pair:
    """A network and its permuted copy with a little noise, on the CPU and on a device."""

    def __init__(self, name, device):
        self.model = build(**NETWORKS[name], shape=SHAPE)
        self.symmetry = symmetry.discover(self.model, pictures(2))
        a = state(self.model, seed=3)
        # no dead units
        a = {key: value.abs() + 0.5 if key.endswith("bias") else value for key, value in a.items()}
        planted = self.symmetry.random(seeding.generator("planted"))
        noise = seeding.generator("noise")
        b = {
            key: value + 1e-3 * torch.randn(value.shape, generator=noise) if value.is_floating_point() else value
            for key, value in self.symmetry.apply(planted, a).items()
        }
        self.states = a, b
        self.answer = planted.inverse()
        self.model_there = copy.deepcopy(self.model).to(device)
        self.states_there = [moved(each, device) for each in self.states]


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("kernel", weight_matching.KERNELS)
def test_weights_match_as_on_the_cpu(device, float32, name, kernel):
    pair = Pair(name, device)
    options = {"kernel": kernel, "restarts": 2}
    here = match.weights(pair.symmetry, *pair.states, model=pair.model, images=pictures(), **options)
    there = match.weights(
        pair.symmetry, *pair.states_there, model=pair.model_there, images=pictures().to(device), **options
    )
    assert there.permutation == here.permutation == pair.answer
    assert there.objective == pytest.approx(here.objective, rel=1e-4)


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("kernel", activation_matching.KERNELS)
def test_activations_match_as_on_the_cpu(device, float32, name, kernel):
    pair = Pair(name, device)
    options = {"kernel": kernel, "intermediate": "all", "batch_size": 24}
    here = match.activations(pair.symmetry, *pair.states, model=pair.model, images=pictures(), **options)
    there = match.activations(
        pair.symmetry, *pair.states_there, model=pair.model_there, images=pictures().to(device), **options
    )
    assert there.permutation == here.permutation == pair.answer
    assert there.objective == pytest.approx(here.objective, rel=1e-3)


@pytest.mark.parametrize("method", ["merge_many", "universe", "sinkhorn"])
@pytest.mark.parametrize("similarity", ["weights", "activations"])
def test_frames_are_as_good_as_on_the_cpu(device, float32, method, similarity):
    model = build(**NETWORKS["mlp"], shape=SHAPE)
    sym = symmetry.discover(model, pictures(2))
    here = {seed: state(model, seed) for seed in range(3)}
    there = {seed: moved(tensors, device) for seed, tensors in here.items()}
    images, labels = pictures(200), classes(200)
    learned = {"steps": 30, "lr": 0.2, "exchanges": 5, "batch_size": 64} if method == "sinkhorn" else {}
    find = match.FRAMES[method]

    def frame(model, states, device):
        given = {**learned, "labels": labels.to(device)} if learned else {}
        return find(sym, states, model=model, images=images.to(device), similarity=similarity, **given)

    expected = frame(model, here, "cpu")
    found = frame(copy.deepcopy(model).to(device), there, device)
    for seed, permutation in found.permutations.items():
        symmetry.check(model, sym, permutation, here[seed], images[:8])
    totals = [sum(one.objectives.values()) for one in (expected, found)]
    assert totals[1] == pytest.approx(totals[0], rel=5e-2 if learned else 1e-3)
