"""Measure the way between the networks of a model at one width, for every method and correction."""

from job import logged

with logged(snakemake):
    from cell import open_cell, open_permutations

    from onebasin import barrier, claims, repair, tables

    cell = open_cell(snakemake)
    settings = snakemake.params.correction
    splits = {"train": cell.images("train", settings["train_images"]), "test": cell.images("test")}
    fitted, _ = cell.images("train", settings["fit_images"])
    weights = barrier.line(settings["points"])
    rows = []
    for method in ["none", *snakemake.params.methods]:
        permutations = open_permutations(snakemake.input.permutations, method)
        for path in claims.paths(snakemake.params.seeds, matched=method != "none"):
            if path.claim == "strong":
                continue
            ends = claims.endpoints(path, cell.states, permutations, cell.symmetry)
            for name in settings["corrections"]:
                about = {**cell.address, "method": method, "correction": name}
                about |= {"claim": path.claim, "a": path.a, "b": path.b}
                measured = barrier.measure(
                    *(cell.model, ends, weights, splits),
                    batch_size=settings["batch_size"],
                    correct=repair.correction(name, cell.model, ends, fitted),
                    held_out=cell.held_out(),
                )
                for split, values in measured.items():
                    points = zip(weights[:, 1].tolist(), values.rows(), strict=True)
                    rows += [{**about, "split": split, "alpha": alpha, **value} for alpha, value in points]
    tables.write(snakemake.output.table, "correction", rows)
