"""Table and figure jobs: the table of an experiment from what was measured, and its figure from the table alone."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import chain
from typing import Any

from onebasin import tables
from onebasin.experiments import rooms
from onebasin.study.job import Job


def table(job: Job) -> None:
    """Make the tables of an experiment from the parts that it gathers."""
    room = rooms()[job.params.experiment]
    parts = {
        source: _rows(source, files) for source, files in ((name, job.input.get(_key(name))) for name in room.gathers)
    }
    targets = dict(zip(room.tables, job.output.tables, strict=True))
    tables.write(targets.pop(room.name), room.name, room.table(parts, job.params.settings))
    for name, target in targets.items():
        tables.write(target, name, _rows(f"table {name}", job.input.get(name)))


def figure(job: Job) -> None:
    """Draw the figure of an experiment from its table, and from nothing else."""
    from onebasin import figures

    name = job.params.experiment
    drawn = figures.draw(name, tables.read(job.input.table, name), job.params.style)
    figures.save(drawn, job.output.png, job.output.pdf)


def _key(source: str) -> str:
    """Return the name of the input files of a source."""
    return source.replace(" ", "_")


def _rows(source: str, files: Any) -> Iterator[dict[str, Any]]:
    """Yield the rows of files, in their order."""
    paths: Iterable[str] = [files] if isinstance(files, str) else files
    kind, _, name = source.rpartition(" ")
    if kind == "table" or source in ("matching", "frame"):
        return chain.from_iterable(tables.rows(path, name) for path in paths)
    columns = rooms()[source].measured
    return chain.from_iterable(tables.rows_of(path, source, columns) for path in paths)
