"""Measure what an experiment asks for."""

from onebasin.study.job import job

with job(snakemake) as this:
    from onebasin.study.measure import measure

    measure(this)
