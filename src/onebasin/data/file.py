"""A file of the user's own: images and labels as tensors, in safetensors, of `torch.save` or of `numpy.savez`."""

from __future__ import annotations

import zipfile
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from onebasin.data.dataset import DataError, Dataset
from onebasin.data.image_folder import one_line
from onebasin.data.splits import mix, split_off_test

WHOLE = ("images", "labels")
SPLIT = ("train_images", "train_labels", "test_images", "test_labels")
HELD_OUT = ("held_out_images", "held_out_labels")
_KEYS = f"{', '.join(SPLIT)} and perhaps {', '.join(HELD_OUT)}; or {', '.join(WHOLE)}"


def read(path: str | Path) -> dict[str, Tensor | np.ndarray]:
    """Read tensors or arrays by name, without running code.

    Args:
        path: safetensors, a dictionary of tensors written by `torch.save`, or arrays by `numpy.savez`; which of them is
            told by the contents.

    Returns:
        Tensors or arrays by name, on the CPU.

    Raises:
        DataError: the file is missing or unreadable, or holds something else.
    """
    try:
        with open(path, "rb") as file:
            start = file.read(4)
        if start.startswith(b"PK") and any(name.endswith(".npy") for name in zipfile.ZipFile(path).namelist()):
            with np.load(path, allow_pickle=False) as arrays:
                return dict(arrays)
        if start.startswith((b"PK", b"\x80")):
            content = torch.load(path, map_location="cpu", weights_only=True)
        else:
            from safetensors.torch import load_file

            content = load_file(path)
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror or error}") from None
    except Exception as error:  # whatever a reader says of a damaged or foreign file
        reason = one_line(error).partition(". ")[0]
        raise DataError(
            f"{path} holds no tensors that can be read without running code ({reason}): write a dictionary of tensors "
            "by safetensors or torch.save, or arrays by numpy.savez"
        ) from None
    if not isinstance(content, Mapping):
        raise DataError(f"{path} holds a {type(content).__name__}: give a dictionary with {_KEYS}")
    return dict(content)


def dataset(name: str, parts: Mapping[str, Tensor | np.ndarray], seed: int = 0) -> Dataset:
    """Make a data set of images and labels.

    Args:
        name: of the data set.
        parts: `train_images`, `train_labels`, `test_images`, `test_labels` and perhaps `held_out_images` and
            `held_out_labels`; or `images` and `labels`, of which a fifth is split off for testing, each class in
            proportion. Images are bytes [n, channels, height, width] or numbers [n, …], labels whole numbers [n] from
            0. Text is whole numbers [n, context], with labels of that shape.
        seed: of the split, and of the random order in which training images are put that lie class by class.

    Returns:
        The data set: bytes, of which networks see normalised channels; or float32, which they see as they are.

    Raises:
        DataError: a part is missing, or is not what it should be.
    """
    keys = set(parts)
    if keys not in (set(WHOLE), set(SPLIT), {*SPLIT, *HELD_OUT}):
        raise DataError(f"it holds {', '.join(map(str, parts)) or 'nothing'}: give {_KEYS}")
    given: dict[str, Any] = {}
    for key in (key for key in (*WHOLE, *SPLIT, *HELD_OUT) if key in keys and key.endswith("images")):
        of_labels = key.replace("images", "labels")
        images, labels = _tensor(key, parts[key]), _labels(of_labels, _tensor(of_labels, parts[of_labels]))
        if len(images) != len(labels):
            raise DataError(f"there are {len(images)} {key} and {len(labels)} {of_labels}: give as many of both")
        if labels.ndim == 2 and (images.is_floating_point() or images.shape != labels.shape):
            raise DataError(
                f"{of_labels} have shape {list(labels.shape)}: give one class an image, [n]; of one-hot ones argmax(1)"
            )
        given |= {key: _images(key, images, text=labels.ndim == 2), of_labels: labels}
    first = min(int(tensor.min()) for key, tensor in given.items() if key.endswith("labels"))
    if first < 0 or (first > 0 and labels.ndim == 1):
        raise DataError(f"the least label is {first}: give whole numbers from 0 to the number of classes - 1")
    classes = max(int(t.max()) for key, t in given.items() if key.endswith("labels") or t.dtype == torch.int64) + 1
    # Numbers that somebody prepared are what networks see, as far as one can know.
    given["normalisation"] = "none" if images.is_floating_point() else "channels"
    if keys == set(WHOLE):
        found = split_off_test(name, given["images"], given["labels"], seed)
        found = replace(found, classes=classes, normalisation=given["normalisation"])
    else:
        found = Dataset(name, classes=classes, **given)
    order = found.train_labels
    return mix(found, seed) if order.ndim == 1 and bool((order[1:] >= order[:-1]).all()) else found


def _tensor(key: str, value: Any) -> Tensor:
    if isinstance(value, np.ndarray) and value.dtype.kind in "iuf":
        # PyTorch does little with wide numbers without a sign.
        plain = value if value.dtype.kind != "u" or value.dtype == np.uint8 else value.astype(np.int64)
        value = torch.from_numpy(np.ascontiguousarray(plain.astype(plain.dtype.newbyteorder("="))))
    if not torch.is_tensor(value) or value.dtype == torch.bool or value.is_complex():
        raise DataError(f"{key} are {getattr(value, 'dtype', type(value).__name__)}: give an array of numbers")
    if value.ndim == 0 or value.numel() == 0:
        raise DataError(f"{key} have shape {list(value.shape)}: give at least one")
    return value.detach().cpu().contiguous()


def _labels(key: str, labels: Tensor) -> Tensor:
    if labels.is_floating_point():
        raise DataError(f"{key} are {_type(labels)}: give whole numbers, the classes from 0")
    if labels.ndim > 2:
        raise DataError(f"{key} have shape {list(labels.shape)}: give [n], or of text [n, context]")
    return labels.long()


def _images(key: str, images: Tensor, *, text: bool) -> Tensor:
    shape = list(images.shape)
    if len(shape) == 4 and shape[3] in (1, 3) and shape[1] not in (1, 3):
        raise DataError(f"{key} have shape {shape}, channels last: give images.permute(0, 3, 1, 2)")
    if int(images.isnan().sum()) == 0 and bool(images.min() == images.max()):
        raise DataError(f"{key} hold nothing but {images.min().item():g}: there is nothing to tell images by")
    if images.is_floating_point():
        return images.float()
    if text:
        return images if images.dtype == torch.uint8 else images.long()
    low, high = int(images.min()), int(images.max())
    if low < 0 or high > 255:
        raise DataError(f"{key} are {_type(images)} from {low} to {high}: give bytes, 0 to 255, or floats")
    if len(shape) not in (2, 4):
        raise DataError(f"{key} have shape {shape}: give [n, channels, height, width]; one channel is images[:, None]")
    return images.to(torch.uint8)


def _type(tensor: Tensor) -> str:
    return str(tensor.dtype).removeprefix("torch.")
