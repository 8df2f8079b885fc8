"""Join what each matching reached and cost with the barrier that it left."""

from job import logged

with logged(snakemake):
    from onebasin import tables

    matchings = (row for part in snakemake.input.matchings for row in tables.rows(part, "matching"))
    frames = (row for part in snakemake.input.frames for row in tables.rows(part, "frame"))
    curves = (row for part in snakemake.input.measurements for row in tables.rows(part, "measurements"))
    tables.write(snakemake.output[0], "methods", tables.methods(matchings, frames, tables.barriers(curves)))
