"""Train the networks of the job."""

from onebasin.study.job import job

with job(snakemake) as this:
    from onebasin.study.train import train_networks

    train_networks(this)
