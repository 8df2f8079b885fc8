"""Measure the networks of a model at one width that were trained under masks, their own ones and others."""

import re

from job import logged

with logged(snakemake):
    from cell import Measurement, open_cell, place_of_level

    from onebasin import checkpoint, prune, tables

    cell = open_cell(snakemake)
    measurement = Measurement(cell, snakemake.params.barrier)
    # Of all networks of a level the same number of weights remains.
    densities = {place_of_level(path)[1]: prune.Mask.load(path).density for path in snakemake.input.masks}
    networks = [(path, "own", place_of_level(path)[0]) for path in snakemake.input.pruned]
    for path in snakemake.input.tickets:
        ticket, source = re.search(r"/level\d+/(.+)/from(\d+)/", path).groups()
        networks.append((path, ticket, int(source)))
    rows = []
    for path, ticket, source in networks:
        seed, level = place_of_level(path)
        known = ticket in ("own", "unpermuted", "random")
        about = {**cell.address, "level": level, "density": densities[level], "seed": seed, "source": source}
        about |= {"mask": ticket if known else "permuted", "method": "none" if known else ticket}
        state, _ = checkpoint.load(path, cell.device)
        rows.append({**about, **measurement.values(state)})
    tables.write(snakemake.output.table, "tickets", rows)
