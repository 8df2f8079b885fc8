"""Measure loss and error along the paths between networks of a model at one width, for every method of the job."""

from pathlib import Path

from job import logged

with logged(snakemake):
    from cell import open_cell, open_permutations

    from onebasin import barrier, claims, tables

    cell = open_cell(snakemake)
    settings = snakemake.params.barrier
    splits = {"train": cell.images("train", settings["train_images"]), "test": cell.images("test")}
    weights = barrier.line(settings["points"])
    for table in snakemake.output.tables:
        method = Path(table).stem
        permutations = open_permutations(snakemake.input.permutations, method)
        rows = []
        for path in claims.paths(snakemake.params.seeds, matched=method != "none"):
            ends = claims.endpoints(path, cell.states, permutations, cell.symmetry)
            about = {**cell.address, "method": method, "claim": path.claim}
            about |= {"reference": path.reference, "a": path.a, "b": path.b}
            for split, (images, labels) in splits.items():
                curve = barrier.losses(cell.model, ends, weights, images, labels, batch_size=settings["batch_size"])
                rows += [
                    {**about, "split": split, "alpha": alpha, "loss": loss, "error": error}
                    for alpha, loss, error in zip(weights[:, 1].tolist(), *curve, strict=True)
                ]
        tables.write(table, "measurements", rows)
