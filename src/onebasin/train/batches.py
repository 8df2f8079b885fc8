"""The images of a split on the device, given out in normalised batches, augmented where they are trained on."""

from __future__ import annotations

from collections.abc import Iterator

import torch
import torch.nn.functional as F
from torch import Tensor

from onebasin.data import Dataset
from onebasin.train.settings import Settings

# Images up to this size are normalised once and kept as floats; larger ones stay bytes and are normalised by batch.
_FLOAT_LIMIT_BYTES = 256 * 2**20


class Images:
    """The images of a split on the device, given out in normalised batches.

    Args:
        dataset: the data set.
        split: which of its splits.
        settings: of the training.
        device: where they go.
        part: indices of the images that are meant; None for all. They are normalised as those of the whole data set.
    """

    def __init__(
        self, dataset: Dataset, split: str, settings: Settings, device: torch.device, part: Tensor | None = None
    ) -> None:
        images, labels = dataset.raw(split)
        if part is not None:
            images, labels = images[part], labels[part]
        self.images, self.labels = images.to(device), labels.to(device)
        self.text = dataset.context is not None
        self._normaliser = dataset.normaliser(device)
        self.size = images.shape[-2:]
        if images.ndim != 4 and (settings.augment != "none" or settings.channels_last):
            what = "text" if self.text else f"of shape {list(images.shape[1:])}"
            raise ValueError(f"{dataset.name} is {what}: augment must be none, and channels_last false")
        self.flip = split == "train" and settings.augment in ("flip", "flip_crop")
        self.padding = settings.crop_padding if split == "train" and settings.augment in ("crop", "flip_crop") else 0
        self.format = torch.channels_last if settings.channels_last else torch.contiguous_format
        self.normalised = not self.flip and not self.padding and 4 * images.numel() <= _FLOAT_LIMIT_BYTES
        if self.normalised:
            self.images = self._normalise(self.images)
        elif self.padding:
            self.images = F.pad(self.images, (self.padding,) * 4)

    def _normalise(self, images: Tensor) -> Tensor:
        if self.text:
            return self._normaliser(images)
        return self._normaliser(images).contiguous(memory_format=self.format)

    def in_order(self, batch_size: int) -> Iterator[Tensor]:
        """Give the images of an unaugmented split as they come."""
        for images in self.images.split(batch_size):
            yield images if self.normalised else self._normalise(images)

    def shuffled(self, order: Tensor, batch_size: int, generator: torch.Generator) -> Iterator[Tensor]:
        """Give the images in the order of the index `order`, augmented by draws from `generator`."""
        if self.normalised:
            yield from self.images[order].contiguous(memory_format=self.format).split(batch_size)
            return
        device = self.images.device
        # Drawn on the CPU, so that every device sees the same images.
        shifts = torch.randint(2 * self.padding + 1, (2, len(order)), generator=generator).to(device)
        flips = torch.randint(2, (len(order), 1, 1, 1), generator=generator, dtype=torch.bool).to(device)
        windows = self.images.unfold(2, self.size[0], 1).unfold(3, self.size[1], 1) if self.padding else None
        for start in range(0, len(order), batch_size):
            batch = slice(start, start + batch_size)
            if windows is None:
                images = self.images[order[batch]]
            else:
                images = windows[order[batch], :, shifts[0, batch], shifts[1, batch]]
            if self.flip:
                images = torch.where(flips[batch], images.flip(3), images)
            yield self._normalise(images)
