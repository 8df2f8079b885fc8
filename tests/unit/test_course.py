"""Networks that leave another one of their seed: by other batches, or perturbed and with the same ones."""

from dataclasses import asdict, replace

import pytest
import torch
from test_train import SMALL, blobs, network, run
from torch import nn

from onebasin import checkpoint, train
from onebasin.models import layers
from onebasin.train import batches as images_of
from onebasin.train.course import Course

pytestmark = pytest.mark.usefixtures("one_thread")

STEPS = 3  # of an epoch: batches of 16, 16 and 3 images
PERTURBATIONS = [(kind, share) for kind in ("gaussian", "gradient") for share in (1.0, 0.1, 0.0)]


class Dropping(nn.Module):
    """What a forward pass changes, batch norm, and what draws, dropout."""

    def __init__(self):
        super().__init__()
        self.first, self.norm, self.drop = nn.Linear(64, 5), nn.BatchNorm1d(5), nn.Dropout(0.3)
        self.head = nn.Linear(5, 3)

    def forward(self, x):
        return self.head(self.drop(self.norm(self.first(x.flatten(1))).relu()))


def dropping():
    torch.manual_seed(0)
    return Dropping()


def parameters(folder, epoch):
    state = checkpoint.load(folder / f"epoch{epoch}.safetensors")[0]
    return torch.cat([tensor.double().flatten() for tensor in state.values()])


def course(model, branch=None, settings=SMALL):
    images = images_of.Images(blobs(), "train", settings, torch.device("cpu"))
    return Course(images, settings.batch_size, (7, "net"), model, branch)


def moved(branch, model=None):
    """What a branch adds to the weights of a network, and to all else."""
    model = model or network()
    before = {key: tensor.clone() for key, tensor in model.state_dict().items()}
    list(course(model, branch).batches(branch.epoch + 1))
    weights = dict(layers.weights(model))
    found = {key: tensor - before[key] for key, tensor in model.state_dict().items()}
    return {k: v for k, v in found.items() if k in weights}, {k: v for k, v in found.items() if k not in weights}


@pytest.mark.parametrize(("kind", "share"), PERTURBATIONS)
@pytest.mark.parametrize("build", [network, dropping])
def test_a_perturbation_of_length_0_is_the_parent_bit_for_bit(tmp_path, kind, share, build):
    branch = train.Branch(1, "child", step=2, kind=kind, sigma=0.0, share=share)
    settings = replace(SMALL, augment="crop", crop_padding=1)
    run(tmp_path / "parent", settings, build())
    run(tmp_path / "child", settings, build(), branch=branch)
    for epoch in (0, 2, 4):
        files = [tmp_path / name / f"epoch{epoch}.safetensors" for name in ("parent", "child")]
        parent, child = (checkpoint.load(file)[0] for file in files)
        assert all(torch.equal(parent[key], child[key]) for key in parent)


@pytest.mark.parametrize("kind", train.KINDS)
@pytest.mark.parametrize(("epoch", "step"), [(0, 0), (0, 1), (1, 0), (0, STEPS + 1)])
def test_a_network_shares_every_step_before_it_leaves(tmp_path, kind, epoch, step):
    branch = train.Branch(epoch, "child", step=step, kind=kind, sigma=0.1)
    epochs = tuple(range(5))
    run(tmp_path / "parent", epochs=epochs)
    run(tmp_path / "child", epochs=epochs, branch=branch)
    whole = epoch + step // STEPS
    for epoch_of in epochs:
        same = torch.equal(parameters(tmp_path / "parent", epoch_of), parameters(tmp_path / "child", epoch_of))
        assert same == (epoch_of <= whole)


def test_it_leaves_before_the_step_that_it_names():
    model = network()
    batches = course(model, train.Branch(0, "child", step=2, kind="gaussian", sigma=0.1)).batches(1)
    before = next(model.parameters()).clone()
    next(batches), next(batches)
    assert torch.equal(before, next(model.parameters()))
    next(batches)
    assert not torch.equal(before, next(model.parameters()))


def test_batches_of_a_perturbed_network_are_those_of_its_parent():
    own, other = ([x for x, _ in course(network(), branch).batches(1)] for branch in (
        None, train.Branch(0, "child", step=1, kind="gradient", sigma=1.0)
    ))  # fmt: skip
    assert all(torch.equal(a, b) for a, b in zip(own, other, strict=True))


def test_other_batches_hold_the_rest_of_the_epoch_in_another_order():
    own = list(course(network()).batches(1))
    other = list(course(network(), train.Branch(0, "child", step=1)).batches(1))
    assert torch.equal(own[0][0], other[0][0]) and not torch.equal(own[1][0], other[1][0])
    rows = [sorted(map(tuple, torch.cat([x for x, _ in part]).flatten(1).tolist())) for part in (own, other)]
    assert rows[0] == rows[1]
    labels = [torch.cat([y for _, y in part]).bincount().tolist() for part in (own, other)]
    assert labels[0] == labels[1]


@pytest.mark.parametrize(("kind", "share"), PERTURBATIONS)
def test_weights_alone_are_perturbed_and_as_many_as_asked(kind, share):
    weights, rest = moved(train.Branch(0, "child", kind=kind, sigma=0.5, share=share), network("cnn", norm="layer"))
    assert not any(tensor.any() for tensor in rest.values())
    total = sum(tensor.numel() for tensor in weights.values())
    changed = sum(int((tensor != 0).sum()) for tensor in weights.values())
    wanted = max(1, round(share * total))
    # Weights that no gradient reaches stay.
    assert changed == wanted or (kind == "gradient" and 0 < changed <= wanted)


@pytest.mark.parametrize("kind", ["gaussian", "gradient"])
def test_a_perturbation_of_1_is_as_long_as_the_initial_weights(kind):
    model = network(width=40)
    initial = {key: weight.detach().clone() for key, weight in dict(layers.weights(model)).items()}
    weights, _ = moved(train.Branch(0, "child", kind=kind, sigma=1.0), model)
    lengths = [sum(float(tensor.square().sum()) for tensor in state.values()) ** 0.5 for state in (weights, initial)]
    assert lengths[0] == pytest.approx(lengths[1], rel=0.05 if kind == "gaussian" else 1e-4)
    if kind == "gaussian":
        for key in weights:
            assert weights[key].std() == pytest.approx(float(initial[key].square().mean().sqrt()), rel=0.15)


def test_a_perturbation_grows_with_sigma_and_a_larger_share_holds_a_smaller_one():
    small, large = (moved(train.Branch(0, "child", kind="gaussian", sigma=sigma))[0] for sigma in (0.001, 0.1))
    assert all(torch.allclose(100 * small[key], large[key], rtol=0.01, atol=1e-5) for key in small)
    one, some = (moved(train.Branch(0, "c", kind="gaussian", sigma=0.1, share=share))[0] for share in (0.0, 0.3))
    for key in one:
        assert torch.equal(one[key][one[key] != 0], some[key][one[key] != 0])


def test_an_interrupted_child_is_continued_to_the_same_bytes(tmp_path, monkeypatch):
    branch = train.Branch(2, "child", step=1, kind="gradient", sigma=0.1)
    run(tmp_path / "whole", branch=branch)
    given, epochs = Course.batches, []

    def stopping(self, epoch):
        epochs.append(epoch)
        if epochs == [1, 2, 3]:
            raise KeyboardInterrupt
        return given(self, epoch)

    monkeypatch.setattr(Course, "batches", stopping)
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path / "stopped", branch=branch)
    run(tmp_path / "stopped", branch=branch)
    assert epochs == [1, 2, 3, 3, 4], "it went on where it was"
    for epoch in (0, 2, 4):
        whole, stopped = ((tmp_path / name / f"epoch{epoch}.safetensors").read_bytes() for name in ("whole", "stopped"))
        assert whole == stopped


def test_checkpoints_say_how_a_network_left(tmp_path):
    for branch in (train.Branch(1, "child"), train.Branch(1, "child", kind="gaussian", sigma=0.1)):
        run(tmp_path, branch=branch)
        about = checkpoint.load(tmp_path / "epoch4.safetensors")[1]["branch"]
        assert about == ([1, "child"] if branch.kind == "order" else asdict(branch))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"kind": "noise"}, "branch kind must be one of order, gaussian, gradient, not 'noise'"),
        ({"step": -1}, "branch step must be at least 0, not -1"),
        ({"sigma": -0.1}, "branch sigma must be at least 0, not -0.1"),
        ({"share": 2}, r"branch share must be in \[0, 1\], not 2"),
    ],
)
def test_a_branch_that_makes_no_sense_is_refused(changes, message):
    with pytest.raises(ValueError, match=message):
        train.Branch(**{"epoch": 1, "name": "child"} | changes)


def test_a_step_behind_the_last_one_is_refused(tmp_path):
    with pytest.raises(train.TrainingError, match="step 12 after epoch 0 .* 4 epochs have 3 steps each"):
        run(tmp_path, branch=train.Branch(0, "child", step=12))
    run(tmp_path, branch=train.Branch(0, "child", step=11))
