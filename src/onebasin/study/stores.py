"""What a store holds, what the studies beside it refer to, and removing the rest."""

from __future__ import annotations

import json
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from onebasin.study.store import Store

# What has been written for longer was left by a process that was killed.
ABANDONED_S = 86_400


@dataclass
class Held:
    """What a store holds of one kind: pieces, their bytes with those of their files, and how many are referred to."""

    pieces: int = 0
    bytes: int = 0
    referred: int = 0
    bytes_referred: int = 0


def contents(folder: str | Path, studies: str | Path) -> dict[str, Held]:
    """Return what a store holds, by kind.

    Args:
        folder: of the store.
        studies: the folder in which the studies lie.
    """
    store, referred = Store(folder), references(studies)
    found: dict[str, Held] = {}
    for piece, path in store.entries():
        held = found.setdefault(path.parent.parent.name, Held())
        size = _size(path) + sum(_size(file) for file in store.files_of(path))
        held.pieces += 1
        held.bytes += size
        if piece in referred:
            held.referred += 1
            held.bytes_referred += size
    return found


def remove(folder: str | Path, studies: str | Path, grace_s: float) -> tuple[int, int]:
    """Remove the pieces that no study refers to, and the files that no piece has.

    Other jobs may use the store meanwhile: a piece that one of them looks for just then is made again.

    Args:
        folder: of the store.
        studies: the folder in which the studies lie.
        grace_s: what is younger stays; a job that runs has not said yet what it refers to.

    Returns:
        How many pieces were removed, and how many bytes.
    """
    store, referred = Store(folder), references(studies)
    before = time.time() - grace_s
    pieces = size = 0
    wanted: set[Path] = set()
    for piece, path in store.entries():
        if piece in referred or _time(path) > before:
            wanted |= set(store.files_of(path))
            continue
        size += _remove(path)
        pieces += 1
    for path in store.kept_files():
        if path not in wanted and _time(path) <= before:
            size += _remove(path)
    for path in store.remains():
        if _time(path) <= time.time() - ABANDONED_S:
            size += _remove(path)
    return pieces, size


def references(studies: str | Path) -> set[str]:
    """Return the pieces that the records of the studies in a folder name, as "kind/key"."""
    found: set[str] = set()
    for path in Path(studies).glob("*/logs/**/*.json"):
        with suppress(OSError, ValueError, KeyError, TypeError):
            found |= set(json.loads(path.read_text(encoding="utf-8"))["pieces"])
    return found


def _remove(path: Path) -> int:
    """Remove a file; return what that frees: nothing where a study has the file too."""
    with suppress(OSError):
        freed = _size(path) if path.stat().st_nlink == 1 else 0
        path.unlink()
        return freed
    return 0


def _size(path: Path) -> int:
    with suppress(OSError):
        return path.stat().st_size
    return 0


def _time(path: Path) -> float:
    """Return when a file got its name here or was last written: the time of its data may be older than the store."""
    with suppress(OSError):
        return path.stat().st_ctime
    return 0.0
