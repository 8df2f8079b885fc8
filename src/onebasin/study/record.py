"""What a job made, beside its log: the contents of its outputs, and the pieces of the store that they are made of.

The planning process adds what the outputs were made from (workflow/records.py), and so knows later whether they are
what the study asks for, whatever tool copied them and whatever their times are.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from onebasin.files import atomic, sha256
from onebasin.study.store import Store


def path_of(log: str | Path) -> Path:
    """Return the record of the job that writes a log."""
    return Path(log).with_suffix(".json")


def write(log: str | Path, outputs: Iterable[str | Path], store: Store, sources: Mapping[str, Any]) -> None:
    """Write the record of a job that is done.

    Args:
        log: of the job.
        outputs: its files.
        store: from which it took pieces, and where it kept them.
        sources: folders that it read, which are no inputs of its rule, with the hashes of their contents and state.

    Raises:
        FileError: it cannot be written, or an output is not there.
    """
    made = {}
    for path in map(str, outputs):
        made[path] = [store.contents.get(path) or sha256(path), *state_of(path)]
    pieces = {"pieces": [*store.used], "files": store.placed, "made": store.made, "found": store.found}
    save(path_of(log), {"outputs": made, "sources": dict(sources), **pieces})


def load(log: str | Path) -> dict[str, Any] | None:
    """Read the record of a job; None where there is none that is whole."""
    try:
        record = json.loads(path_of(log).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return record if isinstance(record, dict) and isinstance(record.get("outputs"), dict) else None


def save(path: Path, record: Mapping[str, Any]) -> None:
    """Write a record."""
    with atomic(path, durable=False) as temporary:
        temporary.write_text(json.dumps(record), encoding="utf-8")


def state_of(path: str | Path) -> list[int]:
    """Return the size of a file in bytes and its time in nanoseconds; while they stay, it is not read again."""
    found = os.stat(path)
    return [found.st_size, found.st_mtime_ns]
