"""Train the networks of the job under the masks of others."""

from onebasin.study.job import job

with job(snakemake) as this:
    from onebasin.study.retrain import train_tickets

    train_tickets(this)
