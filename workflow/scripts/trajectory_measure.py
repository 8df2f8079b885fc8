"""Measure the barriers at each epoch under the permutations found at each epoch, for every method of the job."""

from pathlib import Path

from job import logged

with logged(snakemake):
    from cell import Measurement, open_cell
    from history import barriers, open_permutations, open_states, pairs_of

    from onebasin import tables

    cell = open_cell(snakemake)
    states = open_states(cell, snakemake)
    measurement = Measurement(cell, snakemake.params.barrier)
    epochs = dict(zip(snakemake.params.stages, snakemake.params.epochs, strict=True))
    methods = [Path(table).stem for table in snakemake.output.tables]
    permutations = open_permutations(snakemake, [method for method in methods if method != "none"])
    for table, method in zip(snakemake.output.tables, methods, strict=True):
        rows = []
        for a, b in pairs_of(snakemake):
            tried = {epoch: permutations[method, stage, (a, b)] for stage, epoch in epochs.items() if method != "none"}
            tried = tried or {None: cell.symmetry.identity()}
            for stage, epoch in epochs.items():
                about = {**cell.address, "method": method, "epoch": epoch, "a": a, "b": b}
                ends = states[stage][a], states[stage][b]
                measured = barriers(cell, measurement, ends, tried)
                rows += [{**about, "found": found, **values} for found, values in measured]
        tables.write(table, "trajectory", rows)
