"""Bring networks that were trained elsewhere into the place of trained ones."""

from onebasin.study.job import job

with job(snakemake) as this:
    from onebasin.study.train import import_networks

    import_networks(this)
