"""Prune the networks of the job by one level, and train what remains."""

from onebasin.study.job import job

with job(snakemake) as this:
    from onebasin.study.retrain import prune_networks

    prune_networks(this)
