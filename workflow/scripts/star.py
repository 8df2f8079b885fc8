"""Train the stars of the job, and the networks beside them."""

from onebasin.study.job import job

with job(snakemake) as this:
    from onebasin.study.star import train_stars

    train_stars(this)
