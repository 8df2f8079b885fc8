"""The data that a command is given: a data set by name, a folder, a file, or what a function returns."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import Tensor

    from onebasin.data import Dataset

TEXTS, IMAGES, FILE = "text_folder", "image_folder", "file"


def find(given: argparse.Namespace) -> Dataset:
    """Load the data that a command is given.

    A name is looked up first, then a file or folder, then a function.

    Args:
        given: with data, data_dir, image_size, context and normalise.

    Raises:
        ValueError: if the data cannot be found or read, or do not have that normalisation.
    """
    from onebasin import data

    spec = given.data
    path = Path(spec).expanduser()
    sizes = {"image_size": given.image_size, "context": given.context}
    sizes = {name: size for name, size in sizes.items() if size is not None}
    if spec in data.DATASETS and spec not in (IMAGES, TEXTS, FILE):
        dataset = data.load(spec, given.data_dir, **sizes)
    elif path.is_dir():
        texts = any(path.rglob("*.txt")) and not any(folder.is_dir() for folder in path.iterdir())
        dataset = data.load(TEXTS if texts else IMAGES, path, **sizes)
    elif path.is_file():
        dataset = _file(path)
    elif ":" in spec:
        dataset = _returned(spec)
    else:
        named = ", ".join(sorted(set(data.DATASETS) - {IMAGES, TEXTS, FILE}))
        raise ValueError(
            f"--data {spec!r} is no file and no folder: give one, package.module:function, or the name of a data set "
            f"({named})"
        )
    return data.normalised(dataset, normalisation(given.normalise) if given.normalise else "auto")


def normalisation(text: str) -> Any:
    """Read --normalise.

    Raises:
        ValueError: for what is neither channels, none, nor MEAN/STD with one number or one for each channel.
    """
    if text in ("channels", "none"):
        return text
    try:
        mean, std = ([float(value) for value in part.split(",")] for part in text.split("/"))
        if len(mean) == len(std) and min(std) > 0:
            return {"mean": mean, "std": std}
    except ValueError:
        pass
    raise ValueError(f"--normalise {text!r}: give channels, none, or MEAN/STD such as 0.1307/0.3081")


def _file(path: Path) -> Dataset:
    """Open a data set that a study wrote, or images and labels of the user's own."""
    from onebasin import data, files

    try:
        files.load_metadata(path, "dataset")
    except files.FileError:
        return data.load(FILE, path=path)
    return data.open_(path)


def _returned(spec: str) -> Dataset:
    """Return what a function returns as a data set.

    A function returns training and test data, each a torch data set of (image, label), a loader of batches of them, or
    a pair of tensors; one of these, of which a part is kept for testing; the tensors by the names that a file has; or
    a ``Dataset``.
    """
    from onebasin.data import DataError, Dataset, file
    from onebasin.models import factory

    function = factory.load(spec)
    try:
        found = function()
        if isinstance(found, Dataset):
            return found
        if isinstance(found, Mapping):
            return file.dataset(spec, found)
        if isinstance(found, tuple | list) and len(found) == 2 and not _is_pair(found):
            train, test = (_tensors(part) for part in found)
            names = ("train_images", "train_labels", "test_images", "test_labels")
            return file.dataset(spec, dict(zip(names, (*train, *test), strict=True)))
        return file.dataset(spec, dict(zip(("images", "labels"), _tensors(found), strict=True)))
    except DataError:
        raise
    except Exception as error:  # whatever a foreign function raises
        reason = " ".join(str(error).split("\n\n")[0].split())
        raise ValueError(f"--data {spec!r}: {type(error).__name__}: {reason}") from error


def _is_pair(found: Any) -> bool:
    """Say whether this is images and their labels, and not training and test data."""
    import numpy as np
    import torch

    arrays = [torch.as_tensor(part) if isinstance(part, np.ndarray) else part for part in found]
    return all(torch.is_tensor(part) for part in arrays) and not arrays[1].is_floating_point()


def _tensors(part: Any) -> tuple[Tensor, Tensor]:
    import torch
    from torch.utils.data import DataLoader, default_collate

    if isinstance(part, tuple | list) and len(part) == 2 and _is_pair(part):
        images, labels = part
        return torch.as_tensor(images), torch.as_tensor(labels)
    batches = list(part) if isinstance(part, DataLoader) else [default_collate([part[i] for i in range(len(part))])]
    images, labels = (torch.cat([batch[index] for batch in batches]) for index in (0, 1))
    return images, labels
