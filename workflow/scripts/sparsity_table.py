"""Gather the barriers of all levels; those of level 0 are the barriers of the trained networks."""

from job import logged

with logged(snakemake):
    from onebasin import tables

    curves = (row for part in snakemake.input.dense for row in tables.rows(part, "measurements"))
    rows = [*tables.level_zero(curves, snakemake.params.points)]
    rows += [row for part in snakemake.input.measurements for row in tables.rows(part, "sparsity")]
    tables.write(snakemake.output[0], "sparsity", rows)
