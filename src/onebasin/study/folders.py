"""The contents of a folder of files that somebody brings, hidden ones left out."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from pathlib import Path

from onebasin.files import sha256


def digest_of(folder: str | Path) -> str:
    """Return the hash of the names and contents of the files in a folder."""
    found = hashlib.sha256()
    for name, path in _files(folder):
        found.update(f"{name}\0{sha256(path)}\0".encode())
    return found.hexdigest()


def state_of(folder: str | Path) -> str:
    """Return the hash of the names, sizes and times of the files: while it stays, their contents are not read again."""
    found = hashlib.sha256()
    for name, path in _files(folder):
        state = path.stat()
        found.update(f"{name}\0{state.st_size} {state.st_mtime_ns} {state.st_ctime_ns} {state.st_ino}\0".encode())
    return found.hexdigest()


def _files(folder: str | Path) -> Iterator[tuple[Path, Path]]:
    """Yield the files of a folder in order, each with its name inside it."""
    root = Path(folder).expanduser()
    for parent, folders, files in os.walk(root, followlinks=True):
        folders.sort()
        for path in (Path(parent, file) for file in sorted(files) if not file.startswith(".")):
            yield path.relative_to(root), path
