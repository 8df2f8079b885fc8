"""A file of the user's own: images and labels, and what networks see of them."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torchvision.transforms import functional

from onebasin import data, models, seeding, train
from onebasin.data import DataError, file
from onebasin.train.batches import Images
from workflow import data_file


def parts(images=None, count=40):
    """Images of 3 channels, and labels 0 to 4 by turns."""
    generator = torch.Generator().manual_seed(0)
    images = torch.randint(256, (count, 3, 6, 4), generator=generator) if images is None else images
    images, labels = images.to(torch.uint8) if not images.is_floating_point() else images, torch.arange(count) % 5
    return {
        "train_images": images[:30],
        "train_labels": labels[:30].to(torch.int16),
        "test_images": images[30:],
        "test_labels": labels[30:],
    }


def floats(*shape):
    return torch.randn(40, *shape, generator=torch.Generator().manual_seed(1), dtype=torch.float64)


def write(path, tensors):
    if path.suffix == ".npz":
        np.savez(path, **{key: tensor.numpy() for key, tensor in tensors.items()})
    elif path.suffix == ".pt":
        torch.save(tensors, path)
    else:
        save_file(tensors, path)
    return path


@pytest.mark.parametrize("suffix", ["npz", "pt", "safetensors"])
def test_a_file_is_read_as_it_was_written(tmp_path, suffix):
    path = write(tmp_path / f"x.{suffix}", parts())
    dataset = data.load("file", path=path)
    assert torch.equal(dataset.train_images, parts()["train_images"])
    assert dataset.test_labels.tolist() == [*range(5)] * 2 and dataset.test_labels.dtype == torch.int64
    assert (dataset.name, dataset.classes, dataset.image_shape) == ("file", 5, (3, 6, 4))
    assert data_file.shapes(path) == {key: tuple(tensor.shape) for key, tensor in parts().items()}
    moved = write(tmp_path / f"other.{suffix}", parts())
    assert data.load("file", path=moved).digest == dataset.digest


def test_images_without_a_split_are_split_by_class_and_seed():
    whole = {"images": np.arange(40 * 64, dtype=">u2").reshape(40, 1, 8, 8) % 256, "labels": np.repeat(range(4), 10)}
    dataset, again, other = (file.dataset("x", whole, seed) for seed in (1, 1, 2))
    assert torch.bincount(dataset.test_labels).tolist() == [2] * 4 and len(dataset.train_labels) == 32
    assert dataset.digest == again.digest != other.digest and dataset.train_images.dtype == torch.uint8
    assert len(dataset.train_labels[:8].unique()) > 2  # what lies class by class is mixed


def test_what_is_given_is_kept_in_its_order():
    dataset = file.dataset(
        "x", {**parts(), "held_out_images": parts()["test_images"], "held_out_labels": np.zeros(10, dtype=int)}
    )
    assert dataset.splits == ("train", "test", "held_out")
    assert torch.equal(dataset.train_labels, parts()["train_labels"].long())


def test_networks_see_what_torchvision_makes_of_the_same_bytes():
    dataset = file.dataset("x", parts())
    image = parts()["train_images"][0].permute(1, 2, 0).numpy()
    plain = replace(dataset, normalisation="none").tensors("train")[0][0]
    assert torch.equal(plain, functional.to_tensor(image))
    mean, std = [0.5, 0.4, 0.3], [0.2, 0.3, 0.4]
    own = replace(dataset, normalisation={"mean": mean, "std": std}).tensors("train")[0][0]
    assert torch.allclose(own, functional.normalize(functional.to_tensor(image), mean, std), atol=1e-6)
    same = replace(dataset, normalisation={"mean": 0.5, "std": 0.5}).tensors("train")[0][0]
    assert torch.allclose(same, 2 * plain - 1, atol=1e-6)


@pytest.mark.parametrize("shape", [(7,), (3, 6, 4), (2, 5)])
def test_floats_of_any_shape_stay_as_they_are_or_are_scaled_by_channel(tmp_path, shape):
    dataset = file.dataset("x", parts(floats(*shape)))
    raw = floats(*shape)[:30].float()
    plain = replace(dataset, normalisation="none")
    assert torch.equal(plain.tensors("train")[0], raw) and torch.equal(dataset.train_images, raw)
    assert dataset.normalisation == "none" and file.dataset("x", parts()).normalisation == "channels"
    dataset = replace(dataset, normalisation="channels")
    scaled = dataset.tensors("train")[0].transpose(0, 1).flatten(1)
    assert torch.allclose(scaled.mean(1), torch.zeros(shape[0]), atol=1e-6)
    assert torch.allclose(scaled.std(1, correction=0), torch.ones(shape[0]), atol=1e-6)
    assert torch.equal(dataset.train_images, raw)
    own = replace(dataset, normalisation={"mean": 1, "std": 2})
    assert torch.allclose(own.tensors("train")[0], (raw - 1) / 2)
    digests = {each.digest for each in (dataset, plain, own, replace(own, normalisation={"mean": 1, "std": 3}))}
    assert len(digests) == 4
    for each in (dataset, plain, own):
        data.save(each, tmp_path / "x")
        opened = data.open_(tmp_path / "x")
        assert opened.digest == each.digest and opened.normalisation == each.normalisation


def test_floats_are_varied_held_out_and_augmented():
    dataset = file.dataset("x", parts(floats(3, 4, 4)))
    inverted = data.vary(dataset, "inverted").train_images + dataset.train_images
    assert torch.allclose(inverted, inverted.flatten()[0].expand_as(inverted), atol=1e-5)
    assert torch.equal(data.vary(dataset, "rotated").test_images, dataset.test_images.rot90(1, (2, 3)))
    with pytest.raises(DataError, match="not square"):
        data.vary(file.dataset("x", parts(floats(7))), "rotated")
    assert len(data.hold_out(dataset, 0.1).held_out_labels) == 3
    settings = train.Settings(epochs=1, augment="flip", lr=0.1)
    plain = replace(dataset, normalisation="none")
    order, generator = torch.arange(30), seeding.generator("flips")
    (flipped,) = Images(plain, "train", settings, torch.device("cpu")).shuffled(order, 30, generator)
    known = plain.train_images
    assert all(torch.equal(a, b) or torch.equal(a, b.flip(2)) for a, b in zip(flipped, known, strict=True))
    with pytest.raises(ValueError, match=r"x is of shape \[7\]: augment must be none"):
        Images(file.dataset("x", parts(floats(7))), "train", settings, torch.device("cpu"))


def test_training_sees_what_measurements_see(tmp_path):
    dataset = replace(file.dataset("x", parts()), normalisation="none")
    images = Images(dataset, "train", train.Settings(epochs=1, lr=0.1), torch.device("cpu"))
    assert torch.equal(torch.cat(list(images.in_order(7))), dataset.tensors("train")[0])
    model = models.build("mlp", width=4, image_shape=dataset.image_shape, classes=dataset.classes)
    files = {"checkpoints": {1: tmp_path / "a"}, "table": tmp_path / "b", "work": tmp_path / "c"}
    train.train(model, dataset, train.Settings(epochs=1, lr=0.1), seed_address=("x",), metadata={}, **files)
    assert torch.equal(dataset.train_images, parts()["train_images"])


def test_text_of_tokens_is_told_by_its_labels():
    tokens = torch.arange(40 * 6).reshape(40, 6) % 300
    dataset = file.dataset("x", {"images": tokens, "labels": (tokens + 1) % 300})
    assert (dataset.context, dataset.classes, len(dataset.test_labels)) == (6, 241, 8)
    assert torch.equal(dataset.tensors("train")[0], dataset.train_images)
    with pytest.raises(DataError, match="x is text: normalise none"):
        replace(dataset, normalisation={"mean": 0, "std": 1})


LABELS = torch.arange(40) % 5
WRONG = {
    "channels last": (
        {"images": torch.rand(40, 8, 8, 3)},
        r"shape \[40, 8, 8, 3\], channels last: give images.permute",
    ),
    "no channels": ({"images": torch.arange(40 * 64).reshape(40, 8, 8) % 256}, r"one channel is images\[:, None\]"),
    "infinite": ({"images": torch.full((40, 3), torch.inf).index_fill(0, torch.tensor(0), 0)}, "are not finite"),
    "no number": ({"images": torch.full((40, 3), torch.nan)}, "hold numbers that are not finite"),
    "constant": ({"images": torch.ones(40, 1, 8, 8)}, "images hold nothing but 1"),
    "too large": ({"images": torch.arange(40 * 16).reshape(40, 1, 4, 4)}, "images are int64 from 0 to 639: give bytes"),
    "words": ({"images": np.array(["a"] * 40)}, "images are <U1: give an array of numbers"),
    "no image": ({"images": torch.rand(0, 3)}, r"images have shape \[0, 3\]: give at least one"),
    "labels with a fraction": ({"labels": torch.rand(40)}, "labels are float32: give whole numbers"),
    "labels from 1": ({"labels": LABELS + 1}, "the least label is 1: give whole numbers from 0"),
    "negative labels": ({"labels": LABELS - 1}, "the least label is -1"),
    "one hot": ({"labels": torch.eye(5)[LABELS].long()}, r"give one class an image"),
    "fewer labels": ({"labels": LABELS[:20]}, "there are 40 images and 20 labels: give as many"),
    "other names": ({"x": LABELS}, "it holds images, labels, x: give train_images, train_labels"),
}


@pytest.mark.parametrize("wrong", WRONG)
def test_what_is_no_data_set_is_refused_in_one_line(wrong):
    change, message = WRONG[wrong]
    with pytest.raises(DataError, match=message) as caught:
        file.dataset("x", {"images": torch.rand(40, 3), "labels": LABELS, **change})
    assert "\n" not in str(caught.value)


def test_files_that_cannot_be_read_are_refused_in_one_line(tmp_path):
    torch.save(torch.nn.Linear(2, 2), tmp_path / "pickle.pt")
    torch.save([1, 2], tmp_path / "list.pt")
    np.savez(tmp_path / "object.npz", images=np.array([{}], dtype=object))
    (tmp_path / "text.pt").write_text("no tensors")
    for name, message in (
        ("pickle.pt", "holds no tensors that can be read without running code"),
        ("list.pt", "holds a list: give a dictionary with train_images"),
        ("object.npz", "holds no tensors that can be read without running code"),
        ("text.pt", "holds no tensors that can be read without running code"),
        ("gone.pt", "gone.pt cannot be read: No such file or directory"),
    ):
        with pytest.raises(DataError, match=message) as caught:
            data.load("file", path=tmp_path / name)
        assert "\n" not in str(caught.value) and name in str(caught.value)
        assert data_file.shapes(tmp_path / name) == {} or name in ("list.pt", "object.npz")
    with pytest.raises(DataError, match="file needs path"):
        data.load("file")
