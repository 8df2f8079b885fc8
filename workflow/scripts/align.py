"""Match all pairs of networks of a model at one width, by every method of the job."""

from pathlib import Path

from job import logged

with logged(snakemake):
    from alignment import match_pairs
    from cell import open_cell

    cell = open_cell(snakemake)
    for settings, table in zip(snakemake.params.methods, snakemake.output.tables, strict=True):
        match_pairs(cell, cell.states, settings, Path(table).parent)
