"""Measure loss and error over the triangles between three networks of a model at one width."""

from job import logged

with logged(snakemake):
    from cell import Measurement, open_cell, open_frame, open_permutations

    from onebasin import barrier, claims, consensus, tables

    cell = open_cell(snakemake)
    measurement = Measurement(cell, snakemake.params.simplex)
    weights = barrier.grid(3, snakemake.params.simplex["resolution"])
    triangles = []
    for method, algorithm in {"none": "none", **snakemake.params.algorithms}.items():
        if frame := open_frame(snakemake.input.frames, method):
            states = claims.into_common_frame(cell.symmetry, frame, cell.states)
            first = claims.triangles(snakemake.params.seeds, matched=False)[0].corners
            found = [(claims.Triangle("strong", None, first), [states[seed] for seed in first])]
        else:
            permutations = open_permutations(snakemake.input.permutations, method)
            drawn = claims.triangles(snakemake.params.seeds, matched=method != "none")
            found = [(one, claims.corners(one, cell.states, permutations, cell.symmetry)) for one in drawn]
        for triangle, corners in found:
            about = {**cell.address, "method": method, "algorithm": algorithm, "claim": triangle.claim}
            about |= {"reference": triangle.reference, **dict(zip("abc", triangle.corners, strict=True))}
            triangles.append((about, list(measurement.rows(corners, weights))))
    # The least barrier first; what is no number comes last.
    rows = []
    for split in ("train", "test"):
        heights = [consensus.height(points, split, "loss") for _, points in triangles]
        order = sorted(range(len(triangles)), key=lambda index: (heights[index] != heights[index], heights[index]))
        for index, (about, points) in enumerate(triangles):
            rank = order.index(index) + 1
            for (a, b, c), values in points:
                if values["split"] == split:
                    rows.append({**about, "rank": rank, "weight_a": a, "weight_b": b, "weight_c": c, **values})
    tables.write(snakemake.output.table, "simplex", rows)
