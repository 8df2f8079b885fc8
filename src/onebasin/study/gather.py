"""Table and figure jobs: the table of an experiment from what was measured, and its figure from the table alone."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from itertools import chain
from pathlib import Path
from typing import Any

from onebasin import files, tables
from onebasin.experiments import rooms
from onebasin.findings import LEGEND, SECOND
from onebasin.study.job import Job
from onebasin.summaries import MEANING


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
    """Draw the figure of an experiment from its table, and from nothing else; write its means and what they say."""
    from onebasin import figures

    name = job.params.experiment
    room, rows = rooms()[name], tables.read(job.input.table, name)
    summary = room.summary(rows)
    with files.atomic(job.output.summary) as temporary:
        summary.to_csv(temporary, index=False, lineterminator="\n")
    told = [_named(room.finding(rows), job.config)]
    if laid := room.grids(summary):
        told += [LEGEND, *(grid.markdown() for grid in laid)]
    with files.atomic(job.output.finding) as temporary:
        temporary.write_text("\n\n".join(told) + "\n", encoding="utf-8")
    figures.save(figures.draw(name, rows, job.params.style), job.output.png, job.output.pdf)


def findings(job: Job) -> None:
    """Gather what the experiments of a study found into one page."""
    parts = [f"# What the study {job.params.study} found", MEANING]
    for name, path in zip(job.params.experiments, job.input.findings, strict=True):
        parts.append(f"## {name}: {rooms()[name].question}")
        parts.append(Path(path).read_text(encoding="utf-8").strip())
    with files.atomic(job.output.page) as temporary:
        temporary.write_text("\n\n".join(parts) + "\n", encoding="utf-8")


def _named(text: str, config: Mapping[str, Any]) -> str:
    """Say which the second data set is where it is mentioned first; tables do not know its name."""
    if SECOND not in text:
        return text
    second = config["transfer"]["data"]
    name = config["data"]["name"] if second["name"] == "same" else second["name"]
    variant = "" if second["variant"] == "none" else f"{second['variant']} "
    return text.replace(SECOND, f"{SECOND} ({variant}{name})", 1)


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
