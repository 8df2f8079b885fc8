"""Bring networks into a common frame, by every method of the job."""

from onebasin.study.job import job

with job(snakemake) as this:
    from onebasin.study.align import frames

    frames(this)
