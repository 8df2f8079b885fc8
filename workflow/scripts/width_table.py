"""Reduce every measured curve to its barriers."""

from job import logged

with logged(snakemake):
    from onebasin import tables

    curves = (row for part in snakemake.input.measurements for row in tables.rows(part, "measurements"))
    tables.write(snakemake.output[0], "width", tables.barriers(curves))
