"""Measure, on the second data set, its networks of a model at one width: dense, and under masks found on the first."""

import re

from job import logged

with logged(snakemake):
    from cell import Measurement, open_cell, place_of_level

    from onebasin import checkpoint, prune, tables

    cell = open_cell(snakemake)
    measurement = Measurement(cell, snakemake.params.barrier)
    masks = {place_of_level(path): prune.Mask.load(path) for path in snakemake.input.masks}
    rows = []
    for seed, state in cell.states.items():
        about = {**cell.address, "level": 0, "density": 1.0, "seed": seed, "source": seed}
        rows.append({**about, "mask": "none", "method": "none", **measurement.values(state)})
    for path in snakemake.input.retrained:
        seed, level = place_of_level(path)
        ticket, source = re.search(r"/level\d+/(.+)/from(\d+)/", path).groups()
        known = ticket in ("unpermuted", "random")
        about = {**cell.address, "level": level, "density": masks[int(source), level].density}
        about |= {"seed": seed, "source": int(source), "mask": ticket if known else "permuted"}
        about["method"] = "none" if known else ticket
        rows.append({**about, **measurement.values(checkpoint.load(path, cell.device)[0])})
    tables.write(snakemake.output.table, "transfer_masks", rows)
