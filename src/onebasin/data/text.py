"""Text, for models that predict the next byte: of a folder of the user's own, or that comes with Python."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

import torch
from torch import Tensor

from onebasin.data.dataset import DataError, Dataset
from onebasin.data.splits import TEST_FRACTION

BYTES = 256
SUFFIX = ".txt"


def python() -> bytes:
    """Return the reference of the language that comes with Python, which `help` shows; it differs between versions."""
    from pydoc_data.topics import topics

    return "\n".join(topics[name] for name in sorted(topics)).encode()


def read(folder: Path) -> list[bytes]:
    """Return the contents of the text files in a folder and those below, in the order of their paths.

    Args:
        folder: holds files whose names end in .txt, in any encoding: they are read as bytes.

    Raises:
        DataError: there is no such file, or one cannot be read.
    """

    def fail(error: OSError) -> NoReturn:
        raise error

    try:
        paths = sorted(
            Path(parent, file)
            for parent, _, files in os.walk(folder, onerror=fail, followlinks=True)
            for file in files
            if file.lower().endswith(SUFFIX) and not file.startswith(".")
        )
        texts = [path.read_bytes() for path in paths]
    except OSError as error:
        raise DataError(f"{error.filename} cannot be read ({error.strerror}): repair or remove it") from error
    if not texts:
        raise DataError(f"{folder} holds no text: give a folder of files whose names end in {SUFFIX}")
    return texts


def dataset(name: str, texts: Sequence[bytes], context: int) -> Dataset:
    """Cut texts into pieces, of which every byte has the next one as its label; the last fifth of each is for testing.

    Args:
        name: of the data set.
        texts: at least one.
        context: bytes of a piece, at least 1.

    Raises:
        DataError: the text is too short for a piece to train on and one to test on.
        ValueError: a context below 1.
    """
    if isinstance(context, bool) or not isinstance(context, int) or context < 1:
        raise ValueError(f"context must be an integer of at least 1, not {context!r}")
    cuts = [len(text) - int(TEST_FRACTION * len(text)) for text in texts]
    train = b"".join(text[:cut] for text, cut in zip(texts, cuts, strict=True))
    test = b"".join(text[cut:] for text, cut in zip(texts, cuts, strict=True))
    if min(len(train), len(test)) <= context:
        raise DataError(
            f"{name} has {len(train)} bytes of text to train on and {len(test)} to test on, and a context of {context} "
            "needs one more than that of each: give more text, or a shorter context"
        )
    return Dataset(name, *_pieces(train, context), *_pieces(test, context), BYTES)


def _pieces(text: bytes, context: int) -> tuple[Tensor, Tensor]:
    """Return the pieces uint8 [n, context], and the byte after each of their bytes int64 [n, context]."""
    values = torch.frombuffer(bytearray(text), dtype=torch.uint8)
    size = (len(values) - 1) // context * context
    return values[:size].reshape(-1, context), values[1 : size + 1].long().reshape(-1, context)
