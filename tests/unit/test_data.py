import dataclasses
import itertools
import os
import pickle
import struct
import urllib.error

import numpy
import pytest
import torch

from onebasin import data, seeding
from onebasin.data import DataError, Dataset, image_folder
from onebasin.files import FileError, save_tensors


@pytest.fixture(scope="module")
def digits():
    return data.load("digits")


def small(**changes):
    images = torch.arange(4 * 2 * 3 * 3, dtype=torch.uint8).reshape(4, 2, 3, 3)
    parts = {
        "name": "small",
        "train_images": images,
        "train_labels": torch.tensor([0, 1, 2, 1]),
        "test_images": images[:2],
        "test_labels": torch.tensor([2, 0]),
        "classes": 3,
    }
    return Dataset(**(parts | changes))


def test_digits_are_split_by_class(digits):
    assert digits.train_images.shape == (1437, 1, 8, 8)
    assert digits.test_images.shape == (360, 1, 8, 8)
    assert digits.train_images.dtype == torch.uint8
    assert (digits.classes, digits.image_shape) == (10, (1, 8, 8))
    assert torch.bincount(digits.test_labels).tolist() == [36, 37, 35, 37, 36, 36, 36, 36, 35, 36]
    assert digits.digest == "154ad2e530129bfa57bf1cdcf4af730cfef5f1dea84eae0719da6c463516d9d6"


def test_digits_are_whole_and_depend_on_the_seed(digits):
    from sklearn.datasets import load_digits

    def rows(dataset):
        images = torch.cat([dataset.train_images, dataset.test_images]).flatten(1)
        labels = torch.cat([dataset.train_labels, dataset.test_labels])
        return sorted(map(tuple, torch.cat([images, labels[:, None]], 1).tolist()))

    bunch = load_digits()
    assert rows(digits) == sorted(map(tuple, numpy.column_stack([bunch.data, bunch.target]).astype(int).tolist()))
    assert data.load("digits", seed=0).digest == digits.digest
    other = data.load("digits", seed=1)
    assert other.digest != digits.digest
    assert rows(other) == rows(digits)


def test_stratified_split_is_exact_and_disjoint():
    labels = torch.tensor([0] * 10 + [1] * 7 + [2] * 3)
    first, second = data.stratified_split(labels, 0.25, seeding.generator(0))
    assert len(second) == 5
    assert sorted(first.tolist() + second.tolist()) == list(range(20))
    counts = torch.bincount(labels[second], minlength=3).tolist()
    assert all(abs(count - 0.25 * size) < 1 for count, size in zip(counts, [10, 7, 3], strict=True))


def test_normalisation_uses_training_images_alone(digits):
    images, labels = digits.tensors("train")
    assert images.dtype == torch.float32
    assert abs(images.mean()) < 1e-5 and abs(images.std(unbiased=False) - 1) < 1e-5
    assert torch.equal(labels, digits.train_labels)
    raw = digits.train_images.double()
    test, _ = digits.tensors("test", limit=7)
    assert torch.allclose(test.double(), (digits.test_images[:7].double() - raw.mean()) / raw.std(unbiased=False))
    assert torch.equal(digits.tensors("train", limit=5)[0], images[:5])
    colour = small()
    expected = colour.train_images.double()
    assert torch.allclose(colour.mean.double(), expected.mean((0, 2, 3)))
    assert torch.allclose(colour.std.double(), expected.std((0, 2, 3), unbiased=False))


def test_held_out_images_are_those_that_training_loses(tmp_path, digits):
    assert data.hold_out(digits, 0) is digits and digits.splits == ("train", "test")
    less = data.hold_out(digits, 0.1)
    images, labels = less.raw("held_out")
    assert less.splits == ("train", "test", "held_out")
    assert (len(digits.train_images), len(less.train_images), len(images)) == (1437, 1293, 144)
    parts = torch.cat([less.train_images, images]).flatten(1), torch.cat([less.train_labels, labels])
    whole = digits.train_images.flatten(1), digits.train_labels
    pairs = [
        sorted((image.tobytes(), int(label)) for image, label in zip(x.numpy(), y, strict=True))
        for x, y in (parts, whole)
    ]
    assert pairs[0] == pairs[1]
    share = torch.bincount(labels) / torch.bincount(digits.train_labels)
    assert share.min() > 0.09 and share.max() < 0.11
    assert torch.equal(less.test_images, digits.test_images)
    again = data.hold_out(digits, 0.1)
    assert again.digest == less.digest != digits.digest
    data.save(less, tmp_path / "data.safetensors")
    opened = data.open_(tmp_path / "data.safetensors")
    assert opened.splits == less.splits and opened.digest == less.digest
    assert opened.tensors("held_out")[0].dtype == torch.float32
    with pytest.raises(ValueError, match="unknown split 'held_out': give one of train, test"):
        digits.raw("held_out")
    with pytest.raises(data.DataError, match="train images"):
        data.hold_out(digits, 1)


def test_wrong_labels_are_as_many_as_asked_and_of_training_images_alone(digits):
    assert data.mislabel(digits, 0, 0) is digits
    less = data.hold_out(digits, 0.1)
    noisy = data.mislabel(less, 0.3, 0)
    wrong = noisy.train_labels != less.train_labels
    assert int(wrong.sum()) == round(0.3 * 1293) and torch.equal(noisy.train_images, less.train_images)
    for split in ("test", "held_out"):
        assert all(torch.equal(one, two) for one, two in zip(noisy.raw(split), less.raw(split), strict=True))
    away = (noisy.train_labels - less.train_labels)[wrong] % 10
    assert torch.bincount(away, minlength=10)[1:].min() > 20, "every other class is as likely"
    assert data.mislabel(less, 0.3, 0).digest == noisy.digest != data.mislabel(less, 0.3, 1).digest
    assert (data.mislabel(digits, 1, 0).train_labels != digits.train_labels).all()


def test_constant_channel_is_centred_and_not_scaled():
    images = torch.full((4, 1, 2, 2), 9, dtype=torch.uint8)
    dataset = small(train_images=images, test_images=images[:2])
    assert not dataset.tensors("train")[0].any()


def test_data_set_survives_its_file(tmp_path, digits):
    data.save(digits, tmp_path / "one")
    again = data.open_(tmp_path / "one")
    assert again.digest == digits.digest
    assert (again.name, again.classes) == ("digits", 10)
    data.save(again, tmp_path / "two")
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()


def test_incomplete_file_is_named(tmp_path):
    save_tensors(tmp_path / "x", {"train_images": torch.zeros(1)}, {"name": "a", "classes": 2}, "dataset")
    with pytest.raises(FileError, match="x lacks a part of a data set"):
        data.open_(tmp_path / "x")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"train_images": torch.zeros(4, 2, 3, 3).double()}, "train images of small must be uint8"),
        ({"train_images": torch.zeros(4, 2, 3, 3)}, "differ in type"),
        (
            {"train_images": torch.full((4, 2, 3, 3), torch.nan)},
            "train images of small hold numbers that are not finite",
        ),
        ({"normalisation": "mean"}, "normalise 'mean': give channels, none, or mean and std"),
        ({"normalisation": {"mean": 0}}, "normalise: give mean and std"),
        ({"normalisation": {"mean": 0, "std": [1, 1, 1]}}, r"std has 3 numbers, the images have 2 channels"),
        ({"normalisation": {"mean": 0, "std": 0}}, r"normalise\.std: give numbers above 0"),
        ({"test_images": torch.zeros(2, 3, 3, dtype=torch.uint8)}, "test images of small must be uint8"),
        ({"test_labels": torch.tensor([0])}, r"test labels of small must be int64 \[2\]"),
        ({"classes": 2}, r"labels of small must lie in 0\.\.1"),
        ({"test_images": torch.zeros(2, 2, 4, 4, dtype=torch.uint8)}, "differ in shape"),
    ],
)
def test_inconsistent_data_is_refused(change, message):
    with pytest.raises(DataError, match=message):
        small(**change)


def test_digest_sees_every_part():
    changes = [
        {},
        {"classes": 4},
        {"train_labels": torch.tensor([0, 1, 2, 2])},
        {"test_labels": torch.tensor([2, 1])},
        {"train_images": small().train_images.flip(0)},
        {"test_images": small().test_images.flip(0)},
    ]
    assert len({small(**change).digest for change in changes}) == len(changes)


def test_bad_requests_are_one_readable_line(tmp_path, digits):
    (tmp_path / "file").write_text("")
    for arguments, message in [
        (("mnits", tmp_path), "unknown data set 'mnits': give one of cifar10, cifar100, digits,"),
        (("mnist",), "mnist needs data_dir"),
        (("mnist", tmp_path / "file"), "file is a file: give a folder"),
        (("mnist", tmp_path / "gone", 0, False), "gone does not exist: give the folder that holds mnist"),
    ]:
        with pytest.raises(ValueError) as caught:
            data.load(*arguments)
        assert message in str(caught.value)
        assert "\n" not in str(caught.value)
    with pytest.raises(ValueError, match="unknown split 'valid'"):
        digits.tensors("valid")
    with pytest.raises(ValueError, match="limit"):
        digits.tensors("test", limit=0)
    assert os.listdir(tmp_path) == ["file"]


def idx(path, array):
    header = struct.pack(f">BBBB{array.ndim}i", 0, 0, 8, array.ndim, *array.shape)
    path.write_bytes(header + array.astype(numpy.uint8).tobytes())


def write_mnist(folder, kind="MNIST"):
    raw = folder / kind / "raw"
    raw.mkdir(parents=True)
    for split, n in (("train", 20), ("t10k", 10)):
        idx(raw / f"{split}-images-idx3-ubyte", numpy.arange(n * 28 * 28).reshape(n, 28, 28) % 251)
        idx(raw / f"{split}-labels-idx1-ubyte", numpy.arange(n) % 10)


def contents(folder):
    return {path.relative_to(folder): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize(("name", "kind"), [("mnist", "MNIST"), ("fashion_mnist", "FashionMNIST")])
def test_copy_on_disk_is_used(tmp_path, name, kind):
    write_mnist(tmp_path, kind)
    before = contents(tmp_path)
    dataset = data.load(name, tmp_path, download=False)
    assert dataset.train_images.shape == (20, 1, 28, 28) and dataset.test_images.shape == (10, 1, 28, 28)
    assert dataset.train_images.flatten().tolist() == [value % 251 for value in range(20 * 28 * 28)]
    assert dataset.test_labels.tolist() == list(range(10))
    assert contents(tmp_path) == before


def test_cifar10_on_disk_is_read(tmp_path, monkeypatch):
    from torchvision.datasets import CIFAR10

    folder = tmp_path / "cifar-10-batches-py"
    folder.mkdir()
    pixels = numpy.arange(10 * 3072).reshape(10, 3072).astype(numpy.uint8)
    for name in ("data_batch_1", "test_batch"):
        (folder / name).write_bytes(pickle.dumps({"data": pixels, "labels": list(range(10))}))
    (folder / "batches.meta").write_bytes(pickle.dumps({"label_names": [str(label) for label in range(10)]}))
    monkeypatch.setattr(CIFAR10, "train_list", [["data_batch_1", None]])
    monkeypatch.setattr(CIFAR10, "test_list", [["test_batch", None]])
    monkeypatch.setattr(CIFAR10, "meta", {"filename": "batches.meta", "key": "label_names", "md5": None})
    dataset = data.load("cifar10", tmp_path, download=False)
    assert torch.equal(dataset.train_images, torch.from_numpy(pixels).reshape(10, 3, 32, 32))
    assert dataset.train_images.is_contiguous()
    assert dataset.test_labels.tolist() == list(range(10))


def test_svhn_on_disk_is_read(tmp_path, monkeypatch):
    from scipy.io import savemat
    from torchvision.datasets import SVHN

    pixels = numpy.arange(32 * 32 * 3 * 10).reshape(32, 32, 3, 10).astype(numpy.uint8)
    for split in ("train", "test"):
        savemat(tmp_path / f"{split}_32x32.mat", {"X": pixels, "y": numpy.arange(1, 11)[:, None]})
    monkeypatch.setattr(SVHN, "split_list", {s: ["", f"{s}_32x32.mat", None] for s in ("train", "test")})
    dataset = data.load("svhn", tmp_path, download=False)
    assert torch.equal(dataset.train_images, torch.from_numpy(pixels).permute(3, 2, 0, 1))
    assert dataset.train_labels.tolist() == [1, 2, 3, 4, 5, 6, 7, 8, 9, 0]


def test_eurosat_on_disk_is_split_by_seed(tmp_path):
    from PIL import Image

    for label in range(2):
        folder = tmp_path / "eurosat" / "2750" / f"class{label}"
        folder.mkdir(parents=True)
        for image in range(10):
            Image.new("RGB", (64, 64), (100 * label + image, 7, 9)).save(folder / f"{image}.png")
    dataset = data.load("eurosat", tmp_path, seed=3, download=False)
    assert dataset.train_images.shape == (16, 3, 64, 64)
    assert torch.bincount(dataset.test_labels).tolist() == [2, 2]
    red = torch.cat([dataset.train_images, dataset.test_images])[:, 0, 5, 5]
    labels = torch.cat([dataset.train_labels, dataset.test_labels])
    assert sorted(red.tolist()) == [*range(10), *range(100, 110)]
    assert torch.equal(labels, (red >= 100).long())
    assert data.load("eurosat", tmp_path, seed=3, download=False).digest == dataset.digest
    assert data.load("eurosat", tmp_path, seed=4, download=False).digest != dataset.digest


def test_damaged_copy_is_named_and_kept(tmp_path):
    write_mnist(tmp_path)
    images = tmp_path / "MNIST" / "raw" / "train-images-idx3-ubyte"
    images.write_bytes(images.read_bytes()[:1000])
    before = contents(tmp_path)
    with pytest.raises(DataError, match=r"mnist in .* cannot be read .*: remove .*MNIST/raw and run again") as caught:
        data.load("mnist", tmp_path)
    assert "\n" not in str(caught.value)
    assert contents(tmp_path) == before


def test_missing_copy_without_download_is_named(tmp_path):
    with pytest.raises(DataError, match="mnist does not lie in .*MNIST/raw was expected"):
        data.load("mnist", tmp_path, download=False)
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("exists", [True, False])
def test_failed_download_leaves_nothing(tmp_path, monkeypatch, exists):
    from torchvision.datasets import MNIST

    def half(self):
        os.makedirs(self.raw_folder)
        with open(os.path.join(self.raw_folder, "train-images-idx3-ubyte"), "wb") as file:
            file.write(b"half")
        raise urllib.error.URLError("no\nnetwork")

    monkeypatch.setattr(MNIST, "download", half)
    folder = tmp_path / "data"
    if exists:
        folder.mkdir()
        (folder / "other").write_text("kept")
    with pytest.raises(DataError, match=r"mnist could not be downloaded \(.*no network.*\): run again with a network"):
        data.load("mnist", folder)
    assert contents(tmp_path) == ({(folder / "other").relative_to(tmp_path): b"kept"} if exists else {})
    assert sorted(os.listdir(tmp_path)) == (["data"] if exists else [])


def test_download_lands_in_the_folder(tmp_path, monkeypatch):
    from torchvision.datasets import MNIST

    write_mnist(tmp_path / "source")
    downloads = []

    def fetch(self):
        if not self._check_exists():
            downloads.append(self.root)
            write_mnist(self.root)

    monkeypatch.setattr(MNIST, "download", fetch)
    folder = tmp_path / "data"
    one = data.load("mnist", folder)
    assert contents(folder) == contents(tmp_path / "source")
    assert os.listdir(folder) == ["MNIST"]
    assert data.load("mnist", folder).digest == one.digest
    assert len(downloads) == 1


def picture(path, colour, size=(8, 8)):
    from PIL import Image

    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", size, colour).save(path)


def write_image_folder(folder, splits=("train", "test")):
    """Two classes, three training and two test images each; the red value says which image it is."""
    for number, split in enumerate(splits):
        for label, name in enumerate(("cat", "dog")):
            for image in range(3 - number):
                picture(folder / split / name / f"{image}.png", (100 * number + 10 * label + image, 200, label))
    return folder


def test_image_folder_is_read_as_torchvision_reads_it(tmp_path):
    from torchvision.datasets import ImageFolder

    write_image_folder(tmp_path)
    picture(tmp_path / "train" / "cat" / "deeper" / "9.BMP", (9, 9, 9))
    (tmp_path / "train" / "cat" / "notes.txt").write_text("no image")
    dataset = data.load("image_folder", tmp_path, image_size=8)
    for split in ("train", "test"):
        expected = [
            (numpy.array(image).transpose(2, 0, 1).tolist(), label) for image, label in ImageFolder(tmp_path / split)
        ]
        found = [(image.tolist(), int(label)) for image, label in zip(*dataset.raw(split), strict=True)]
        assert sorted(found) == sorted(expected)
    assert (dataset.name, dataset.classes, dataset.image_shape) == ("image_folder", 2, (3, 8, 8))


def test_images_of_any_size_are_scaled_and_cropped_in_the_middle(tmp_path):
    from PIL import Image

    write_image_folder(tmp_path)
    wide = Image.new("RGB", (64, 16), (255, 0, 0))
    wide.paste((0, 40, 80), (20, 0, 44, 16))
    wide.save(tmp_path / "train" / "cat" / "0.png")
    Image.new("L", (5, 30), 77).save(tmp_path / "train" / "cat" / "1.png")
    dataset = data.load("image_folder", tmp_path, image_size=4)
    assert dataset.image_shape == (3, 4, 4)
    flat = [image.flatten(1).unique(dim=1).tolist() for image in dataset.train_images]
    assert [[0], [40], [80]] in flat
    assert [[77], [77], [77]] in flat
    assert data.load("image_folder", tmp_path).image_shape == (3, 32, 32)


def test_image_folder_without_splits_is_split_by_seed(tmp_path):
    for label, name in enumerate(("cat", "dog")):
        for image in range(10):
            picture(tmp_path / name / f"{image}.png", (100 * label + image, 0, 0))
    dataset = data.load("image_folder", tmp_path, seed=3, image_size=2)
    assert torch.bincount(dataset.test_labels).tolist() == [2, 2]
    red = torch.cat([dataset.train_images, dataset.test_images])[:, 0, 0, 0]
    assert sorted(red.tolist()) == [*range(10), *range(100, 110)]
    assert torch.equal(torch.cat([dataset.train_labels, dataset.test_labels]), (red >= 100).long())
    assert data.load("image_folder", tmp_path, seed=4, image_size=2).digest != dataset.digest


@pytest.mark.parametrize("name", ["image_folder", "eurosat"])
def test_the_first_training_images_are_of_all_classes(tmp_path, name):
    """What is measured or matched on the first so many images is otherwise measured on one class."""
    folder = tmp_path / "eurosat" / "2750" if name == "eurosat" else tmp_path
    for label, image in itertools.product(range(3), range(30)):
        picture(folder / f"class{label}" / f"{image}.png", (label, 0, 0), (64, 64))
    dataset = data.load(name, tmp_path, seed=1, download=False, image_size=64)
    assert torch.equal(dataset.train_images[:, 0, 0, 0].long(), dataset.train_labels)
    assert torch.bincount(dataset.train_labels).tolist() == [24, 24, 24]
    assert torch.bincount(dataset.train_labels[:24], minlength=3).min() >= 3
    assert data.load(name, tmp_path, seed=1, download=False, image_size=64).digest == dataset.digest
    assert data.load(name, tmp_path, seed=2, download=False, image_size=64).digest != dataset.digest


@pytest.fixture
def decoded(monkeypatch):
    """The number of images of each decoding."""
    counts = []
    decode = image_folder._decode

    def counted(paths, size):
        counts.append(len(paths))
        return decode(paths, size)

    monkeypatch.setattr(image_folder, "_decode", counted)
    return counts


def test_images_are_decoded_once_for_each_size(tmp_path, decoded):
    write_image_folder(tmp_path)
    first = data.load("image_folder", tmp_path, image_size=8)
    assert data.load("image_folder", tmp_path, image_size=8).digest == first.digest
    assert decoded == [6, 4]
    data.load("image_folder", tmp_path, image_size=4)
    data.load("image_folder", tmp_path, image_size=8)
    assert decoded == [6, 4] * 2
    assert sorted(os.listdir(tmp_path)) == [".onebasin-4.safetensors", ".onebasin-8.safetensors", "test", "train"]


@pytest.mark.parametrize("change", ["added", "removed", "renamed", "touched", "size", "class", "cache truncated"])
def test_changed_folder_is_decoded_again(tmp_path, decoded, change):
    write_image_folder(tmp_path)
    first = data.load("image_folder", tmp_path, image_size=8)
    image, cache = tmp_path / "train" / "cat" / "1.png", tmp_path / ".onebasin-8.safetensors"
    if change == "added":
        picture(tmp_path / "test" / "dog" / "7.png", (1, 2, 3))
    elif change == "removed":
        image.unlink()
    elif change == "renamed":
        image.rename(image.with_name("5.png"))
    elif change == "touched":
        os.utime(image, ns=(0, 0))
    elif change == "size":
        status = image.stat()
        picture(image, (250, 3, 7), (40, 40))
        os.utime(image, ns=(status.st_atime_ns, status.st_mtime_ns))
    elif change == "class":
        for split in ("train", "test"):
            (tmp_path / split / "dog").rename(tmp_path / split / "ant")
    else:
        content = cache.read_bytes()
        cache.unlink()
        cache.write_bytes(content[: len(content) // 2])
    again = data.load("image_folder", tmp_path, image_size=8)
    assert len(decoded) == 4
    assert (again.digest == first.digest) == (change in ("touched", "cache truncated"))
    assert data.load("image_folder", tmp_path, image_size=8).digest == again.digest
    assert len(decoded) == 4


def test_folder_that_cannot_be_written_is_read_all_the_same(tmp_path, caplog):
    write_image_folder(tmp_path)
    (tmp_path / ".onebasin-8.safetensors").mkdir()
    dataset = data.load("image_folder", tmp_path, image_size=8)
    assert len(dataset.train_images) == 6
    assert "the decoded images are not kept for another time" in caplog.text


def write_grays(folder, suffix, convert):
    """Two classes of gray images, of 60 and of 160 in bytes."""
    from PIL import Image

    for name, level in (("dark", 60), ("bright", 160)):
        (folder / name).mkdir(parents=True)
        for number in range(5):
            image = Image.fromarray(convert(numpy.full((8, 8), level + number)))
            image.save(folder / name / f"{number}.{suffix}")
    return folder


@pytest.mark.parametrize("suffix", ["png", "tif", "pgm"])
@pytest.mark.parametrize("depth", [8, 16])
def test_gray_values_of_any_depth_become_bytes(tmp_path, suffix, depth):
    kind, factor = (numpy.uint8, 1) if depth == 8 else (numpy.uint16, 257)
    # A little more, which is rounded away.
    write_grays(tmp_path, suffix, lambda gray: (gray * factor + factor // 3).astype(kind))
    dataset = data.load("image_folder", tmp_path, image_size=8)
    images = torch.cat([dataset.train_images, dataset.test_images])
    assert images.unique().tolist() == [*range(60, 65), *range(160, 165)]


def test_gray_values_of_12_bits_become_bytes(tmp_path):
    write_grays(tmp_path, "tif", lambda gray: gray.astype(numpy.uint8))
    tags = {256: 8, 257: 8, 258: 12, 259: 1, 262: 1, 273: 200, 277: 1, 278: 8, 279: 96}
    entries = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in tags.items())
    header = b"II*\0" + struct.pack("<IH", 8, len(tags)) + entries + bytes(4)
    white = header.ljust(200, b"\0") + b"\xff" * 96
    (tmp_path / "dark" / "0.tif").write_bytes(white)
    dataset = data.load("image_folder", tmp_path, image_size=8)
    assert torch.cat([dataset.train_images, dataset.test_images]).max() == 255


@pytest.mark.parametrize("kind", ["int32", "float32"])
def test_gray_values_of_no_known_range_are_refused(tmp_path, kind):
    write_grays(tmp_path, "tif", lambda gray: gray.astype(kind))
    with pytest.raises(
        DataError, match=r"\d.tif has .*, of which nothing says which is white: convert it to 8 or 16 bits$"
    ):
        data.load("image_folder", tmp_path, image_size=8)


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "YCbCr"])
def test_images_of_every_mode_are_read(tmp_path, mode):
    from PIL import Image

    write_grays(tmp_path, "tif", lambda gray: gray.astype(numpy.uint8))
    white = Image.new("RGB", (8, 8), (255, 255, 255)).convert(mode)
    white.save(tmp_path / "dark" / "0.tif")
    dataset = data.load("image_folder", tmp_path, image_size=8)
    images = torch.cat([dataset.train_images, dataset.test_images])
    assert (images == 255).flatten(1).all(1).sum() == 1


def test_images_are_turned_as_their_exif_data_says(tmp_path):
    from PIL import Image

    write_image_folder(tmp_path)
    upright = Image.new("L", (8, 8), 0)
    upright.paste(255, (0, 0, 8, 4))
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned clockwise by a quarter
    upright.rotate(90).save(tmp_path / "test" / "cat" / "0.jpg", exif=exif, quality=100)
    dataset = data.load("image_folder", tmp_path, image_size=8)
    assert (dataset.test_images.float() - torch.from_numpy(numpy.array(upright)).float()).abs().amax(
        (1, 2, 3)
    ).min() < 9


def test_of_several_frames_the_first_is_read_and_this_is_said(tmp_path, caplog):
    from PIL import Image

    write_grays(tmp_path, "tif", lambda gray: gray.astype(numpy.uint8))
    frames = [Image.new("L", (8, 8), level) for level in (7, 99)]
    frames[0].save(tmp_path / "dark" / "0.tif", save_all=True, append_images=frames[1:])
    dataset = data.load("image_folder", tmp_path, image_size=8)
    values = torch.cat([dataset.train_images, dataset.test_images]).unique().tolist()
    assert 7 in values and 99 not in values
    assert f"of 1 files with several pages or frames the first is read: {tmp_path}/dark/0.tif" in caplog.text


def test_what_was_decoded_otherwise_is_decoded_again(tmp_path, monkeypatch, decoded):
    write_image_folder(tmp_path)
    data.load("image_folder", tmp_path, image_size=8)
    monkeypatch.setattr(image_folder, "_DECODING", 0)
    data.load("image_folder", tmp_path, image_size=8)
    assert decoded == [6, 4] * 2


def test_hidden_folders_are_not_looked_at(tmp_path):
    write_grays(tmp_path, "png", lambda gray: gray.astype(numpy.uint8))
    for place in (".hidden", "dark/.checkpoints", "dark/deeper/.checkpoints"):
        picture(tmp_path / place / "0.png", (1, 2, 3))
    dataset = data.load("image_folder", tmp_path, image_size=8)
    assert len(dataset.train_images) + len(dataset.test_images) == 10


@pytest.mark.parametrize(
    "names",
    [
        ("Test", "Train"),
        ("training", "validation"),
        ("TRAIN", "VAL"),
        ("dev", "eval"),
        ("train", "val"),
        ("test", "trn"),
    ],
)
def test_splits_of_other_names_are_not_taken_for_classes(tmp_path, names):
    write_image_folder(tmp_path, splits=names)
    found = " and ".join(f"{name}/" for name in names)
    with pytest.raises(
        DataError, match=f"has {found}, which seem to be splits and no classes: call what to train and to"
    ):
        data.load("image_folder", tmp_path, image_size=8)


def test_splits_within_classes_are_named(tmp_path):
    for name, split in itertools.product(("cat", "dog"), ("Train", "Val")):
        picture(tmp_path / name / split / "0.png", (1, 2, 3))
    with pytest.raises(
        DataError, match=r"cat holds splits \(Train, Val\): give train/ and test/ with the classes below"
    ):
        data.load("image_folder", tmp_path, image_size=8)


@pytest.mark.parametrize("names", [("Control", "Test"), ("invalid", "valid"), ("Train", "car", "plane")])
def test_a_class_may_have_the_name_of_a_split(tmp_path, names):
    for number, name in enumerate(names):
        for image in range(5):
            picture(tmp_path / name / f"{image}.png", (number, image, 0))
    assert data.load("image_folder", tmp_path, image_size=8).classes == len(names)


def test_folders_beside_train_and_test_are_named(tmp_path, caplog):
    write_image_folder(tmp_path)
    for name in ("val", "notes", ".hidden"):
        (tmp_path / name).mkdir()
    data.load("image_folder", tmp_path, image_size=8)
    assert f"{tmp_path}: train/ and test/ are read, and not notes/, val/" in caplog.text


def test_images_that_are_all_the_same_are_refused(tmp_path):
    for name, number in itertools.product(("cat", "dog"), range(5)):
        picture(tmp_path / name / f"{number}.png", (4, 5, 6))
    with pytest.raises(DataError, match="all images to train on are the same: give images that differ"):
        data.load("image_folder", tmp_path, image_size=8)


def test_bad_image_folders_are_one_readable_line(tmp_path):
    def refused(folder, message, **options):
        with pytest.raises(ValueError) as caught:
            data.load("image_folder", folder, **options)
        assert message in str(caught.value)
        assert "\n" not in str(caught.value)

    refused(tmp_path / "gone", "gone does not exist: give the folder that holds image_folder")
    assert not (tmp_path / "gone").exists()
    (tmp_path / "none").mkdir()
    refused(tmp_path / "none", "none holds 0 class folders: give one folder of images for each class")
    (tmp_path / "none" / "test" / "cat").mkdir(parents=True)
    refused(tmp_path / "none", "none has test/ but no train/: give both, or class folders alone")
    folder = write_image_folder(tmp_path / "all")
    refused(folder, "image_size must be an integer of at least 1, not 0", image_size=0)
    bird = folder / "test" / "bird"
    bird.mkdir()
    refused(folder, "all/test/bird holds no image (.bmp, .jpeg,")
    picture(bird / "0.png", (1, 1, 1))
    refused(folder, "class bird is in test/ alone: train/ and test/ need the same classes")
    (bird / "0.png").unlink()
    bird.rmdir()
    image = folder / "train" / "cat" / "1.png"
    image.write_bytes(image.read_bytes()[:45])
    refused(folder, "train/cat/1.png cannot be read (")
    image.unlink()
    image.symlink_to("nothing")
    refused(folder, "train/cat/1.png cannot be read (No such file or directory): repair or remove it")
    assert sorted(os.listdir(folder)) == ["test", "train"]


def test_variants_are_other_images_of_the_same_shape_and_labels():
    digits = data.hold_out(data.load("digits"), 0.1)
    for variant in data.VARIANTS:
        varied = data.vary(digits, variant)
        for split in digits.splits:
            (images, labels), (others, other_labels) = digits.raw(split), varied.raw(split)
            assert others.shape == images.shape and torch.equal(labels, other_labels)
            assert torch.equal(images, others) == (variant == "none")
    rotated = data.vary(digits, "rotated").test_images
    assert torch.equal(rotated[0, 0, 0], digits.test_images[0, 0, :, -1])
    inverted = data.vary(digits, "inverted").train_images
    assert torch.equal(inverted + digits.train_images, torch.full_like(inverted, 16))


def test_variants_can_be_undone():
    digits = data.hold_out(data.load("digits"), 0.1)
    for variant, times in (("inverted", 2), ("rotated", 4)):
        varied = digits
        for _ in range(times):
            varied = data.vary(varied, variant)
        assert varied.digest == digits.digest
    permuted = [data.vary(digits, "permuted", seed) for seed in (0, 0, 1)]
    assert permuted[0].digest == permuted[1].digest != permuted[2].digest
    for seed, one in ((0, permuted[0]), (1, permuted[2])):
        back = torch.randperm(64, generator=seeding.generator("data", "pixels", seed)).argsort()
        for split in digits.splits:
            assert torch.equal(one.raw(split)[0].flatten(2)[..., back], digits.raw(split)[0].flatten(2))


def test_all_channels_are_permuted_alike():
    digits = data.load("digits")
    images = {f"{split}_images": digits.raw(split)[0].expand(-1, 3, -1, -1) for split in digits.splits}
    coloured = dataclasses.replace(digits, **images)
    images = data.vary(coloured, "permuted").test_images
    assert torch.equal(images[:, 0], images[:, 2])
    assert torch.equal(images[:, 0], data.vary(digits, "permuted").test_images[:, 0])


def test_a_variant_that_cannot_be_is_refused():
    digits = data.load("digits")
    with pytest.raises(ValueError, match="unknown variant 'upside'"):
        data.vary(digits, "upside")
    oblong = dataclasses.replace(
        digits, train_images=digits.train_images[:, :, :4], test_images=digits.test_images[:, :, :4]
    )
    with pytest.raises(data.DataError, match="not square"):
        data.vary(oblong, "rotated")


DIVISIONS = [
    ("equal", 2, {}),
    ("equal", 5, {}),
    ("classes", 2, {"share": 0.8}),
    ("classes", 3, {"share": 0.5}),
    ("dirichlet", 2, {"concentration": 0.5}),
    ("dirichlet", 5, {"concentration": 0.5}),
]


@pytest.mark.parametrize(("by", "number", "options"), DIVISIONS)
def test_parts_are_disjoint_and_cover_the_training_images(digits, by, number, options):
    parts = data.divide(digits, by, number, **options)
    assert len(parts) == number
    assert torch.cat(parts).sort().values.tolist() == list(range(len(digits.train_labels)))
    for part in parts:
        assert part.tolist() == sorted(part.tolist())
        others = [other for other in parts if other is not part]
        assert not torch.isin(part, torch.cat(others)).any()


def counts_by_class(dataset, parts):
    """Images of each part and class, [parts, classes]."""
    return torch.stack([torch.bincount(dataset.train_labels[part], minlength=dataset.classes) for part in parts])


@pytest.mark.parametrize("number", [2, 5])
def test_equal_parts_have_each_class_alike(digits, number):
    counts = counts_by_class(digits, data.divide(digits, "equal", number))
    assert (counts.max(0).values - counts.min(0).values).max() <= 1
    assert counts.sum(1).max() - counts.sum(1).min() <= 1


@pytest.mark.parametrize(("number", "share"), [(2, 0.8), (3, 0.5), (2, 1.0)])
def test_most_of_each_class_goes_to_one_part_which_alternates(digits, number, share):
    counts = counts_by_class(digits, data.divide(digits, "classes", number, share=share)).double()
    shares = counts / counts.sum(0)
    for label in range(digits.classes):
        expected = torch.full((number,), (1 - share) / (number - 1), dtype=torch.float64)
        expected[label % number] = share
        torch.testing.assert_close(shares[:, label], expected, atol=0.01, rtol=0)


def test_proportions_of_classes_are_of_the_distribution_of_dirichlet():
    labels = torch.arange(4000) % 10
    images = torch.zeros(4000, 1, 1, 1, dtype=torch.uint8)
    dataset = small(train_images=images, train_labels=labels, test_images=images, test_labels=labels, classes=10)
    for concentration in (0.5, 20):
        shares = []
        for division in range(20):
            counts = counts_by_class(dataset, data.divide(
                dataset, "dirichlet", 4, concentration=concentration, division=division
            )).double()  # fmt: skip
            shares.append(counts / counts.sum(0))
        found = torch.stack(shares).flatten()
        # The mean of a share of n is 1 / n, and its variance (1 / n) (1 - 1 / n) / (n concentration + 1).
        assert found.mean() == pytest.approx(1 / 4)
        assert found.var() == pytest.approx(3 / 16 / (4 * concentration + 1), rel=0.15)


def test_parts_are_drawn_by_what_they_are_for(digits):
    def drawn(**changes):
        return data.divide(digits, **({"by": "dirichlet", "number": 2} | changes))[0].tolist()

    torch.manual_seed(1)
    first = drawn()
    torch.manual_seed(2)
    assert drawn() == first
    others = [drawn(division=1), drawn(seed=1), drawn(concentration=0.6), drawn(by="classes"), drawn(by="equal")]
    assert all(other != first for other in others)
    half, fifth = (data.divide(digits, "equal", number)[0].tolist() for number in (2, 5))
    assert not set(fifth) <= set(half)


def test_one_part_is_the_whole(digits):
    for by in data.DIVISIONS:
        (part,) = data.divide(digits, by, 1)
        assert part.tolist() == list(range(len(digits.train_labels)))


def test_a_concentration_too_small_for_floats_gives_each_class_to_one_part(digits):
    counts = counts_by_class(digits, data.divide(digits, "dirichlet", 2, concentration=1e-4))
    assert (counts.min(0).values == 0).all()


def test_parts_that_cannot_be_are_refused(digits):
    with pytest.raises(DataError, match="parts: part 4 of 5 would have none of the 4 training images of small: give"):
        data.divide(small(), "equal", 5)
    with pytest.raises(DataError, match="fewer parts, or a greater concentration"):
        data.divide(small(), "dirichlet", 4, concentration=0.01)
    with pytest.raises(ValueError, match="unknown division 'halves': give one of equal, classes, dirichlet"):
        data.divide(small(), "halves", 2)
    with pytest.raises(ValueError, match="at least 1, not 0"):
        data.divide(small(), "equal", 0)
