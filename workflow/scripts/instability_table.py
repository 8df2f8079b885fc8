"""Gather the barriers between networks and their children."""

from job import logged

with logged(snakemake):
    from onebasin import tables

    tables.gather(snakemake.output[0], "instability", snakemake.input.measurements)
