"""Measure the barriers between the networks of a model at one width and their children."""

from itertools import product

from job import logged

with logged(snakemake):
    from cell import Measurement, open_cell

    from onebasin import barrier, checkpoint, tables

    cell = open_cell(snakemake)
    measurement = Measurement(cell, snakemake.params.barrier)
    weights = barrier.line(snakemake.params.barrier["points"])
    rows = []
    pairs = product(snakemake.params.seeds, snakemake.params.shared)
    for (seed, shared), path in zip(pairs, snakemake.input.children, strict=True):
        ends = cell.states[seed], checkpoint.load(path, cell.device)[0]
        about = {**cell.address, "seed": seed, "shared": shared}
        rows += [{**about, "alpha": alpha, **values} for (_, alpha), values in measurement.rows(ends, weights)]
    tables.write(snakemake.output.table, "instability", tables.barriers(rows, tables.CHILD))
