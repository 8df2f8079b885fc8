"""Gather the measurements of all models and widths into the table of an experiment."""

from job import logged

with logged(snakemake):
    from onebasin import tables

    tables.gather(snakemake.output[0], snakemake.params.experiment, snakemake.input.measurements)
