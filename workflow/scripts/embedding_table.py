"""Gather the barriers between wide networks and padded narrow ones."""

from job import logged

with logged(snakemake):
    from onebasin import tables

    tables.gather(snakemake.output[0], "embedding", snakemake.input.measurements)
