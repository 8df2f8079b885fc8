"""Match all pairs of networks of a model at one width at levels of pruning, by every method of the job."""

from pathlib import Path

from job import logged

with logged(snakemake):
    from alignment import match_pairs
    from cell import open_cell, open_levels

    cell = open_cell(snakemake)
    levels = open_levels(snakemake.input.pruned, cell.device)
    methods = {settings["name"]: settings for settings in snakemake.params.methods}
    for table in map(Path, snakemake.output.tables):
        level = int(table.parent.name.removeprefix("level"))
        match_pairs(cell, levels[level], methods[table.parts[-3]], table.parent)
