"""Measure the way between the networks of a model at one width, for every method and correction."""

from job import logged

with logged(snakemake):
    from cell import Measurement, open_cell, open_permutations

    from onebasin import barrier, claims, tables

    cell = open_cell(snakemake)
    measurement = Measurement(cell, snakemake.params.correction)
    weights = barrier.line(snakemake.params.correction["points"])
    rows = []
    for method in ["none", *snakemake.params.methods]:
        permutations = open_permutations(snakemake.input.permutations, method)
        for path in claims.paths(snakemake.params.seeds, matched=method != "none"):
            if path.claim == "strong":
                continue
            ends = claims.endpoints(path, cell.states, permutations, cell.symmetry)
            about = {**cell.address, "method": method, "claim": path.claim, "a": path.a, "b": path.b}
            for name in snakemake.params.correction["corrections"]:
                for (_, alpha), values in measurement.rows(ends, weights, correction=name):
                    rows.append({**about, "correction": name, "alpha": alpha, **values})
    tables.write(snakemake.output.table, "correction", rows)
