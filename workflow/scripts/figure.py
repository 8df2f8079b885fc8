"""Draw the figure of an experiment from its table, and from nothing else."""

from job import logged

with logged(snakemake):
    from onebasin import figures, tables

    experiment = snakemake.params.experiment
    frame = tables.read(snakemake.input.table, experiment)
    figures.save(figures.FIGURES[experiment](frame), snakemake.output.png, snakemake.output.pdf)
