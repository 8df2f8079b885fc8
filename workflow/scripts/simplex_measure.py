"""Measure loss and error over the triangles between three networks of a model at one width."""

from job import logged

with logged(snakemake):
    from cell import open_cell, open_permutations

    from onebasin import barrier, claims, tables

    cell = open_cell(snakemake)
    settings = snakemake.params.simplex
    splits = {"train": cell.images("train", settings["train_images"]), "test": cell.images("test")}
    weights = barrier.grid(3, settings["resolution"])
    rows = []
    for method in ["none", *snakemake.params.methods]:
        permutations = open_permutations(snakemake.input.permutations, method)
        for triangle in claims.triangles(snakemake.params.seeds, matched=method != "none"):
            corners = claims.corners(triangle, cell.states, permutations, cell.symmetry)
            about = {**cell.address, "method": method, "claim": triangle.claim, "reference": triangle.reference}
            about |= dict(zip("abc", triangle.corners, strict=True))
            for split, (images, labels) in splits.items():
                values = barrier.losses(cell.model, corners, weights, images, labels, batch_size=settings["batch_size"])
                rows += [
                    {**about, "split": split, "weight_a": a, "weight_b": b, "weight_c": c, "loss": loss, "error": error}
                    for (a, b, c), loss, error in zip(weights.tolist(), *values, strict=True)
                ]
    tables.write(snakemake.output.table, "simplex", rows)
