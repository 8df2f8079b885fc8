"""Draw the figure of an experiment from its table."""

from onebasin.study.job import job

with job(snakemake) as this:
    from onebasin.study.gather import figure

    figure(this)
