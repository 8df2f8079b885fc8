"""Text as a data set, and networks whose labels have positions."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

from onebasin import barrier, data, match, models, seeding, symmetry, train
from onebasin.data import DataError, Dataset, text
from onebasin.landscape import evaluate
from onebasin.models import factory
from onebasin.study import network
from onebasin.train import loop

pytestmark = pytest.mark.usefixtures("one_thread")

CONTEXT, CLASSES = 6, 5


class Model(nn.Module):
    """A table of the logits of the next byte, after a layer of hidden units."""

    def __init__(self, classes=CLASSES, width=7):
        super().__init__()
        self.embedding, self.hidden, self.head = (
            nn.Embedding(classes, width),
            nn.Linear(width, width),
            nn.Linear(width, classes),
        )

    def forward(self, x):
        return self.head(self.hidden(self.embedding(x)).relu()).movedim(-1, 1)


def letters(pieces=20):
    """Texts of few letters in which each letter goes with the next one, more often than not."""
    draws = torch.rand(2, pieces * CONTEXT + 1, generator=seeding.generator("letters"))
    train_bytes, test_bytes = ((torch.arange(pieces * CONTEXT + 1) + (part > 0.8)) % CLASSES for part in draws)

    def cut(values):
        return values[:-1].to(torch.uint8).reshape(-1, CONTEXT), values[1:].reshape(-1, CONTEXT)

    return Dataset("letters", *cut(train_bytes), *cut(test_bytes), CLASSES)


def flattened(dataset):
    """The same data set with one byte and one label a piece, in the same order."""
    changes = {
        f"{split}_{part}": tensor.reshape(-1, 1)
        for split in dataset.splits
        for part, tensor in zip(("images", "labels"), dataset.raw(split), strict=True)
    }
    return replace(dataset, **changes)


def model_of(seed, **options):
    torch.manual_seed(seed)
    return Model(**options)


def test_every_byte_has_the_next_one_as_its_label_and_test_text_is_apart():
    dataset = text.dataset("bytes", [bytes(range(100)), bytes(range(100, 150))], 8)
    assert (dataset.classes, dataset.context, dataset.image_shape) == (256, 8, (8,))
    parts = {"train": [*range(80), *range(100, 140)], "test": [*range(80, 100), *range(140, 150)]}
    for split, part in parts.items():
        size = (len(part) - 1) // 8 * 8
        inputs, labels = dataset.raw(split)
        assert inputs.shape == labels.shape == (size // 8, 8)
        assert inputs.flatten().tolist() == part[:size] and labels.flatten().tolist() == part[1 : size + 1]
    inputs, labels = dataset.tensors("train", limit=3)
    assert inputs.dtype == labels.dtype == torch.int64 and torch.equal(inputs, dataset.train_images[:3].long())


def test_the_text_that_comes_with_python():
    dataset = data.load("pydoc", context=32)
    assert len(dataset.train_images) > 5 * 1000 and dataset.train_images.shape[1] == 32
    assert 0.24 < len(dataset.test_images) / len(dataset.train_images) < 0.26
    assert data.load("pydoc", context=32).digest == dataset.digest != data.load("pydoc", context=32, seed=1).digest
    assert not torch.equal(dataset.train_labels[0, -1:], dataset.train_images[1, :1].long())  # in a random order


def test_a_folder_of_text_in_any_encoding(tmp_path):
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "two.TXT").write_bytes(bytes([255, 254, 0, 9]) * 20)
    (tmp_path / "one.txt").write_bytes("ä→".encode("utf-16") * 20)
    (tmp_path / "notes.md").write_text("not read")
    (tmp_path / ".hidden.txt").write_text("not read")
    dataset = data.load("text_folder", tmp_path, context=4)
    assert int(dataset.train_images.max()) == 255 and dataset.classes == 256
    # What the training text lacks may be in the test text.
    (tmp_path / "one.txt").write_bytes(b"a" * 80 + b"z" * 20)
    other = data.load("text_folder", tmp_path, context=4)
    assert other.digest != dataset.digest and ord("z") in other.test_labels and ord("z") not in other.train_labels
    model_of(0, classes=256)(other.tensors("test")[0])
    data.save(other, tmp_path / "data.safetensors")
    opened = data.open_(tmp_path / "data.safetensors")
    assert opened.digest == other.digest and opened.context == 4


def test_bad_texts_are_one_readable_line(tmp_path):
    def refused(message, **options):
        with pytest.raises(ValueError) as caught:
            data.load("text_folder", tmp_path, **options)
        assert message in str(caught.value) and "\n" not in str(caught.value)

    refused("holds no text: give a folder of files whose names end in .txt")
    (tmp_path / "a.txt").touch()
    refused("text_folder has 0 bytes of text to train on and 0 to test on, and a context of 64 needs one more")
    (tmp_path / "a.txt").write_text("0123456789")
    refused("8 bytes of text to train on and 2 to test on, and a context of 2 needs one more", context=2)
    assert len(data.load("text_folder", tmp_path, context=1).test_images) == 1
    refused("context must be an integer of at least 1, not 0", context=0)
    (tmp_path / "b.txt").symlink_to("nothing")
    refused("b.txt cannot be read (No such file or directory): repair or remove it")


def test_text_is_held_out_by_pieces_and_not_varied():
    dataset = data.hold_out(letters(), 0.25)
    assert [len(dataset.raw(split)[1]) for split in dataset.splits] == [15, 20, 5]
    with pytest.raises(DataError, match="letters is text, of which there is no variant 'inverted'"):
        data.vary(dataset, "inverted")
    with pytest.raises(DataError, match="label_noise: letters is text, where no label can be wrong: give 0"):
        data.mislabel(dataset, 0.1, 0)
    with pytest.raises(DataError, match="training and test images of letters differ in type"):
        replace(letters(), train_labels=letters().train_labels[:, 0])


def test_losses_are_means_over_all_labels():
    states = [model_of(seed).state_dict() for seed in (1, 2)]
    pieces, single = letters(), flattened(letters())
    measured = []
    for dataset in (pieces, single):
        splits = {split: dataset.tensors(split) for split in dataset.splits}
        held_out = dataset.tensors("train")
        weights = barrier.grid(2, 4)
        measured.append(
            evaluate.measure(Model(), states, weights, splits, batch_size=len(held_out[0]), held_out=held_out)
        )
    for split, values in measured[0].items():
        for metric in ("loss", "error", "loss_calibrated"):
            np.testing.assert_allclose(getattr(values, metric), getattr(measured[1][split], metric), rtol=1e-5)
        assert values.loss[0] > 0 and (values.error > 0).all() and (values.error < 1).all()
    network_a, (inputs, labels) = model_of(1), pieces.tensors("test")
    logits = network_a(inputs).detach()
    assert measured[0]["test"].loss[-1] == pytest.approx(float(functional.cross_entropy(logits, labels)), rel=1e-5)
    assert measured[0]["test"].error[-1] == pytest.approx(float((logits.argmax(1) != labels).double().mean()))


@pytest.mark.parametrize("held", [loop._HELD_OUTPUTS, 40])
def test_training_on_pieces_is_training_on_bytes(tmp_path, monkeypatch, held):
    """With all pieces in one step, the order of the bytes changes nothing but the rounding of sums."""
    monkeypatch.setattr(loop, "_HELD_OUTPUTS", held)
    rows = []
    for dataset in (letters(), flattened(letters())):
        model = model_of(3)
        train.train(
            model,
            dataset,
            train.Settings(epochs=5, batch_size=len(dataset.train_labels), lr=0.02),
            seed_address=("text",),
            checkpoints={5: tmp_path / "last.safetensors"},
            table=tmp_path / "training.csv",
            work=tmp_path / "work",
            metadata={},
        )
        table = np.loadtxt(tmp_path / "training.csv", delimiter=",", skiprows=1)
        rows.append(table[:, 2:6])
        logits, labels = model(dataset.tensors("test")[0]).detach(), dataset.test_labels
        assert table[-1, 4] == pytest.approx(float(functional.cross_entropy(logits, labels)), rel=1e-5)
        assert table[-1, 5] == pytest.approx(float((logits.argmax(1) != labels).double().mean()))
    np.testing.assert_allclose(*rows, rtol=1e-4)
    assert rows[0][-1, 2] < rows[0][0, 2] < math.log(2 * CLASSES)


def test_a_loss_that_is_not_finite_names_the_step(tmp_path):
    with pytest.raises(train.TrainingError, match="in epoch 1, step [2-5] of 5: lower lr"):
        train.train(
            model_of(3),
            letters(),
            train.Settings(epochs=1, batch_size=4, lr=1e30, optimizer="sgd"),
            seed_address=("text",),
            checkpoints={},
            table=tmp_path / "training.csv",
            work=tmp_path / "work",
            metadata={},
        )


@pytest.mark.parametrize("setting", [{"augment": "flip"}, {"channels_last": True}])
def test_what_is_done_to_images_is_refused_for_text(tmp_path, setting):
    with pytest.raises(ValueError, match="letters is text: augment must be none, and channels_last false"):
        train.train(
            model_of(3),
            letters(),
            train.Settings(epochs=1, **setting),
            seed_address=("text",),
            checkpoints={},
            table=tmp_path / "training.csv",
            work=tmp_path / "work",
            metadata={},
        )


def test_frames_are_found_through_the_loss_of_text():
    states = {seed: model_of(seed).state_dict() for seed in range(3)}
    images, labels = letters().tensors("train")
    found = symmetry.discover(Model(), images[:2])
    given = {"model": Model(), "images": images, "labels": labels}
    frame = match.sinkhorn(found, states, **given, similarity="weights", steps=3, batch_size=4)
    assert frame.permutations.keys() == states.keys() and all(-10 < value < 0 for value in frame.objectives.values())


NET = """
from torch import nn


class Net(nn.Module):
    def __init__(self, width, context, classes, positions):
        super().__init__()
        self.context, self.positions = context, positions
        self.layers = nn.Sequential(nn.Embedding(classes, width), nn.Linear(width, classes))

    def forward(self, x):
        assert x.shape[1] == self.context
        return self.layers(x).mT[..., : self.positions]


def build(width, context, classes, positions=None):
    return Net(width, context, classes, positions)


def of_images(width, image_shape, classes):
    return nn.Identity()
"""


def test_a_function_of_the_users_gets_the_context(tmp_path, monkeypatch):
    (tmp_path / "net_of_text.py").write_text(NET)
    monkeypatch.syspath_prepend(str(tmp_path))

    def build(function="build", dataset=None, **options):
        return network.build({"factory": f"net_of_text:{function}", "options": options}, 3, dataset or letters())

    assert build().context == CONTEXT
    for message, arguments in (
        (r"for 2 pieces of text the model gives \[2, 5, 1\], expected \[2, 5, 6\]", {"positions": 1}),
        ("called with width, classes: missing a required argument: 'image_shape'", {"function": "of_images"}),
        ("called with width, classes: missing a required argument: 'context'", {"dataset": data.load("digits")}),
    ):
        with pytest.raises(factory.FactoryError, match=message):
            build(**arguments)
    with pytest.raises(ValueError, match=r"image_shape must be \(channels, height, width\), not \(6,\)"):
        models.build("mlp", width=3, image_shape=letters().image_shape, classes=CLASSES)
