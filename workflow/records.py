"""Whether results are up to date: by what they were made from and what they are, and not by their times.

Snakemake has one place where it asks whether a finished job would be run otherwise today, and where it hears that a job
is done: its persistence. ``Records`` answers there for the jobs of this workflow. A job is up to date if its params,
the contents of its inputs in their order, and the contents of its outputs are those of its record, a file beside its
log that travels with the results. So names and times mean nothing, and neither does where the results were made.

Snakemake's own cache between workflows does not serve: it takes jobs of one output (or of outputs that share a stem),
and knows them by the hashes of all files from which they derive, which it computes while it plans.
"""

from __future__ import annotations

import functools
import hashlib
import os
import sys
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from snakemake.logging import logger
from snakemake.persistence import NO_PARAMS_CHANGE, ParamsChange
from snakemake.persistence.file import FilePersistence

import onebasin
from onebasin.files import FileError, sha256
from onebasin.provenance import provenance
from onebasin.study import folders, record

RULES = Path(__file__).resolve().parent / "rules"
LIBRARY = Path(onebasin.__file__).resolve().parent


def install() -> None:
    """Let Snakemake ask here."""
    import snakemake.workflow

    snakemake.workflow.FilePersistence = Records


@dataclass
class Change(ParamsChange):
    """Why a job is not up to date, as Snakemake prints it."""

    why: str = ""

    def __bool__(self) -> bool:
        return True

    def __str__(self) -> str:
        return self.why


class Records(FilePersistence):
    """What Snakemake asks of finished jobs, answered from their records; see the module."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._digests: dict[str, str] = {}
        self._states: dict[str, list[int]] = {}
        self._records: dict[Any, dict[str, Any] | None] = {}
        self._why: dict[Any, str] = {}
        self._largest: int = self.max_checksum_file_size
        if self.dag is not None:
            # Contents are compared whatever their size, for their hashes are known.
            self.dag.max_checksum_file_size = sys.maxsize
        self._read_again = 0
        self._earlier: set[str] = set()

    # What Snakemake asks while it plans.

    def has_metadata(self, job: Any) -> bool:
        """Return whether what follows can be answered."""
        return _is_own(job) or super().has_metadata(job)

    def has_outdated_metadata(self, job: Any) -> bool:
        """Return whether an earlier Snakemake wrote what it knows of the job."""
        return not _is_own(job) and super().has_outdated_metadata(job)

    def params_changed(self, job: Any, file: Any = None) -> Any:
        """Return why the job is not up to date; Snakemake prints it as the reason to run it again."""
        if not _is_own(job):
            return super().params_changed(job, file)
        if job not in self._why:
            self._why[job] = self._changed(job)
        return Change(files=set(job.output), why=self._why[job]) if self._why[job] else NO_PARAMS_CHANGE

    def input_changed(self, job: Any, file: Any = None) -> Any:
        """Return the outputs whose job had other inputs; those of this workflow are held against their record above."""
        return [] if _is_own(job) else super().input_changed(job, file)

    def input_checksums(self, job: Any, input_path: Any) -> set[Any]:
        """Return the recorded contents of an input that is newer than the outputs; Snakemake compares today's."""
        if not _is_own(job):
            return super().input_checksums(job, input_path)
        known = self._record(job)
        if known is None:
            return set()
        digest = self._digest(input_path, known["inputs"])
        self.dag.workflow.iocache.checksum[input_path] = f"sha256:{digest}"
        recorded = known["inputs"].get(input_path)
        return {f"sha256:{recorded[0]}"} if recorded else set()

    # What it says of jobs that run.

    def started(self, job: Any, external_jobid: str | None = None) -> None:
        """Read the inputs of the job before the job does: what is replaced meanwhile is seen the next time."""
        if _is_own(job):
            for path in job.input:
                self._digest(path)
        super().started(job, external_jobid)

    async def finished(self, job: Any) -> None:
        """Complete the record of the job."""
        self.max_checksum_file_size = self._largest
        if _is_own(job):
            self.max_checksum_file_size = 0
            self._finish(job)
        await super().finished(job)

    # An output is replaced by a whole file and stays until then, also when a job fails: no other copy is needed.

    def backup_output(self, path: Path) -> None:
        """Make no copy."""

    def restore_output(self, path: Path) -> bool:
        """Return whether the file is there still."""
        return path.exists()

    def cleanup_backup(self, path: Path) -> None:
        """Remove no copy."""

    # What is said of the records, once, before jobs run.

    @contextmanager
    def lock(self) -> Iterator[None]:
        """Lock the folder while jobs run."""
        self._say()
        with super().lock():
            yield

    @contextmanager
    def lock_warn_only(self) -> Iterator[None]:
        """Say whether the folder is locked."""
        self._say()
        with super().lock_warn_only():
            yield

    def _say(self) -> None:
        if self._read_again:
            logger.info(f"{self._read_again} files had other times than in their records; their contents were read.")
        if self._earlier:
            made = ", ".join(sorted(self._earlier))
            logger.info(
                f"Results of earlier code ({made}) stay: no stage that made them has another version. "
                "Their records, beside the logs, name the code."
            )

    def _changed(self, job: Any) -> str:
        """Say why a finished job is not up to date; nothing if it is."""
        known = self._record(job)
        if known is None:
            return "There is no record of how the files were made."
        outputs = known["outputs"]
        for path in map(str, job.output):
            if path not in outputs:
                return f"{path} is new; what the job made before is found."
            if not self._is_as_recorded(path, outputs[path]):
                return f"{path} is not what its record says."
        if known["params"] != _params(job):
            return "Settings, or the version or code of what makes it, have changed."
        inputs = [self._digest(path, known["inputs"]) for path in dict.fromkeys(job.input)]
        if inputs != [digest for digest, *_ in known["inputs"].values()]:
            return "The contents of the input files, or their order, have changed."
        for name, (digest, state) in known["sources"].items():
            folder = job.params[name]
            if not os.path.isdir(folder):
                continue
            if folders.state_of(folder) != state and folders.digest_of(folder) != digest:
                return f"The contents of {folder} have changed."
        if known["code"]["digest"] != code():
            self._earlier.add(_spell(known["code"]))
        self._refresh(job, known)
        return ""

    def _record(self, job: Any) -> dict[str, Any] | None:
        """Return the record of a job; None where there is none that was completed."""
        if job not in self._records:
            known = record.load(job.log[0])
            self._records[job] = known if known is not None and "inputs" in known else None
        return self._records[job]

    def _refresh(self, job: Any, known: dict[str, Any]) -> None:
        """Keep the states of files whose contents were found to be as recorded, so that they are not read again."""
        outputs = {path: [digest, *_now(path, state)] for path, (digest, *state) in known["outputs"].items()}
        inputs = {path: [self._digests[path], *self._states.get(path, [])] for path in job.input}
        sources = {
            name: [digest, folders.state_of(job.params[name]) if os.path.isdir(job.params[name]) else state]
            for name, (digest, state) in known["sources"].items()
        }
        fresh = {**known, "outputs": outputs, "inputs": inputs, "sources": sources}
        if fresh != known:
            with suppress(FileError):
                record.save(record.path_of(job.log[0]), fresh)
                self._records[job] = fresh

    def _is_as_recorded(self, path: str, known: list[Any]) -> bool:
        """Return whether a file has the contents of its record; they are read if its size or time differ."""
        digest, *state = known
        if _now(path, state) != state:
            self._read_again += 1
            if sha256(path) != digest:
                return False
        # A file that is gone was what it was: whether it is needed again, Snakemake decides.
        self._digests[path] = digest
        return True

    def _digest(self, path: str, recorded: Mapping[str, list[Any]] | None = None) -> str:
        """Return the hash of the contents of an input; they are read if its state is not the recorded one."""
        if path not in self._digests:
            try:
                state = _state(path)
            except OSError:
                return ""
            digest, *known = (recorded or {}).get(path) or [""]
            if known != state:
                digest = sha256(path)
            self._digests[path], self._states[path] = digest, state
        return self._digests[path]

    def _finish(self, job: Any) -> None:
        """Add to the record of a job what it was made from; give its files the times back that Snakemake changed."""
        made = record.load(job.log[0])
        if made is None:
            return
        for path, (digest, _, time) in made["outputs"].items():
            self._digests[path] = digest
            with suppress(OSError):
                os.utime(path, ns=(time, time))
        if self.dag.workflow.is_main_process:
            made["inputs"] = {path: [self._digest(path), *self._states.get(path, [])] for path in job.input}
            made |= {"params": _params(job), "code": {**provenance(), "digest": code()}}
            record.save(record.path_of(job.log[0]), made)


@functools.cache
def code_of_figure(module: str) -> str:
    """Return the hash of the code that draws the figure of an experiment: its module, and what all figures share."""
    shared = [LIBRARY / f"{name}.py" for name in ("statistics", "summaries", "findings", "prose")]
    files = [LIBRARY / "experiments" / f"{module}.py", *shared, *LIBRARY.glob("figures/*.py")]
    return _hash_of_files(files)


@functools.cache
def code() -> str:
    """Return the hash of the library."""
    return _hash_of_files(LIBRARY.rglob("*.py"))


def _hash_of_files(files: Iterable[Path]) -> str:
    found = hashlib.sha256()
    for path in sorted(files):
        found.update(f"{path.relative_to(LIBRARY)} {sha256(path)}\n".encode())
    return found.hexdigest()


def _params(job: Any) -> str:
    """Return the hash of the params that shape the outputs; what names inputs and outputs is none of them."""
    return hashlib.sha256(repr(list(job.non_derived_params)).encode()).hexdigest()


def _state(path: str) -> list[int]:
    """Return what changes when somebody replaces a file, with whatever tool."""
    found = os.stat(path)
    return [found.st_size, found.st_mtime_ns, found.st_ino, found.st_ctime_ns]


def _now(path: str, otherwise: list[int]) -> list[int]:
    """Return the size and time of a file; something else where it is gone."""
    try:
        return record.state_of(path)
    except OSError:
        return otherwise


def _is_own(job: Any) -> bool:
    """Return whether a job is of a rule of this workflow that runs a script."""
    return job.rule.script is not None and _folder(str(job.rule.snakefile)) == RULES


@functools.cache
def _folder(snakefile: str) -> Path:
    return Path(snakefile).resolve().parent


def _spell(code: Mapping[str, Any]) -> str:
    commit = f" at commit {code['commit'][:7]}" if code["commit"] else ""
    return f"version {code['version']}{commit}"
