"""Gather what the experiments of a study found."""

from onebasin.study.job import job

with job(snakemake) as this:
    from onebasin.study.gather import findings

    findings(this)
