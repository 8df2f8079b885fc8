"""Fit how barriers fall with width."""

from job import logged

with logged(snakemake):
    from onebasin import scaling, tables

    width = tables.rows(snakemake.input.table, "width")
    tables.write(snakemake.output[0], "scaling", scaling.rows(width, **snakemake.params.scaling))
