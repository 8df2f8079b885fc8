"""Bring a data set into one file."""

from onebasin.study.job import job

with job(snakemake) as this:
    from onebasin.study.dataset import make

    make(this)
