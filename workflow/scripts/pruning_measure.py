"""Measure the networks of a model at one width at every level, and count what remains of each of their layers."""

from job import logged

with logged(snakemake):
    from cell import Measurement, open_cell, open_levels, place_of_level

    from onebasin import prune, tables

    cell = open_cell(snakemake)
    full = prune.full(cell.model, cell.symmetry, snakemake.params.pruning["output_layer"])
    masks = {(seed, 0): full for seed in snakemake.params.seeds}
    masks |= {place_of_level(path): prune.Mask.load(path) for path in snakemake.input.masks}
    states = {0: cell.states, **open_levels(snakemake.input.pruned, cell.device)}
    measurement = Measurement(cell, snakemake.params.barrier)
    images, _ = measurement.splits["train"]
    rows = []
    for seed in snakemake.params.seeds:
        for level in (0, *snakemake.params.levels):
            state, mask = states[level][seed], masks[seed, level]
            values = measurement.values(state)
            dead = prune.dead_units(cell.symmetry, cell.model, state, images)
            layers = tables.layers(mask.counts(), cell.symmetry.sizes, dead)
            about = {**cell.address, "seed": seed, "level": level, "density": mask.density}
            rows += [{**about, **values, **row} for row in layers]
    tables.write(snakemake.output.table, "pruning", rows)
