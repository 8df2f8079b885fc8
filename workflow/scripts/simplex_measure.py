"""Measure loss and error over the triangles between three networks of a model at one width."""

from job import logged

with logged(snakemake):
    from cell import Measurement, open_cell, open_permutations

    from onebasin import barrier, claims, tables

    cell = open_cell(snakemake)
    measurement = Measurement(cell, snakemake.params.simplex)
    weights = barrier.grid(3, snakemake.params.simplex["resolution"])
    rows = []
    for method in ["none", *snakemake.params.methods]:
        permutations = open_permutations(snakemake.input.permutations, method)
        for triangle in claims.triangles(snakemake.params.seeds, matched=method != "none"):
            corners = claims.corners(triangle, cell.states, permutations, cell.symmetry)
            about = {**cell.address, "method": method, "claim": triangle.claim, "reference": triangle.reference}
            about |= dict(zip("abc", triangle.corners, strict=True))
            for (a, b, c), values in measurement.rows(corners, weights):
                rows.append({**about, "weight_a": a, "weight_b": b, "weight_c": c, **values})
    tables.write(snakemake.output.table, "simplex", rows)
