"""Measure the barriers between the networks of a model at one width and their children."""

from itertools import product

from job import logged

with logged(snakemake):
    from cell import open_cell

    from onebasin import barrier, checkpoint, tables

    cell = open_cell(snakemake)
    settings = snakemake.params.barrier
    splits = {"train": cell.images("train", settings["train_images"]), "test": cell.images("test")}
    weights = barrier.line(settings["points"])
    rows = []
    pairs = product(snakemake.params.seeds, snakemake.params.shared)
    for (seed, shared), path in zip(pairs, snakemake.input.children, strict=True):
        ends = cell.states[seed], checkpoint.load(path, cell.device)[0]
        measured = barrier.measure(cell.model, ends, weights, splits, batch_size=settings["batch_size"])
        for split, values in measured.items():
            points = zip(weights[:, 1].tolist(), values.rows(), strict=True)
            about = {**cell.address, "seed": seed, "shared": shared, "split": split}
            rows += [{**about, "alpha": alpha, **value} for alpha, value in points]
    tables.write(snakemake.output.table, "instability", tables.barriers(rows, tables.CHILD))
