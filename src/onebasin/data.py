"""Image classification data sets, held in memory as one tensor of bytes per split."""

import contextlib
import hashlib
import logging
import math
import os
import shutil
import socket
import tempfile
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import cached_property, partial
from pathlib import Path
from typing import NamedTuple, NoReturn

import torch
from torch import Tensor

from onebasin import seeding
from onebasin.files import FileError, load_metadata, load_tensors, save_tensors

log = logging.getLogger(__name__)

Reader = Callable[[Path, bool], tuple[Tensor, ...]]

TEST_FRACTION = 0.2
IMAGE_SIZE = 32
_DOWNLOAD_TIMEOUT_S = 60.0
_IMAGE_SUFFIXES = (".bmp", ".jpeg", ".jpg", ".pgm", ".png", ".ppm", ".tif", ".tiff", ".webp")


class DataError(ValueError):
    """A data set that cannot be had; the message says what to do."""


@dataclass(frozen=True, eq=False)
class Dataset:
    """Training and test images with their labels.

    Attributes:
        name: the name of the data set.
        train_images: bytes [n, channels, height, width].
        train_labels: int64 [n].
        test_images: bytes [m, channels, height, width].
        test_labels: int64 [m].
        classes: number of classes.
        held_out_images: training images that no network is trained on, bytes; None for none.
        held_out_labels: their labels.
    """

    name: str
    train_images: Tensor
    train_labels: Tensor
    test_images: Tensor
    test_labels: Tensor
    classes: int
    held_out_images: Tensor | None = None
    held_out_labels: Tensor | None = None

    def __post_init__(self) -> None:
        """Check shapes and types."""
        for split in self.splits:
            images, labels = self.raw(split)
            if images.dtype != torch.uint8 or images.ndim != 4 or len(images) == 0:
                raise DataError(f"{split} images of {self.name} must be uint8 [n, channels, height, width] with n > 0")
            if labels.dtype != torch.int64 or labels.shape != images.shape[:1]:
                raise DataError(f"{split} labels of {self.name} must be int64 [{len(images)}]")
            if int(labels.min()) < 0 or int(labels.max()) >= self.classes:
                raise DataError(f"{split} labels of {self.name} must lie in 0..{self.classes - 1}")
        if self.train_images.shape[1:] != self.test_images.shape[1:]:
            raise DataError(f"training and test images of {self.name} differ in shape")

    @property
    def splits(self) -> tuple[str, ...]:
        """The names of the splits: "train", "test" and, where there is one, "held_out"."""
        return ("train", "test") if self.held_out_images is None else ("train", "test", "held_out")

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """Channels, height and width of an image."""
        channels, height, width = self.train_images.shape[1:]
        return channels, height, width

    @cached_property
    def _moments(self) -> tuple[Tensor, Tensor]:
        values = torch.arange(256, dtype=torch.float64)
        counts = torch.stack(
            [torch.bincount(channel.reshape(-1), minlength=256) for channel in self.train_images.unbind(1)]
        ).double()
        share = counts / counts.sum(1, keepdim=True)
        mean = share @ values
        variance = (share * (values - mean[:, None]) ** 2).sum(1)
        # A channel that never varies is left unscaled.
        deviation = torch.where(variance > 0, variance.sqrt(), torch.ones_like(variance))
        return mean.float(), deviation.float()

    @property
    def mean(self) -> Tensor:
        """Mean of each channel of the training images: float32 [channels], in byte values (0 to 255)."""
        return self._moments[0]

    @property
    def std(self) -> Tensor:
        """Standard deviation of each channel of the training images: float32 [channels], in byte values."""
        return self._moments[1]

    @cached_property
    def digest(self) -> str:
        """SHA-256 of shapes, images and labels: the identity of the data."""
        digest = hashlib.sha256(f"{self.classes}".encode())
        for split in self.splits:
            images, labels = self.raw(split)
            digest.update(f"{tuple(images.shape)}".encode())
            digest.update(images.contiguous().numpy().data)
            digest.update(labels.contiguous().numpy().data)
        return digest.hexdigest()

    def raw(self, split: str) -> tuple[Tensor, Tensor]:
        """Give the bytes of a split.

        Args:
            split: one of `splits`.

        Returns:
            Images uint8 [n, channels, height, width] and labels int64 [n], not copied.

        Raises:
            ValueError: an unknown split.
        """
        if split == "train":
            return self.train_images, self.train_labels
        if split == "test":
            return self.test_images, self.test_labels
        if split == "held_out" and self.held_out_images is not None and self.held_out_labels is not None:
            return self.held_out_images, self.held_out_labels
        raise ValueError(f"unknown split {split!r}: give one of {', '.join(self.splits)}")

    def normalise(self, images: Tensor) -> Tensor:
        """Normalise images by the mean and standard deviation of each channel of the training images.

        Args:
            images: bytes [n, channels, height, width], on any device.

        Returns:
            float32 of the same shape and device.
        """
        mean = self.mean.to(images.device)[:, None, None]
        std = self.std.to(images.device)[:, None, None]
        return images.float().sub_(mean).div_(std)

    def tensors(
        self, split: str, limit: int | None = None, device: str | torch.device = "cpu"
    ) -> tuple[Tensor, Tensor]:
        """Give normalised images of a split with their labels; they are never augmented.

        Args:
            split: one of `splits`.
            limit: only the first so many images.
            device: where the tensors go.

        Returns:
            Images float32 [n, channels, height, width] and labels int64 [n].

        Raises:
            ValueError: an unknown split, or a limit below 1.
        """
        if limit is not None and limit < 1:
            raise ValueError(f"limit must be at least 1, not {limit}")
        images, labels = self.raw(split)
        return self.normalise(images[:limit].to(device)), labels[:limit].to(device)


def save(dataset: Dataset, path: str | Path) -> None:
    """Write a data set to a file, atomically.

    Args:
        dataset: the data set.
        path: the file to be written.

    Raises:
        FileError: the file cannot be written.
    """
    tensors = {
        f"{split}_{part}": tensor
        for split in dataset.splits
        for part, tensor in zip(("images", "labels"), dataset.raw(split), strict=True)
    }
    save_tensors(path, tensors, {"name": dataset.name, "classes": dataset.classes}, "dataset")


def open_(path: str | Path) -> Dataset:
    """Read a data set from a file that `save` wrote.

    Args:
        path: the file.

    Returns:
        The data set.

    Raises:
        FileError: the file is missing, truncated, foreign, or no data set.
    """
    tensors, metadata = load_tensors(path, "dataset")
    try:
        return Dataset(name=metadata["name"], classes=metadata["classes"], **tensors)
    except (KeyError, TypeError) as error:
        raise FileError(f"{path} lacks a part of a data set ({error}); delete it and make it again") from None


def stratified_split(labels: Tensor, fraction: float, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Split examples at random so that both parts hold each class in proportion.

    Args:
        labels: int64 [n].
        fraction: share of the second part; its size is `fraction * n`, rounded up.
        generator: decides which examples go where.

    Returns:
        Sorted indices of the first and of the second part, int64.
    """
    counts = torch.bincount(labels)
    size = math.ceil(fraction * len(labels))
    quota = counts.double() * (size / len(labels))
    take = quota.floor().long()
    remainder = torch.argsort(quota - take, descending=True, stable=True)
    take[remainder[: size - int(take.sum())]] += 1
    second = []
    for label, number in enumerate(take.tolist()):
        members = torch.nonzero(labels == label).flatten()
        second.append(members[torch.randperm(len(members), generator=generator)[:number]])
    chosen = torch.zeros(len(labels), dtype=torch.bool)
    chosen[torch.cat(second)] = True
    return torch.nonzero(~chosen).flatten(), torch.nonzero(chosen).flatten()


def hold_out(dataset: Dataset, share: float) -> Dataset:
    """Take images out of training, for what must be fitted on images that no network has seen.

    Args:
        dataset: a data set of which none are held out.
        share: share of the training images, 0 to 1; they are drawn at random, each class in proportion.

    Returns:
        The data set with fewer training images and the split "held_out", or as it is for a share of 0.

    Raises:
        DataError: no training images would be left.
    """
    if not share:
        return dataset
    labels = dataset.train_labels
    rest, taken = stratified_split(labels, share, seeding.generator("data", dataset.name, "held out"))
    return replace(
        dataset,
        train_images=dataset.train_images[rest],
        train_labels=labels[rest],
        held_out_images=dataset.train_images[taken],
        held_out_labels=labels[taken],
    )


VARIANTS = ("none", "inverted", "rotated")


def vary(dataset: Dataset, variant: str) -> Dataset:
    """Make another data set of the same shape and classes out of one.

    Args:
        dataset: the data set.
        variant: "none"; "inverted", bright for dark; or "rotated", by 90 degrees counterclockwise, which needs square
            images.

    Returns:
        The data set with all its images changed.

    Raises:
        ValueError: an unknown variant.
        DataError: images that are not square cannot be rotated.
    """
    if variant not in VARIANTS:
        raise ValueError(f"unknown variant {variant!r}: give one of {', '.join(VARIANTS)}")
    if variant == "none":
        return dataset
    if variant == "rotated" and dataset.image_shape[1] != dataset.image_shape[2]:
        raise DataError(f"images of {dataset.name} are not square: rotated, they would have another shape")
    brightest = dataset.train_images.max()

    def changed(images: Tensor) -> Tensor:
        return (brightest - images.clamp(max=brightest)) if variant == "inverted" else images.rot90(1, (2, 3))

    held_out = dataset.held_out_images
    return replace(
        dataset,
        name=f"{dataset.name}, {variant}",
        train_images=changed(dataset.train_images).contiguous(),
        test_images=changed(dataset.test_images).contiguous(),
        held_out_images=None if held_out is None else changed(held_out).contiguous(),
    )


def load(
    name: str,
    data_dir: str | Path | None = None,
    seed: int = 0,
    download: bool = True,
    image_size: int = IMAGE_SIZE,
) -> Dataset:
    """Load a data set by name.

    The data set `image_folder` is a folder of the user's own with one folder of images for each class, as torchvision's
    `ImageFolder` reads it, below `train/` and `test/` or, without these, by itself. Its images are decoded once, and
    kept in the file `.onebasin-<image_size>.safetensors` in that folder until a name, size or time in it changes.
    Training images that lie class by class, there and in `eurosat`, are put in a random order.

    Args:
        name: one of `DATASETS`.
        data_dir: the folder where the data lies, as torchvision lays it out, or goes; `digits` needs none.
        seed: of the split of data sets that come without one (`digits`, `eurosat`, `image_folder` at times), and of the
            random order.
        download: fetch what is not in `data_dir`.
        image_size: height and width in pixels to which images of `image_folder` are scaled, their longer side cropped.

    Returns:
        The data set.

    Raises:
        ValueError: an unknown name, or an image size below 1.
        DataError: the data cannot be found, read or downloaded.
    """
    if name not in DATASETS:
        raise ValueError(f"unknown data set {name!r}: give one of {', '.join(sorted(DATASETS))}")
    if name == "digits":
        return _digits(seed)
    if data_dir is None:
        raise DataError(f"{name} needs data_dir, the folder where it lies or shall go")
    folder = Path(data_dir).expanduser()
    if folder.exists() and not folder.is_dir():
        raise DataError(f"data_dir {folder} is a file: give a folder")
    if not folder.is_dir() and not (download and name in _TORCHVISION):
        raise DataError(f"data_dir {folder} does not exist: give the folder that holds {name}")
    parts = (
        _from_image_folder(folder, image_size) if name == "image_folder" else _from_torchvision(name, folder, download)
    )
    if len(parts) == 2:
        dataset = _split(name, *parts, seed)
    else:
        train_images, train_labels, test_images, test_labels = parts
        classes = int(torch.cat([train_labels, test_labels]).max()) + 1
        dataset = Dataset(name, train_images, train_labels, test_images, test_labels, classes)
    return _mix(dataset, seed) if name in _BY_CLASS else dataset


def _mix(dataset: Dataset, seed: int) -> Dataset:
    """Put the training images in a random order, so that the first ones are of all classes."""
    generator = seeding.generator("data", dataset.name, "order", seed)
    order = torch.randperm(len(dataset.train_labels), generator=generator)
    return replace(dataset, train_images=dataset.train_images[order], train_labels=dataset.train_labels[order])


def _digits(seed: int) -> Dataset:
    from sklearn.datasets import load_digits

    bunch = load_digits()
    images = torch.tensor(bunch.images, dtype=torch.uint8)[:, None]
    labels = torch.tensor(bunch.target, dtype=torch.int64)
    return _split("digits", images, labels, seed)


def _split(name: str, images: Tensor, labels: Tensor, seed: int) -> Dataset:
    train, test = stratified_split(labels, TEST_FRACTION, seeding.generator("data", name, "split", seed))
    return Dataset(name, images[train], labels[train], images[test], labels[test], int(labels.max()) + 1)


class _Listing(NamedTuple):
    """The images of a folder of class folders: the sorted classes, files with labels, and what changes with them."""

    classes: list[str]
    files: list[tuple[Path, int]]
    digest: str


def _from_image_folder(folder: Path, image_size: int) -> tuple[Tensor, ...]:
    if isinstance(image_size, bool) or not isinstance(image_size, int) or image_size < 1:
        raise ValueError(f"image_size must be an integer of at least 1, not {image_size!r}")
    splits = [split for split in ("train", "test") if (folder / split).is_dir()]
    if len(splits) == 1:
        lacking = "test" if splits == ["train"] else "train"
        raise DataError(f"{folder} has {splits[0]}/ but no {lacking}/: give both, or class folders alone")
    try:
        listings = [_list_images(folder / split) for split in splits or [""]]
    except OSError as error:
        raise DataError(f"{error.filename} cannot be read ({error.strerror}): repair or remove it") from error
    if unshared := set(listings[0].classes) ^ set(listings[-1].classes):
        first = min(unshared)
        where = splits[first in listings[1].classes]
        raise DataError(f"{folder}: class {first} is in {where}/ alone: train/ and test/ need the same classes")
    digest = hashlib.sha256(" ".join([str(image_size), *(listing.digest for listing in listings)]).encode()).hexdigest()
    cache = folder / f".onebasin-{image_size}.safetensors"
    names = [f"{part}{number}" for number in range(len(listings)) for part in ("images", "labels")]
    try:
        if cache.exists() and load_metadata(cache, "image folder")["digest"] == digest:
            tensors, _ = load_tensors(cache, "image folder")
            return tuple(tensors[name] for name in names)
    except (FileError, KeyError) as error:
        log.warning("the images decoded earlier cannot be used: %s", error)
    log.info("decoding %d images of %s", sum(len(listing.files) for listing in listings), folder)
    parts: list[Tensor] = []
    for listing in listings:
        parts += _decode([path for path, _ in listing.files], image_size), torch.tensor([y for _, y in listing.files])
    try:
        save_tensors(cache, dict(zip(names, parts, strict=True)), {"digest": digest}, "image folder")
    except FileError as error:
        log.warning("the decoded images are not kept for another time: %s", error)
    return tuple(parts)


def _list_images(folder: Path) -> _Listing:
    def fail(error: OSError) -> NoReturn:
        raise error

    digest = hashlib.sha256()
    files: list[tuple[Path, int]] = []
    classes = sorted(path.name for path in folder.iterdir() if path.is_dir() and not path.name.startswith("."))
    if len(classes) < 2:
        raise DataError(f"{folder} holds {len(classes)} class folders: give one folder of images for each class")
    for label, name in enumerate(classes):
        before = len(files)
        for parent, folders, children in os.walk(folder / name, onerror=fail, followlinks=True):
            folders.sort()
            for path in (Path(parent, child) for child in sorted(children)):
                if path.suffix.lower() in _IMAGE_SUFFIXES and not path.name.startswith("."):
                    status = path.stat()
                    digest.update(f"{path.relative_to(folder)}\0{status.st_size}\0{status.st_mtime_ns}\0".encode())
                    files.append((path, label))
        if len(files) == before:
            raise DataError(f"{folder / name} holds no image ({', '.join(_IMAGE_SUFFIXES)}): add some, or remove it")
    return _Listing(classes, files, digest.hexdigest())


def _decode(paths: list[Path], size: int) -> Tensor:
    """Decode images in parallel: bytes [n, 3, size, size]."""
    import numpy
    from PIL import Image, ImageOps

    images = torch.empty(len(paths), 3, size, size, dtype=torch.uint8)

    def decode(index: int) -> None:
        try:
            with Image.open(paths[index]) as image:
                fitted = ImageOps.fit(image.convert("RGB"), (size, size), Image.Resampling.BILINEAR)
        # Pillow raises errors of many types over a damaged file.
        except Exception as error:
            raise DataError(f"{paths[index]} cannot be read ({_one_line(error)}): repair or remove it") from error
        images[index] = torch.from_numpy(numpy.array(fitted)).permute(2, 0, 1)

    with ThreadPoolExecutor(torch.get_num_threads()) as pool:
        try:
            for _ in pool.map(decode, range(len(paths))):
                pass
        finally:
            pool.shutdown(cancel_futures=True)
    return images


def _from_torchvision(name: str, folder: Path, download: bool) -> tuple[Tensor, ...]:
    read, layout = _TORCHVISION[name]
    try:
        return read(folder, False)
    # torchvision and what it calls raise errors of many types over a damaged file.
    except Exception as error:
        if not (isinstance(error, RuntimeError) and "not found" in str(error)):
            raise DataError(
                f"{name} in {folder} cannot be read ({_one_line(error)}): remove {folder / layout} and run again"
            ) from error
    if not download:
        raise DataError(f"{name} does not lie in {folder}: {folder / layout} was expected")
    log.info("downloading %s to %s", name, folder)
    return _download(name, read, folder, layout)


def _download(name: str, read: Reader, folder: Path, layout: str) -> tuple[Tensor, ...]:
    existed = folder.exists()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        unfinished = Path(tempfile.mkdtemp(prefix=f".{name}-", dir=folder))
    except OSError as error:
        raise DataError(f"data_dir {folder} cannot be written ({error.strerror}): give another folder") from error
    timeout = socket.getdefaulttimeout()
    socket.setdefaulttimeout(_DOWNLOAD_TIMEOUT_S)
    try:
        parts = read(unfinished, True)
        shutil.copytree(unfinished, folder, dirs_exist_ok=True, copy_function=shutil.move)
        return parts
    except Exception as error:
        raise DataError(
            f"{name} could not be downloaded ({_one_line(error)}): run again with a network, or put a copy at "
            f"{folder / layout}"
        ) from error
    finally:
        socket.setdefaulttimeout(timeout)
        shutil.rmtree(unfinished, ignore_errors=True)
        if not existed:
            with contextlib.suppress(OSError):
                folder.rmdir()


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())[:300] or type(error).__name__


def _read_mnist(kind: str, folder: Path, download: bool) -> tuple[Tensor, ...]:
    from torchvision import datasets

    parts = [getattr(datasets, kind)(folder, train=train, download=download) for train in (True, False)]
    return tuple(tensor for part in parts for tensor in (part.data[:, None], part.targets.long()))


def _read_cifar(kind: str, folder: Path, download: bool) -> tuple[Tensor, ...]:
    from torchvision import datasets

    parts = [getattr(datasets, kind)(folder, train=train, download=download) for train in (True, False)]
    return tuple(
        tensor
        for part in parts
        for tensor in (torch.from_numpy(part.data).permute(0, 3, 1, 2).contiguous(), torch.tensor(part.targets))
    )


def _read_svhn(folder: Path, download: bool) -> tuple[Tensor, ...]:
    from torchvision import datasets

    parts = [datasets.SVHN(folder, split=split, download=download) for split in ("train", "test")]
    return tuple(
        tensor
        for part in parts
        for tensor in (torch.from_numpy(part.data).contiguous(), torch.from_numpy(part.labels).long())
    )


def _read_eurosat(folder: Path, download: bool) -> tuple[Tensor, ...]:
    import numpy
    from torchvision import datasets

    whole = datasets.EuroSAT(folder, download=download)
    images = torch.empty(len(whole), 3, 64, 64, dtype=torch.uint8)
    for row, (image, _) in zip(images, whole, strict=True):
        row.copy_(torch.from_numpy(numpy.array(image)).permute(2, 0, 1))
    return images, torch.tensor(whole.targets)


# Readers give training images, training labels, test images, test labels; or, without an official split, images and
# labels. The second part is where torchvision keeps the data, below data_dir.
_TORCHVISION: Mapping[str, tuple[Reader, str]] = {
    "mnist": (partial(_read_mnist, "MNIST"), "MNIST/raw"),
    "fashion_mnist": (partial(_read_mnist, "FashionMNIST"), "FashionMNIST/raw"),
    "cifar10": (partial(_read_cifar, "CIFAR10"), "cifar-10-batches-py"),
    "cifar100": (partial(_read_cifar, "CIFAR100"), "cifar-100-python"),
    "svhn": (_read_svhn, "train_32x32.mat"),
    "eurosat": (_read_eurosat, "eurosat"),
}

_BY_CLASS = ("eurosat", "image_folder")

DATASETS: tuple[str, ...] = ("digits", *_TORCHVISION, "image_folder")
