"""Data sets made from a data set: split, held out, varied, with wrong labels; and their parts."""

from __future__ import annotations

import math
import random
from dataclasses import replace
from itertools import pairwise

import torch
from torch import Tensor

from onebasin import seeding
from onebasin.data.dataset import DataError, Dataset

TEST_FRACTION = 0.2
"""Share of each class that is for testing, where a data set comes in one piece."""
VARIANTS = ("none", "inverted", "rotated", "permuted")
"""What ``vary`` can make of a data set."""
DIVISIONS = ("equal", "classes", "dirichlet")
"""How ``divide`` can divide the training images."""


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


def split_off_test(name: str, images: Tensor, labels: Tensor, seed: int) -> Dataset:
    """Return a data set of which a fifth of the images, each class in proportion, are for testing."""
    train, test = stratified_split(strata(labels), TEST_FRACTION, seeding.generator("data", name, "split", seed))
    return Dataset(name, images[train], labels[train], images[test], labels[test], int(labels.max()) + 1)


def strata(labels: Tensor) -> Tensor:
    """Return what a split keeps in proportion: the classes [n]; nothing where there is no one label for each image."""
    return labels if labels.ndim == 1 else torch.zeros(len(labels), dtype=torch.int64)


def mix(dataset: Dataset, seed: int) -> Dataset:
    """Put the training images in a random order, so that the first ones are of all classes."""
    generator = seeding.generator("data", dataset.name, "order", seed)
    order = torch.randperm(len(dataset.train_labels), generator=generator)
    return replace(dataset, train_images=dataset.train_images[order], train_labels=dataset.train_labels[order])


def hold_out(dataset: Dataset, share: float) -> Dataset:
    """Take images out of training, for what must be fitted on images that no network has seen.

    Args:
        dataset: a data set of which none are held out.
        share: share of the training images, 0 to 1; they are drawn at random, each class in proportion where each
            image has one class.

    Returns:
        The data set with fewer training images and the split "held_out", or as it is for a share of 0.

    Raises:
        DataError: no training images would be left.
    """
    if not share:
        return dataset
    labels = dataset.train_labels
    rest, taken = stratified_split(strata(labels), share, seeding.generator("data", dataset.name, "held out"))
    return replace(
        dataset,
        train_images=dataset.train_images[rest],
        train_labels=labels[rest],
        held_out_images=dataset.train_images[taken],
        held_out_labels=labels[taken],
    )


def mislabel(dataset: Dataset, share: float, seed: int) -> Dataset:
    """Give training images wrong labels, so that networks have to learn some of them by heart.

    Args:
        dataset: a data set of images.
        share: share of the training images, 0 to 1, rounded to whole images. Which they are is drawn at random, and so
            is the label of each, evenly among the other classes.
        seed: of these draws.

    Returns:
        The data set with other labels for training and all else as it was, or as it is for a share of 0.

    Raises:
        DataError: text has no labels that could be wrong, and neither has a data set of one class.
    """
    if not share:
        return dataset
    if dataset.context or dataset.classes < 2:
        what = "text" if dataset.context else "of one class"
        raise DataError(f"label_noise: {dataset.name} is {what}, where no label can be wrong: give 0")
    generator = seeding.generator("data", dataset.name, "label noise", seed)
    labels = dataset.train_labels.clone()
    wrong = torch.randperm(len(labels), generator=generator)[: round(share * len(labels))]
    labels[wrong] += torch.randint(1, dataset.classes, (len(wrong),), generator=generator)
    return replace(dataset, name=f"{dataset.name}, label noise {share:g}", train_labels=labels % dataset.classes)


def divide(
    dataset: Dataset,
    by: str,
    number: int,
    *,
    share: float = 0.8,
    concentration: float = 0.5,
    seed: int = 0,
    division: int = 0,
) -> list[Tensor]:
    """Divide the training images into parts, so that each network can be trained on one of them.

    Args:
        dataset: the data set.
        by: "equal": at random, each class in proportion. "classes": `share` of class c goes to part c mod `number`, and
            the rest to the other parts alike. "dirichlet": the proportions in which the parts have a class are drawn
            from a symmetric Dirichlet distribution, for every class anew (Hsu et al. 2019, arXiv 1909.06335).
        number: of parts, at least 1; with 1 the only part is the whole.
        share: of "classes", 0 to 1.
        concentration: of "dirichlet", above 0; the smaller, the more unlike are the parts.
        seed: of what is drawn.
        division: which of several divisions, each drawn anew.

    Returns:
        For each part the indices of its images, int64, sorted. Each image is in one part.

    Raises:
        ValueError: another value of `by`, or a number below 1.
        DataError: a part would be empty, or text, which has no classes, would be divided by them.
    """
    if by not in DIVISIONS:
        raise ValueError(f"unknown division {by!r}: give one of {', '.join(DIVISIONS)}")
    if number < 1:
        raise ValueError(f"number of parts must be at least 1, not {number}")
    if dataset.context and by != "equal":
        raise DataError(f"parts: {dataset.name} is text, which has no classes to be divided by: give equal")
    address = ("data", dataset.name, "parts", by, number, seed, division)
    generator, draws = seeding.generator(*address), random.Random(seeding.derive(*address))  # noqa: S311
    labels = strata(dataset.train_labels)
    part_of = torch.empty(len(labels), dtype=torch.int64)
    dealt = 0
    for label in range(dataset.classes):
        members = torch.nonzero(labels == label).flatten()
        members = members[torch.randperm(len(members), generator=generator)]
        if by == "equal":
            # In turn, from where the class before ended: parts differ by one image at most, in all and by class.
            part_of[members] = (dealt + torch.arange(len(members))) % number
            dealt += len(members)
            continue
        if by == "classes":
            shares = [share if part == label % number else (1 - share) / max(number - 1, 1) for part in range(number)]
        else:
            shares = _dirichlet(number, concentration, draws)
        total = sum(shares)
        cuts = [round(len(members) * sum(shares[:part]) / total) for part in range(number + 1)]
        for index, (start, end) in enumerate(pairwise(cuts)):
            part_of[members[start:end]] = index
    parts = [torch.nonzero(part_of == part).flatten() for part in range(number)]
    for index, part in enumerate(parts):
        if not len(part):
            raise DataError(
                f"parts: part {index} of {number} would have none of the {len(labels)} training images of "
                f"{dataset.name}: give fewer parts{', or a greater concentration' * (by == 'dirichlet')}"
            )
    return parts


def _dirichlet(number: int, concentration: float, draws: random.Random) -> list[float]:
    """Draw shares from a symmetric Dirichlet distribution, as gamma variables over their sum.

    By their logarithms, since those of a small concentration may be too small for a float.
    """
    logs = [
        math.log(draws.gammavariate(concentration + 1, 1)) + math.log(1 - draws.random()) / concentration
        for _ in range(number)
    ]
    shares = [math.exp(log - max(logs)) for log in logs]
    return [share / sum(shares) for share in shares]


def vary(dataset: Dataset, variant: str, seed: int = 0) -> Dataset:
    """Make another data set of the same shape and classes out of one.

    Args:
        dataset: the data set.
        variant: "none"; "inverted", bright for dark; "rotated", by 90 degrees counterclockwise, which needs square
            images; or "permuted", all pixels in one random order, the same for all images and channels.
        seed: of this order.

    Returns:
        The data set with all its images changed.

    Raises:
        ValueError: an unknown variant.
        DataError: images that are not square cannot be rotated, images without pixels cannot be permuted, and text
            cannot be varied.
    """
    if variant not in VARIANTS:
        raise ValueError(f"unknown variant {variant!r}: give one of {', '.join(VARIANTS)}")
    if variant == "none":
        return dataset
    if dataset.context:
        raise DataError(f"{dataset.name} is text, of which there is no variant {variant!r}")
    if variant == "rotated" and (len(dataset.image_shape) != 3 or dataset.image_shape[1] != dataset.image_shape[2]):
        raise DataError(f"images of {dataset.name} are not square: rotated, they would have another shape")
    if variant == "permuted" and len(dataset.image_shape) < 2:
        raise DataError(f"images of {dataset.name} have no pixels to permute")
    darkest, brightest = dataset.train_images.min(), dataset.train_images.max()
    if dataset.train_images.dtype == torch.uint8:
        darkest = torch.zeros_like(darkest)
    order = torch.randperm(math.prod(dataset.image_shape[1:]), generator=seeding.generator("data", "pixels", seed))

    def changed(images: Tensor) -> Tensor:
        if variant == "inverted":
            return brightest - images.clamp(max=brightest) + darkest
        return images.rot90(1, (2, 3)) if variant == "rotated" else images.flatten(2)[..., order].reshape(images.shape)

    held_out = dataset.held_out_images
    return replace(
        dataset,
        name=f"{dataset.name}, {variant}",
        train_images=changed(dataset.train_images).contiguous(),
        test_images=changed(dataset.test_images).contiguous(),
        held_out_images=None if held_out is None else changed(held_out).contiguous(),
    )
