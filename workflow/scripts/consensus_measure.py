"""Measure lines, means and simplices of some of the networks of a model at one width, in frames common to them."""

from itertools import combinations, product
from pathlib import Path

from job import logged

with logged(snakemake):
    from alignment import find_frame
    from cell import Measurement, open_cell, open_frame, open_permutations

    from onebasin import barrier, claims, consensus, tables

    cell = open_cell(snakemake)
    settings, seeds = snakemake.params.consensus, snakemake.params.seeds
    measurement = Measurement(cell, {"correction": "none", **settings})
    frames = {frame["name"]: frame for frame in snakemake.params.frames}
    for table in snakemake.output.tables:
        method = Path(table).stem
        common = open_frame(snakemake.input.frames, method)
        permutations = open_permutations(snakemake.input.permutations, method)
        line, rows, done = barrier.line(settings["points"]), [], {}
        for subset in consensus.subsets(seeds, nested=settings["subsets"] == "nested"):
            some = {seed: cell.states[seed] for seed in subset}
            if method in frames:
                found = common if len(subset) == len(seeds) else find_frame(cell, some, frames[method]).permutations
                states, frame = claims.into_common_frame(cell.symmetry, found, some), subset
            elif method == "none":
                states, frame = some, None
            else:
                frame = subset[0]
                states = {
                    seed: claims.into_frame(cell.symmetry, permutations, frame, seed, state)
                    for seed, state in some.items()
                }
            about = {**cell.address, "method": method, "count": len(subset), "frame": "-".join(map(str, subset))}
            inside = consensus.mixtures(len(subset), settings["mixtures"], settings["seed"])
            mixed = [("line", pair, line) for pair in combinations(subset, 2)] + [("simplex", subset, inside)]
            for correction, (over, members, weights) in product(settings["corrections"], mixed):
                # A line in a frame that is the same for several sets of networks is measured once.
                key = frame, over, members, correction
                if key not in done:
                    ends = [states[seed] for seed in members]
                    done[key] = list(consensus.barriers(over, measurement.rows(ends, weights, correction=correction)))
                which = {**about, "correction": correction, "mixed": "-".join(map(str, members))}
                rows += [{**which, **row} for row in done[key]]
        tables.write(table, "consensus", rows)
