"""Gather the barriers of all models, widths and methods."""

from job import logged

with logged(snakemake):
    from onebasin import tables

    tables.gather(snakemake.output[0], "consensus", snakemake.input.measurements)
