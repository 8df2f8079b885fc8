"""Measuring jobs: what an experiment measures on a model at one width."""

from __future__ import annotations

from onebasin import tables
from onebasin.experiments import rooms
from onebasin.study.job import Job
from onebasin.study.study import Study


def measure(job: Job) -> None:
    """Measure the parts of a job, one file for each part and table, in the order of parts, then tables."""
    room = rooms()[job.params.experiment]
    study = Study(job)
    targets = iter(job.output.tables)
    for part in job.params.parts:
        study.part = part
        for name, rows in room.measure(study, job.params.settings).items():
            tables.write_columns(next(targets), name, room.measured if name == room.name else room.tables[name], rows)
