"""Make the table of an experiment from what was measured."""

from onebasin.study.job import job

with job(snakemake) as this:
    from onebasin.study.gather import table

    table(this)
