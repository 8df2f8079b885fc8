"""Match pairs of networks, by every method and at every stage of the job."""

from onebasin.study.job import job

with job(snakemake) as this:
    from onebasin.study.align import align

    align(this)
