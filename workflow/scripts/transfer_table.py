"""Gather the barriers between networks of one and of two data sets."""

from job import logged

with logged(snakemake):
    from onebasin import tables

    tables.gather(snakemake.output[0], "transfer", snakemake.input.measurements)
