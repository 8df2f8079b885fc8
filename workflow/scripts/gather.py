"""Put the shares of an alignment together."""

from onebasin.study.job import job

with job(snakemake) as this:
    from onebasin.study.align import gather

    gather(this)
