"""Measure the barriers at each epoch under permutations found on several checkpoints at once."""

from pathlib import Path

from job import logged

with logged(snakemake):
    from alignment import find
    from cell import Measurement, open_cell
    from history import barriers, open_states, pairs_of

    from onebasin import tables

    cell = open_cell(snakemake)
    states = open_states(cell, snakemake)
    measurement = Measurement(cell, snakemake.params.barrier)
    epochs = dict(zip(snakemake.params.stages, snakemake.params.epochs, strict=True))
    settings = {method["name"]: method for method in snakemake.params.methods}
    for table in snakemake.output.tables:
        method = Path(table).stem
        rows = []
        for a, b in pairs_of(snakemake):
            tried = {}
            for chosen in snakemake.params.sets:
                checkpoints = ([states[f"epoch{epoch}"][seed] for epoch in chosen] for seed in (a, b))
                tried["+".join(map(str, chosen))] = find(cell, *checkpoints, settings[method]).permutation
            for stage, epoch in epochs.items():
                about = {**cell.address, "method": method, "epoch": epoch, "a": a, "b": b}
                measured = barriers(cell, measurement, (states[stage][a], states[stage][b]), tried)
                rows += [{**about, "matched": matched, **values} for matched, values in measured]
        tables.write(table, "superposition", rows)
