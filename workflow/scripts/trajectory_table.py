"""Gather the barriers of all models and widths along training."""

from job import logged

with logged(snakemake):
    from onebasin import tables

    tables.gather(snakemake.output[0], "trajectory", snakemake.input.measurements)
