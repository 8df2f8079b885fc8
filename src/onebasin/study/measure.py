"""Measuring jobs: what an experiment measures on a model at one width."""

from __future__ import annotations

import logging

from onebasin import tables
from onebasin.experiments import rooms
from onebasin.study.job import Job
from onebasin.study.study import Study

log = logging.getLogger(__name__)


def measure(job: Job) -> None:
    """Measure the parts of a job, one file for each part and table, in the order of parts, then tables."""
    room = rooms()[job.params.experiment]
    study = Study(job)
    targets = iter(job.output.tables)
    parts = job.params.parts
    for number, part in enumerate(parts, start=1):
        study.part = part
        log.info("measures %s, part %d of %d", part, number, len(parts))
        for name, rows in room.measure(study, job.params.settings).items():
            tables.write_columns(next(targets), name, room.measured if name == room.name else room.tables[name], rows)
