"""A data set of images or texts: one tensor of bytes per split, held in memory, and its file."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import torch
from torch import Tensor

from onebasin.files import FileError, load_tensors, save_tensors


class DataError(ValueError):
    """A data set that cannot be had; the message says what to do."""


@dataclass(frozen=True, eq=False)
class Dataset:
    """Training and test images with their labels; or pieces of text, of which every byte has the next one as its label.

    Attributes:
        name: the name of the data set.
        train_images: bytes [n, channels, height, width]; or [n, context] of text.
        train_labels: int64 [n]; or [n, context].
        test_images: bytes [m, channels, height, width]; or [m, context].
        test_labels: int64 [m]; or [m, context].
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
            if images.dtype != torch.uint8 or images.ndim not in (2, 4) or len(images) == 0:
                shapes = "[n, channels, height, width], or [n, context] of text"
                raise DataError(f"{split} images of {self.name} must be uint8 {shapes}, with n > 0")
            wanted = list(images.shape if images.ndim == 2 else images.shape[:1])
            if labels.dtype != torch.int64 or list(labels.shape) != wanted:
                raise DataError(f"{split} labels of {self.name} must be int64 {wanted}")
            if int(labels.min()) < 0 or int(labels.max()) >= self.classes:
                raise DataError(f"{split} labels of {self.name} must lie in 0..{self.classes - 1}")
        if self.train_images.shape[1:] != self.test_images.shape[1:]:
            raise DataError(f"training and test images of {self.name} differ in shape")

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
        return self.train_images.shape[1] if self.train_images.ndim == 2 else None

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
            Images uint8 [n, channels, height, width] and labels int64 [n], or both [n, context] of text; not copied.

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
            images: bytes [n, channels, height, width], or [n, context] of text, on any device.

        Returns:
            float32 of the same shape and device; of text the bytes as they are, int64.
        """
        if self.context:
            return images.long()
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
            Images float32 [n, channels, height, width] and labels int64 [n]; of text both int64 [n, context].

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
