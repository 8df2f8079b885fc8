"""Match all pairs of networks of a model at one width, by every method of the job."""

from pathlib import Path

from job import logged

with logged(snakemake):
    from itertools import combinations

    from alignment import match_pairs
    from cell import open_cell, part_of

    cell = open_cell(snakemake)
    pairs = part_of(list(combinations(cell.states, 2)), snakemake)
    folders = snakemake.output.get("folders") or [Path(table).parent for table in snakemake.output.tables]
    for settings, folder in zip(snakemake.params.methods, folders, strict=True):
        match_pairs(cell, cell.states, settings, Path(folder), pairs)
