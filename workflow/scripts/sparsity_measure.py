"""Measure the way between the networks of a model at one width, at levels of pruning."""

from itertools import combinations
from pathlib import Path

from job import logged

with logged(snakemake):
    from cell import Measurement, open_cell, open_levels, open_permutations, place_of_level

    from onebasin import barrier, claims, prune, tables

    cell = open_cell(snakemake)
    measurement = Measurement(cell, snakemake.params.barrier)
    weights = barrier.line(snakemake.params.barrier["points"])
    levels = open_levels(snakemake.input.pruned, cell.device)
    # Of all networks of a level the same number of weights remains.
    densities = {place_of_level(path)[1]: prune.Mask.load(path).density for path in snakemake.input.masks}
    for table in map(Path, snakemake.output.tables):
        level = int(table.stem.removeprefix("level"))
        own = [path for path in snakemake.input.permutations if Path(path).parent.name == table.stem]
        found = {("none", "none"): {}}
        for method in snakemake.params.methods:
            found["level", method] = open_permutations(own, method, depth=2)
            found["dense", method] = open_permutations(snakemake.input.dense, method)
        rows = []
        for (permutation, method), permutations in found.items():
            for a, b in combinations(snakemake.params.seeds, 2):
                path = claims.Path("weak" if permutations else "none", None, a, b)
                ends = claims.endpoints(path, levels[level], permutations, cell.symmetry)
                about = {**cell.address, "level": level, "density": densities[level], "permutation": permutation}
                about |= {"method": method, "a": a, "b": b}
                rows += [{**about, "alpha": alpha, **values} for (_, alpha), values in measurement.rows(ends, weights)]
        tables.write(table, "sparsity", tables.barriers(rows, tables.LEVEL))
