"""Put the curves of the parts of a measurement in one table."""

from job import logged

with logged(snakemake):
    from onebasin import tables

    tables.gather(snakemake.output[0], "measurements", snakemake.input.tables)
