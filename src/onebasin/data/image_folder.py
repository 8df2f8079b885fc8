"""A folder of the user's own, with one folder of images for each class; its images are decoded once."""

from __future__ import annotations

import hashlib
import logging
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, NoReturn

import torch
from torch import Tensor

from onebasin.data.dataset import DataError
from onebasin.files import FileError, load_metadata, load_tensors, save_tensors

if TYPE_CHECKING:
    from PIL import Image

log = logging.getLogger(__name__)

_IMAGE_SUFFIXES = (".bmp", ".jpeg", ".jpg", ".pgm", ".png", ".ppm", ".tif", ".tiff", ".webp")

# Changes with what is made of an image, so that what was decoded before is decoded again.
_DECODING = 2

# How the folders of a split are called by others, who may well begin them with a capital.
_SPLITS = {
    "train": ("train", "training", "trn"),
    "test": ("test", "testing", "tst"),
    "validation": ("val", "valid", "validation", "dev", "eval", "evaluation"),
}


class _Listing(NamedTuple):
    """The images of a folder of class folders: the sorted classes, files with labels, and what changes with them."""

    classes: list[str]
    files: list[tuple[Path, int]]
    digest: str


def read(folder: Path, image_size: int) -> tuple[Tensor, ...]:
    """Return the images and labels of a folder: of train/ and test/, or of the folder itself.

    Images are turned as their EXIF data says. Gray values of 16 bits become bytes; of several pages or frames the first
    is read. What is hidden, by a name that begins with a dot, is not looked at.

    Args:
        folder: holds a folder for each class, below train/ and test/ or by themselves.
        image_size: height and width in pixels to which images are scaled.

    Raises:
        DataError: an image or folder is missing or cannot be read; an image has values of no known range; all images
            are the same; or folders seem to be splits and not classes.
        ValueError: an image size below 1.
    """
    if isinstance(image_size, bool) or not isinstance(image_size, int) or image_size < 1:
        raise ValueError(f"image_size must be an integer of at least 1, not {image_size!r}")
    try:
        splits = _find_splits(folder)
        listings = [_list_images(folder / split) for split in splits or [""]]
    except OSError as error:
        raise DataError(f"{error.filename} cannot be read ({error.strerror}): repair or remove it") from error
    if unshared := set(listings[0].classes) ^ set(listings[-1].classes):
        first = min(unshared)
        where = splits[first in listings[1].classes]
        raise DataError(f"{folder}: class {first} is in {where}/ alone: train/ and test/ need the same classes")
    shaped_by = [str(_DECODING), str(image_size), *(listing.digest for listing in listings)]
    digest = hashlib.sha256(" ".join(shaped_by).encode()).hexdigest()
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
    if (parts[0] == parts[0][:1]).all():
        raise DataError(f"{folder}: all images to train on are the same: give images that differ")
    try:
        save_tensors(cache, dict(zip(names, parts, strict=True)), {"digest": digest}, "image folder")
    except FileError as error:
        log.warning("the decoded images are not kept for another time: %s", error)
    return tuple(parts)


def _folders(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir() if path.is_dir() and not path.name.startswith("."))


def _seeming_splits(names: list[str]) -> dict[str, str]:
    """Map folders whose names are those of splits to what they are for."""
    return {name: split for name in names for split, words in _SPLITS.items() if name.lower() in words}


def _find_splits(folder: Path) -> list[str]:
    """Return train and test, or nothing where there are class folders alone."""
    names = _folders(folder)
    splits: list[str] = [split for split in ("train", "test") if split in names]
    seeming = _seeming_splits(names)
    if len(splits) == 2:
        if others := [f"{name}/" for name in names if name not in splits]:
            log.warning("%s: train/ and test/ are read, and not %s", folder, ", ".join(others))
    elif splits and len(seeming) == 1:
        lacking = "test" if splits == ["train"] else "train"
        raise DataError(f"{folder} has {splits[0]}/ but no {lacking}/: give both, or class folders alone")
    elif len({*seeming.values()}) > 1 or len(names) == len(seeming) > 1:
        found = " and ".join(f"{name}/" for name in seeming)
        raise DataError(
            f"{folder} has {found}, which seem to be splits and no classes: call what to train and to test on train/ "
            "and test/, or give class folders alone"
        )
    return splits


def _list_images(folder: Path) -> _Listing:
    def fail(error: OSError) -> NoReturn:
        raise error

    digest = hashlib.sha256()
    files: list[tuple[Path, int]] = []
    classes = _folders(folder)
    if len(classes) < 2:
        raise DataError(f"{folder} holds {len(classes)} class folders: give one folder of images for each class")
    for label, name in enumerate(classes):
        before = len(files)
        for parent, folders, children in os.walk(folder / name, onerror=fail, followlinks=True):
            folders[:] = sorted(name for name in folders if not name.startswith("."))
            if len({*_seeming_splits(folders).values()}) > 1:
                raise DataError(
                    f"{parent} holds splits ({', '.join(folders)}): give train/ and test/ with the classes below"
                )
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

    def decode(index: int) -> bool:
        try:
            with Image.open(paths[index]) as image:
                # The other pictures of a telephone's are smaller ones, or depths.
                several = getattr(image, "n_frames", 1) > 1 and image.format != "MPO"
                fitted = ImageOps.fit(_in_bytes(image), (size, size), Image.Resampling.BILINEAR)
        except DataError as error:
            raise DataError(f"{paths[index]} {error}") from None
        # Pillow raises errors of many types over a damaged file.
        except Exception as error:
            raise DataError(f"{paths[index]} cannot be read ({one_line(error)}): repair or remove it") from error
        images[index] = torch.from_numpy(numpy.array(fitted)).permute(2, 0, 1)
        return several

    with ThreadPoolExecutor(torch.get_num_threads()) as pool:
        try:
            several = [path for path, more in zip(paths, pool.map(decode, range(len(paths))), strict=True) if more]
        finally:
            pool.shutdown(cancel_futures=True)
    if several:
        log.warning("of %d files with several pages or frames the first is read: %s ...", len(several), several[0])
    return images


def _in_bytes(image: Image.Image) -> Image.Image:
    """Return an image upright, in colours of 8 bits; values of other kinds are scaled where their range is known."""
    import numpy
    from PIL import Image, ImageOps, TiffImagePlugin

    # PNG and PGM of 16 bits, which some versions of Pillow open as integers of 32 bits.
    deep = image.mode.startswith("I;16") or (image.mode == "I" and image.format in ("PNG", "PPM"))
    if image.mode in ("I", "F") and not deep:
        kind = "floating-point values" if image.mode == "F" else "signed integers or some of 32 bits"
        raise DataError(f"has {kind}, of which nothing says which is white: convert it to 8 or 16 bits")
    ImageOps.exif_transpose(image, in_place=True)
    if deep:
        # Of a TIFF the number of bits may be smaller.
        bits = image.tag_v2.get(258, (16,))[0] if isinstance(image, TiffImagePlugin.TiffImageFile) else 16
        image = Image.fromarray((numpy.asarray(image) * (255 / (2**bits - 1))).round().astype(numpy.uint8))
    return image.convert("RGB")


def one_line(error: Exception) -> str:
    """Return what an error says, on one line."""
    return " ".join(str(error).split())[:300] or type(error).__name__
