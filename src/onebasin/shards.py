"""Which files a network lies in: one, or an index and the shards that it names. PyTorch is not needed to say so."""

from __future__ import annotations

import json
import re
from pathlib import Path

from onebasin.files import FileError

SUFFIXES = (".safetensors", ".bin", ".pt", ".pth", ".ckpt")


def parts(path: str | Path) -> list[Path]:
    """Return the files that are read with a file: itself, and the shards that an ``index.json`` names.

    Args:
        path: the file.

    Raises:
        FileError: if the file cannot be read, or a shard is missing.
    """
    path = Path(path)
    return [path, *dict.fromkeys((index_of(path) or {}).values())]


def start_of(path: Path) -> bytes:
    """Return the first 512 bytes of a file.

    Raises:
        FileError: if it cannot be read.
    """
    try:
        if path.is_dir():
            raise FileError(f"{path} is a folder; {_in_folder(path)}")
        with open(path, "rb") as file:
            return file.read(512)
    except OSError as error:
        raise FileError(f"{path} cannot be read: {error.strerror or error}") from None


def _in_folder(path: Path) -> str:
    """Say which file of a folder is meant."""
    names = sorted(entry.name for entry in path.iterdir())
    if ".metadata" in names and any(name.endswith(".distcp") for name in names):
        return "make one file of it by python -m torch.distributed.checkpoint.format_utils dcp_to_torch FOLDER FILE"
    shown = [name for name in names if name.endswith(".index.json")]
    shown = shown or [name for name in names if name.endswith(SUFFIXES)]
    if not shown:
        return "give a file of tensors, of which it has none"
    return f"give {'' if len(shown) == 1 else 'one of '}{', '.join(str(path / name) for name in shown[:5])}"


def index_of(path: Path) -> dict[str, Path] | None:
    """Return the shard of each tensor, if the file is an index of shards; None if it is no JSON.

    Raises:
        FileError: if it cannot be read, is other JSON, or a shard is missing.
    """
    if not re.match(rb"\s*[\[{]", start := start_of(path)) or is_safetensors(start):
        return None
    try:
        shards = json.loads(path.read_text(encoding="utf-8"))["weight_map"]
        index = {key: path.parent / shard for key, shard in shards.items()}
    except (ValueError, KeyError, TypeError, AttributeError):
        raise FileError(f"{path} is JSON, and no index of shards; give the file of tensors") from None
    for shard in dict.fromkeys(index.values()):
        if not shard.is_file():
            raise FileError(f"{path}: its shard {shard} is missing; fetch it, too")
    return index


def is_safetensors(start: bytes) -> bool:
    """Whether a file begins with the length of a header and a header; that of text would be beyond all bounds."""
    return start[8:9] == b"{" and int.from_bytes(start[:8], "little") < 2**32
