"""Match pairs of networks of a model at one width, at several epochs, by every method of the job."""

from itertools import product
from pathlib import Path

from job import logged

with logged(snakemake):
    from alignment import match_pairs
    from cell import open_cell
    from history import open_states, pairs_of

    cell = open_cell(snakemake)
    states = open_states(cell, snakemake)
    work = product(snakemake.params.methods, snakemake.params.stages)
    for (settings, stage), table in zip(work, snakemake.output.tables, strict=True):
        match_pairs(cell, states[stage], settings, Path(table).parent, pairs_of(snakemake))
