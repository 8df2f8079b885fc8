"""Where data sets come from: scikit-learn, Python, torchvision, a folder or a file of the user's own."""

from __future__ import annotations

import contextlib
import logging
import shutil
import socket
import tempfile
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path

import torch
from torch import Tensor

from onebasin.data import file, image_folder, text
from onebasin.data.dataset import DataError, Dataset
from onebasin.data.image_folder import one_line
from onebasin.data.splits import mix, split_off_test

log = logging.getLogger(__name__)

Reader = Callable[[Path, bool], tuple[Tensor, ...]]

IMAGE_SIZE = 32
"""Pixels a side, to which images of a folder are brought unless one says otherwise."""
CONTEXT = 64
"""Bytes in a piece of text, unless one says otherwise."""
_DOWNLOAD_TIMEOUT_S = 60.0


def load(
    name: str,
    data_dir: str | Path | None = None,
    seed: int = 0,
    download: bool = True,
    image_size: int = IMAGE_SIZE,
    context: int = CONTEXT,
    path: str | Path | None = None,
) -> Dataset:
    """Load a data set by name.

    The data set `image_folder` is a folder of the user's own with one folder of images for each class, as torchvision's
    `ImageFolder` reads it, below `train/` and `test/` or, without these, by itself. Its images are decoded once, and
    kept in the file `.onebasin-<image_size>.safetensors` in that folder until a name, size or time in it changes.
    Training images that lie class by class, there and in `eurosat`, are put in a random order.

    The data set `text_folder` is the text in a folder of the user's own, and `pydoc` the reference of the language that
    comes with Python itself and that `help` shows: bytes, each of which has the next one as its label, in pieces of
    `context` bytes. The last fifth of every file is for testing; the pieces for training are in a random order.

    The data set `file` is a file of the user's own, as `data.file` reads it.

    Args:
        name: one of `DATASETS`.
        data_dir: the folder where the data lies, as torchvision lays it out, or goes; `digits` and `pydoc` need none.
        seed: of the split of data sets that come without one (`digits`, `eurosat`, at times `image_folder` and `file`),
            and of the random order, also of text.
        download: fetch what is not in `data_dir`.
        image_size: height and width in pixels to which images of `image_folder` are scaled, their longer side cropped.
        context: bytes of a piece of text.
        path: the file of the data set `file`.

    Returns:
        The data set.

    Raises:
        ValueError: an unknown name, or an image size or context below 1.
        DataError: the data cannot be found, read or downloaded.
    """
    if name not in DATASETS:
        raise ValueError(f"unknown data set {name!r}: give one of {', '.join(sorted(DATASETS))}")
    if name == "digits":
        return _digits(seed)
    if name == "file":
        if path is None:
            raise DataError("file needs path, the file of images and labels")
        try:
            return file.dataset(name, file.read(path), seed)
        except DataError as error:
            raise DataError(str(error) if str(path) in str(error) else f"{path}: {error}") from None
    if name == "pydoc":
        return mix(text.dataset(name, [text.python()], context), seed)
    if data_dir is None:
        raise DataError(f"{name} needs data_dir, the folder where it lies or shall go")
    folder = Path(data_dir).expanduser()
    if folder.exists() and not folder.is_dir():
        raise DataError(f"data_dir {folder} is a file: give a folder")
    if not folder.is_dir() and not (download and name in _TORCHVISION):
        raise DataError(f"data_dir {folder} does not exist: give the folder that holds {name}")
    if name == "text_folder":
        return mix(text.dataset(name, text.read(folder), context), seed)
    parts = (
        image_folder.read(folder, image_size) if name == "image_folder" else _from_torchvision(name, folder, download)
    )
    if len(parts) == 2:
        dataset = split_off_test(name, *parts, seed)
    else:
        train_images, train_labels, test_images, test_labels = parts
        classes = int(torch.cat([train_labels, test_labels]).max()) + 1
        dataset = Dataset(name, train_images, train_labels, test_images, test_labels, classes)
    return mix(dataset, seed) if name in _BY_CLASS else dataset


def _digits(seed: int) -> Dataset:
    from sklearn.datasets import load_digits

    bunch = load_digits()
    images = torch.tensor(bunch.images, dtype=torch.uint8)[:, None]
    labels = torch.tensor(bunch.target, dtype=torch.int64)
    return split_off_test("digits", images, labels, seed)


def _from_torchvision(name: str, folder: Path, download: bool) -> tuple[Tensor, ...]:
    read, layout = _TORCHVISION[name]
    try:
        return read(folder, False)
    # torchvision and what it calls raise errors of many types over a damaged file.
    except Exception as error:
        if not (isinstance(error, RuntimeError) and "not found" in str(error)):
            raise DataError(
                f"{name} in {folder} cannot be read ({one_line(error)}): remove {folder / layout} and run again"
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
            f"{name} could not be downloaded ({one_line(error)}): run again with a network, or put a copy at "
            f"{folder / layout}"
        ) from error
    finally:
        socket.setdefaulttimeout(timeout)
        shutil.rmtree(unfinished, ignore_errors=True)
        if not existed:
            with contextlib.suppress(OSError):
                folder.rmdir()


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

DATASETS: tuple[str, ...] = ("digits", *_TORCHVISION, "image_folder", "file", "pydoc", "text_folder")
"""What ``load`` knows by name."""
