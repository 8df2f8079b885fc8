"""A folder of the user's own, with one folder of images for each class; its images are decoded once."""

from __future__ import annotations

import hashlib
import logging
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple, NoReturn

import torch
from torch import Tensor

from onebasin.data.dataset import DataError
from onebasin.files import FileError, load_metadata, load_tensors, save_tensors

log = logging.getLogger(__name__)

_IMAGE_SUFFIXES = (".bmp", ".jpeg", ".jpg", ".pgm", ".png", ".ppm", ".tif", ".tiff", ".webp")


class _Listing(NamedTuple):
    """The images of a folder of class folders: the sorted classes, files with labels, and what changes with them."""

    classes: list[str]
    files: list[tuple[Path, int]]
    digest: str


def read(folder: Path, image_size: int) -> tuple[Tensor, ...]:
    """Return the images and labels of a folder: of train/ and test/, or of the folder itself.

    Args:
        folder: holds a folder for each class, below train/ and test/ or by themselves.
        image_size: height and width in pixels to which images are scaled.

    Raises:
        DataError: an image or folder is missing or cannot be read.
        ValueError: an image size below 1.
    """
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
            raise DataError(f"{paths[index]} cannot be read ({one_line(error)}): repair or remove it") from error
        images[index] = torch.from_numpy(numpy.array(fitted)).permute(2, 0, 1)

    with ThreadPoolExecutor(torch.get_num_threads()) as pool:
        try:
            for _ in pool.map(decode, range(len(paths))):
                pass
        finally:
            pool.shutdown(cancel_futures=True)
    return images


def one_line(error: Exception) -> str:
    """Return what an error says, on one line."""
    return " ".join(str(error).split())[:300] or type(error).__name__
