"""Write the report of a study."""

from onebasin.study.job import job

with job(snakemake) as this:
    from onebasin.study.report import make

    make(this)
