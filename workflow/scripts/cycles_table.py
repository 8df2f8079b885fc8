"""Gather the barriers of paths and cycles, and the fixed points of cycles, of all models and widths."""

from job import logged

with logged(snakemake):
    from onebasin import tables

    tables.gather(snakemake.output.table, "cycles", snakemake.input.measurements)
    tables.gather(snakemake.output.groups, "fixed_points", snakemake.input.groups)
