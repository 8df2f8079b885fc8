"""Join the barriers under permutations of several checkpoints with those under permutations of single ones."""

from job import logged

with logged(snakemake):
    from onebasin import tables

    single = (row for part in snakemake.input.single for row in tables.rows(part, "trajectory"))
    several = (row for part in snakemake.input.measurements for row in tables.rows(part, "superposition"))
    tables.write(snakemake.output[0], "superposition", tables.superposition(single, several))
