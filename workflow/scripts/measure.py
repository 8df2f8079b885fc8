"""Measure loss and error along the paths between networks of a model at one width, for every method of the job."""

from pathlib import Path

from job import logged

with logged(snakemake):
    from cell import Measurement, open_cell, open_frame, open_permutations, part_of

    from onebasin import barrier, claims, tables

    cell = open_cell(snakemake)
    measurement = Measurement(cell, snakemake.params.barrier)
    weights = barrier.line(snakemake.params.barrier["points"])
    for table in snakemake.output.tables:
        method = Path(table).stem
        if frame := open_frame(snakemake.input.frames, method):
            states = claims.into_common_frame(cell.symmetry, frame, cell.states)
            paths = part_of(claims.common_paths(snakemake.params.seeds), snakemake)
            ways = ((path, (states[path.a], states[path.b])) for path in paths)
        else:
            permutations = open_permutations(snakemake.input.permutations, method)
            paths = part_of(claims.paths(snakemake.params.seeds, matched=method != "none"), snakemake)
            ways = ((path, claims.endpoints(path, cell.states, permutations, cell.symmetry)) for path in paths)
        rows = []
        for path, ends in ways:
            about = {**cell.address, "method": method, "claim": path.claim}
            about |= {"reference": path.reference, "a": path.a, "b": path.b}
            rows += [{**about, "alpha": alpha, **values} for (_, alpha), values in measurement.rows(ends, weights)]
        tables.write(table, "measurements", rows)
