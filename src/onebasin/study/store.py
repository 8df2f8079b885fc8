"""The store: finished pieces of work beside the studies, each known by the hash of everything that shaped it.

A piece is a value (what was measured on a path, a permutation) or a set of files (the checkpoints of a network). What
shapes it are its settings, the contents of its inputs and the version of its stage; names, places and times are not.
Files are kept under the hash of their contents, and what a study declares are hard links to them, or copies where links
are impossible. An entry that is broken or foreign is never used: its piece is made again.

Entries get their names by rename, so that any number of jobs may use a store at once, also on a network file system.
Two jobs that make the same piece at the same time both write it, with the same bytes.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from onebasin.files import FileError, atomic, sha256
from onebasin.provenance import provenance

log = logging.getLogger(__name__)

FILES = "files"


class Store:
    """Finished pieces in a folder.

    Args:
        folder: of the store; it is made when there is something to keep.
        records: the folder in which the jobs of a study leave their records (see record.py). Files that are known from
            there are taken into the store when it has lost them, or was not copied with the study.

    Attributes:
        made: how many pieces were made, by kind.
        found: how many pieces were found, by kind.
        used: the pieces that were made or found, as "kind/key".
        contents: the SHA-256 of the files that were kept or linked, by their paths.
        placed: the paths of the files of a piece, by the piece and their names.
    """

    def __init__(self, folder: str | Path, records: str | Path | None = None) -> None:
        self.folder = Path(folder)
        self.records = records
        self.made: dict[str, int] = {}
        self.found: dict[str, int] = {}
        self.used: dict[str, None] = {}
        self.contents: dict[str, str] = {}
        self.placed: dict[str, dict[str, str]] = {}

    def value(self, kind: str, shaped_by: Mapping[str, Any], make: Callable[[], Any]) -> Any:
        """Return a value, as JSON gives it back; make and keep it where it is not there.

        Args:
            kind: of work, such as "matching".
            shaped_by: everything that shapes it, as JSON can hold it.
            make: makes what JSON can hold.

        Raises:
            FileError: the value cannot be kept.
        """
        key = key_of(shaped_by)
        entry = self._read(kind, key)
        if entry is not None:
            self._count(self.found, kind, key)
            return entry["value"]
        value = self._write(kind, key, shaped_by, make(), [])
        self._count(self.made, kind, key)
        return value

    def files(
        self, kind: str, shaped_by: Mapping[str, Any], targets: Mapping[str, str | Path], make: Callable[[], None]
    ) -> None:
        """Put files in their places; make and keep them where one is not there.

        Args:
            kind: of work, such as "network".
            shaped_by: everything that shapes them, as JSON can hold it.
            targets: their paths, by the names under which they are kept.
            make: writes them all to their paths.

        Raises:
            FileError: a file cannot be written.
        """
        key = key_of(shaped_by)
        self.placed[f"{kind}/{key}"] = {name: str(path) for name, path in targets.items()}
        known: dict[str, str] = {}
        if entry := self._read(kind, key):
            known = entry["value"]
        elif any(Path(path).exists() for path in targets.values()):
            known = self._adopt(kind, key, shaped_by)
        if all(name in known and self._place(known[name], Path(path)) for name, path in targets.items()):
            log.info("finished before: %s %s", kind, key[:12])
            self._count(self.found, kind, key)
            return
        make()
        value = {**known, **{name: self._keep(Path(path)) for name, path in targets.items()}}
        self._write(kind, key, shaped_by, value, sorted(value.values()))
        self._count(self.made, kind, key)

    def entries(self) -> Iterator[tuple[str, Path]]:
        """Yield each entry, as "kind/key", and its file."""
        for path in sorted(self.folder.glob("*/??/*.json")):
            yield f"{path.parent.parent.name}/{path.stem}", path

    def files_of(self, entry: Path) -> list[Path]:
        """Return the files that the piece of an entry is made of; none for a value, or a broken entry."""
        known = self._read(entry.parent.parent.name, entry.stem)
        return [self._content(digest) for digest in known["files"]] if known else []

    def remains(self) -> Iterator[Path]:
        """Yield what was being written when its process was killed."""
        yield from self.folder.glob("*/??/.*.tmp")

    def kept_files(self) -> Iterator[Path]:
        """Yield the files that are kept, each named by its contents."""
        yield from sorted(path for path in self.folder.glob(f"{FILES}/??/*") if not path.name.startswith("."))

    def _adopt(self, kind: str, key: str, shaped_by: Mapping[str, Any]) -> dict[str, str]:
        """Keep the files of a piece that the records of the study name, where they are still as recorded."""
        found = {}
        for path in sorted(Path(self.records).rglob("*.json")) if self.records else ():
            with suppress(OSError, ValueError, KeyError, TypeError):
                record = json.loads(path.read_text(encoding="utf-8"))
                for name, file in record["files"][f"{kind}/{key}"].items():
                    if sha256(file) == record["outputs"][file][0]:
                        found[name] = self._keep(Path(file))
        if found:
            self._write(kind, key, shaped_by, found, sorted(found.values()))
        return found

    def _count(self, counts: dict[str, int], kind: str, key: str) -> None:
        counts[kind] = counts.get(kind, 0) + 1
        self.used[f"{kind}/{key}"] = None

    def _path(self, kind: str, key: str) -> Path:
        return self.folder / kind / key[:2] / f"{key}.json"

    def _read(self, kind: str, key: str) -> dict[str, Any] | None:
        """Return an entry; None where there is none that is whole and of this key."""
        try:
            text = self._path(kind, key).read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError):
            return None
        with suppress(ValueError, KeyError, TypeError):
            entry = json.loads(text)
            if key_of(entry["shaped_by"]) == key and _hash([entry["value"], entry["files"]]) == entry["sha256"]:
                return entry
        log.warning("%s is broken, and is made again", self._path(kind, key))
        return None

    def _write(self, kind: str, key: str, shaped_by: Mapping[str, Any], value: Any, files: list[str]) -> Any:
        entry = {"shaped_by": shaped_by, "value": value, "sha256": _hash([value, files]), "files": files}
        text = json.dumps({**entry, **provenance()})
        # What a crash of the machine leaves of it is seen to be broken when it is read.
        with atomic(self._path(kind, key), durable=False) as temporary:
            temporary.write_text(text, encoding="utf-8")
        return json.loads(text)["value"]

    def _content(self, digest: str) -> Path:
        return self.folder / FILES / digest[:2] / digest

    def _place(self, digest: str, target: Path) -> bool:
        """Put a file that is kept in its place; return whether it is there and has the contents that its name says."""
        source = self._content(digest)
        if not _holds(source, digest):
            return False
        try:
            _link(source, target)
        except FileError:
            if source.exists():
                raise
            return False  # somebody has just removed it
        self.contents[str(target)] = digest
        return True

    def _keep(self, path: Path) -> str:
        """Keep a file under the hash of its contents, which is returned."""
        digest = sha256(path)
        target = self._content(digest)
        if not _holds(target, digest):
            _link(path, target)
        self.contents[str(path)] = digest
        return digest


def key_of(shaped_by: Mapping[str, Any]) -> str:
    """Return the hash of everything that shapes a piece, as JSON can hold it."""
    return _hash(shaped_by)


def _hash(value: Any) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()


def _holds(path: Path, digest: str) -> bool:
    """Return whether a file that is kept is there and has the contents that its name says."""
    try:
        if sha256(path) == digest:
            return True
    except OSError:
        return False
    log.warning("%s is broken, and is made again", path)
    return False


def _link(source: Path, target: Path) -> None:
    """Give a file a second name, in place of what has it; copy it, with its time, where links are impossible."""
    with suppress(OSError):
        if os.path.samefile(source, target):
            return
    with atomic(target, durable=False) as temporary:
        try:
            os.link(source, temporary)
        except OSError:
            shutil.copy2(source, temporary)
