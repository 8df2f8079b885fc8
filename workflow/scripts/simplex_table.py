"""Gather the triangles of all models and widths."""

from job import logged

with logged(snakemake):
    from onebasin import tables

    tables.gather(snakemake.output[0], "simplex", snakemake.input.measurements)
