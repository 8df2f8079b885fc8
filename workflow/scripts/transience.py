"""Train on from the means of the job."""

from onebasin.study.job import job

with job(snakemake) as this:
    from onebasin.study.transience import continue_means

    continue_means(this)
