"""Bring all networks of a model at one width into a common frame, by every method of the job."""

from pathlib import Path

from job import logged

with logged(snakemake):
    from alignment import write_frame
    from cell import open_cell

    cell = open_cell(snakemake)
    for settings, table in zip(snakemake.params.frames, snakemake.output.tables, strict=True):
        write_frame(cell, settings, Path(table).parent)
