"""A data set of images or texts: one tensor per split, held in memory, and its file."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from onebasin.files import FileError, load_tensors, save_tensors

Normalisation = str | Mapping[str, float | Sequence[float]]
NORMALISATIONS = ("channels", "none")
"""What networks see of images, by name (see ``Dataset``)."""
TYPES = (torch.uint8, torch.float32)


class DataError(ValueError):
    """A data set that cannot be had; the message says what to do."""


@dataclass(frozen=True, eq=False)
class Dataset:
    """Training and test images with their labels; or pieces of text, of which every byte has the next one as its label.

    Attributes:
        name: the name of the data set.
        train_images: bytes [n, channels, height, width], or float32 of any shape [n, channels, …]; or of text
            [n, context], bytes or int64.
        train_labels: int64 [n]; of text [n, context].
        test_images: as those for training, [m, …].
        test_labels: int64 [m]; or [m, context].
        classes: number of classes.
        held_out_images: training images that no network is trained on; None for none.
        held_out_labels: their labels.
        normalisation: what networks see of images. "channels": each channel less its mean, over its standard deviation,
            of the training images; "none": floats as they are, bytes over 255; or the "mean" and "std" to use, of all
            channels or of each, in units of the floats, or of bytes over 255.
    """

    name: str
    train_images: Tensor
    train_labels: Tensor
    test_images: Tensor
    test_labels: Tensor
    classes: int
    held_out_images: Tensor | None = None
    held_out_labels: Tensor | None = None
    normalisation: Normalisation = "channels"

    def __post_init__(self) -> None:
        """Check shapes and types."""
        for split in self.splits:
            images, labels = self.raw(split)
            text = labels.ndim == 2
            fits = images.dtype in ((torch.uint8, torch.int64) if text else TYPES) and images.ndim >= 2
            if not fits or (images.dtype == torch.uint8 and images.ndim not in (2, 4)) or len(images) == 0:
                shapes = "uint8 [n, channels, height, width] or float32 [n, channels, …], or [n, context] of text"
                raise DataError(f"{split} images of {self.name} must be {shapes}, with n > 0")
            wanted = list(images.shape if text else images.shape[:1])
            if labels.dtype != torch.int64 or list(labels.shape) != wanted:
                raise DataError(f"{split} labels of {self.name} must be int64 {wanted}")
            if images.dtype == torch.float32 and not images.isfinite().all():
                raise DataError(f"{split} images of {self.name} hold numbers that are not finite")
            if int(labels.min()) < 0 or int(labels.max()) >= self.classes:
                raise DataError(f"{split} labels of {self.name} must lie in 0..{self.classes - 1}")
        if self.train_images.shape[1:] != self.test_images.shape[1:]:
            raise DataError(f"training and test images of {self.name} differ in shape")
        if self.train_images.dtype != self.test_images.dtype or self.train_labels.ndim != self.test_labels.ndim:
            raise DataError(f"training and test images of {self.name} differ in type")
        self._check_normalisation()

    def _check_normalisation(self) -> None:
        given = self.normalisation
        if isinstance(given, str):
            if given not in NORMALISATIONS:
                raise DataError(f"normalise {given!r}: give {', '.join(NORMALISATIONS)}, or mean and std")
            return
        if given.keys() != {"mean", "std"} or self.context:
            raise DataError(f"{self.name} is text: normalise none" if self.context else "normalise: give mean and std")
        for key, value in given.items():
            values = torch.as_tensor(value, dtype=torch.float64)
            channels = self.train_images.shape[1]
            if values.shape not in ((), (channels,)):
                raise DataError(
                    f"normalise.{key} has {values.numel()} numbers, the images have {channels} channels: give one, or "
                    "one for each"
                )
            if not values.isfinite().all() or (key == "std" and bool((values <= 0).any())):
                raise DataError(f"normalise.{key}: give numbers{' above 0' if key == 'std' else ''}")

    @property
    def splits(self) -> tuple[str, ...]:
        """The names of the splits: "train", "test" and, where there is one, "held_out"."""
        return ("train", "test") if self.held_out_images is None else ("train", "test", "held_out")

    @property
    def image_shape(self) -> tuple[int, ...]:
        """Channels, height and width of an image; of text the context alone."""
        return tuple(self.train_images.shape[1:])

    @property
    def context(self) -> int | None:
        """Bytes of a piece of text; None for images."""
        return self.train_images.shape[1] if self.train_labels.ndim == 2 else None

    @cached_property
    def _moments(self) -> tuple[Tensor, Tensor]:
        if not isinstance(self.normalisation, str) or self.normalisation == "none":
            return self._given_moments()
        if self.train_images.dtype == torch.float32:
            channels = self.train_images.double().transpose(0, 1).flatten(1)
            mean, variance = channels.mean(1), channels.var(1, correction=0)
            return mean.float(), torch.where(variance > 0, variance.sqrt(), torch.ones_like(variance)).float()
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

    def _given_moments(self) -> tuple[Tensor, Tensor]:
        given = {"mean": 0.0, "std": 1.0} if isinstance(self.normalisation, str) else self.normalisation
        unit = 255 if self.train_images.dtype == torch.uint8 else 1
        mean, std = (
            (unit * torch.as_tensor(given[key], dtype=torch.float64)).float().expand(self.train_images.shape[1])
            for key in ("mean", "std")
        )
        return mean, std

    @property
    def mean(self) -> Tensor:
        """What is subtracted from each channel: float32 [channels], of bytes in byte values (0 to 255)."""
        return self._moments[0]

    @property
    def std(self) -> Tensor:
        """What each channel is then divided by: float32 [channels], of bytes in byte values."""
        return self._moments[1]

    @cached_property
    def digest(self) -> str:
        """SHA-256 of shapes, images and labels, and of how images are normalised: the identity of the data."""
        digest = hashlib.sha256(f"{self.classes}".encode())
        if self.normalisation != "channels":
            digest.update(json.dumps(self.normalisation, sort_keys=True).encode())
        for split in self.splits:
            images, labels = self.raw(split)
            digest.update(f"{tuple(images.shape)}".encode())
            digest.update(images.contiguous().numpy().data)
            digest.update(labels.contiguous().numpy().data)
        return digest.hexdigest()

    def raw(self, split: str) -> tuple[Tensor, Tensor]:
        """Give the images of a split as they are, and their labels.

        Args:
            split: one of `splits`.

        Returns:
            Images, bytes or float32 [n, …], and labels int64 [n]; or both [n, context] of text; not copied.

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

    def normaliser(self, device: str | torch.device) -> Callable[[Tensor], Tensor]:
        """Return what normalises images on a device as `normalisation` says.

        Args:
            device: where the images lie.

        Returns:
            A function from images [n, …], as `raw` gives them, to float32 of the same shape; of text to int64.
        """
        if self.context:
            return Tensor.long
        shape = (-1, *[1] * (self.train_images.ndim - 2))
        mean, std = self.mean.to(device).reshape(shape), self.std.to(device).reshape(shape)
        return lambda images: images.to(torch.float32, copy=True).sub_(mean).div_(std)

    def tensors(
        self, split: str, limit: int | None = None, device: str | torch.device = "cpu"
    ) -> tuple[Tensor, Tensor]:
        """Give normalised images of a split with their labels; they are never augmented.

        Args:
            split: one of `splits`.
            limit: only the first so many images.
            device: where the tensors go.

        Returns:
            Images float32 [n, …] and labels int64 [n]; of text both int64 [n, context].

        Raises:
            ValueError: an unknown split, or a limit below 1.
        """
        if limit is not None and limit < 1:
            raise ValueError(f"limit must be at least 1, not {limit}")
        images, labels = self.raw(split)
        return self.normaliser(device)(images[:limit].to(device)), labels[:limit].to(device)


def normalised(dataset: Dataset, setting: Normalisation) -> Dataset:
    """Return a data set of which networks see what a config asks for.

    Args:
        dataset: the data set.
        setting: as its `normalisation`; or "auto", which leaves that as it is.

    Raises:
        DataError: the setting does not fit the images.
    """
    return dataset if setting == "auto" else replace(dataset, normalisation=setting)


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
    about: dict[str, Any] = {"name": dataset.name, "classes": dataset.classes}
    if dataset.normalisation != "channels":
        about["normalisation"] = dataset.normalisation
    save_tensors(path, tensors, about, "dataset")


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
        about = {"name": metadata["name"], "classes": metadata["classes"], **metadata}
        return Dataset(**about, **tensors)  # type: ignore[arg-type]
    except (KeyError, TypeError) as error:
        raise FileError(f"{path} lacks a part of a data set ({error}); delete it and make it again") from None
