"""Measure compositions of pairwise permutations along paths and around cycles of networks of a model at one width."""

import functools

from job import logged

with logged(snakemake):
    from cell import Measurement, open_cell, open_frame, open_permutations

    from onebasin import barrier, cycles, seeding, tables

    cell = open_cell(snakemake)
    settings, seeds = snakemake.params.cycles, snakemake.params.seeds
    measurement = Measurement(cell, settings)
    weights = barrier.line(settings["points"])

    def ways(kind, draw, lengths):
        """Every way that is measured, for all methods the same ones, with the columns that name it."""
        for length in lengths:
            drawn = draw(seeds, length, settings["limit"], seeding.generator("cycles", kind, length))
            yield from ((networks, {"kind": kind, "length": length}) for networks in drawn)

    @functools.cache
    def points(first, last, permutation):
        """Measure the way between two networks once, however many paths lead to the same permutation of the last."""
        end = cell.symmetry.apply(permutation, cell.states[last])
        # From a network to itself there is nothing between the ends.
        same = first == last and permutation == cell.symmetry.identity()
        return list(measurement.rows([cell.states[first], end], barrier.line(2) if same else weights))

    def curve(permutation, networks, about):
        """The points of the way from the first network to the last one as it comes out."""
        about = {**cell.address, **about, "networks": "-".join(map(str, networks))}
        measured = points(networks[0], networks[-1], permutation)
        return [{**about, "alpha": alpha, **values} for (_, alpha), values in measured]

    curves, groups = [], []
    path = {"fixed_points": None, "chance": None}
    for networks, _ in ways("path", cycles.paths, [1]):
        about = {"method": "none", "kind": "path", "length": 0, **path}
        curves += curve(cell.symmetry.identity(), networks, about)
    matched = {name: open_permutations(snakemake.input.permutations, name) for name in snakemake.params.methods}
    matched |= {name: cycles.within(open_frame(snakemake.input.frames, name)) for name in snakemake.params.frames}
    for method, permutations in matched.items():
        for networks, about in ways("path", cycles.paths, range(1, settings["longest"] + 1)):
            curves += curve(cycles.along(permutations, networks), networks, {"method": method, **about, **path})
        for networks, about in ways("cycle", cycles.closed, range(3, settings["longest"] + 1)):
            composed = cycles.along(permutations, networks)
            fixed = {"fixed_points": cycles.fixed_points(composed), "chance": cycles.chance(composed)}
            curves += curve(composed, networks, {"method": method, **about, **fixed})
            about = {**cell.address, "method": method, "length": about["length"]}
            about["networks"] = "-".join(map(str, networks))
            for group, share in composed.fixed_points().items():
                units = composed.sizes[group]
                groups.append({**about, "group": group, "units": units, "fixed_points": share, "chance": 1 / units})
    tables.write(snakemake.output.table, "cycles", tables.barriers(curves, tables.CYCLE))
    tables.write(snakemake.output.groups, "fixed_points", groups)
