"""Measure networks of one and of two data sets under permutations found between networks of the same or another one."""

from itertools import combinations, combinations_with_replacement
from pathlib import Path

from job import logged

with logged(snakemake):
    from cell import Measurement, open_cell, open_permutations

    from onebasin import barrier, cycles, tables

    cells = {"first": open_cell(snakemake)}
    cells["second"] = open_cell(snakemake, networks="second", data_set="second_data")
    symmetry, address = cells["first"].symmetry, cells["first"].address
    settings, seeds = snakemake.params.barrier, snakemake.params.seeds
    measurements = {name: Measurement(cell, settings) for name, cell in cells.items()}
    weights = barrier.line(settings["points"])
    pairs = [(name, name, pair) for name in cells for pair in combinations(seeds, 2)]
    pairs += [("first", "second", pair) for pair in combinations_with_replacement(seeds, 2)]

    def curves(trained_a, trained_b, pair, end, about):
        """The points from a to the end, on the data set of both networks, or on each of theirs."""
        about |= {"trained_a": trained_a, "trained_b": trained_b, "a": pair[0], "b": pair[1]}
        states = [cells[trained_a].states[pair[0]], end]
        for name in dict.fromkeys((trained_a, trained_b)):
            for (_, alpha), values in measurements[name].rows(states, weights):
                yield {**address, **about, "data": name, "alpha": alpha, **values}

    def open_found(method, found):
        """The permutations found among networks of the first or the second data set, or across."""
        if found == "first":
            return open_permutations(snakemake.input.permutations, method)
        paths = [path for path in snakemake.input.transferred if Path(path).parents[1].name == method]
        return open_permutations(paths, found)

    for table in snakemake.output.tables:
        method = Path(table).stem
        rows = []
        if method == "none":
            nothing = {"method": "none", "permutation": "none", "agreement": None, "fixed_points": None, "chance": None}
            for trained_a, trained_b, pair in pairs:
                rows += curves(trained_a, trained_b, pair, cells[trained_b].states[pair[1]], dict(nothing))
        else:
            permutations = {found: open_found(method, found) for found in ("first", "second", "across")}
            for trained_a, trained_b, pair in pairs:
                own = permutations[trained_a if trained_a == trained_b else "across"][pair]
                for found, known in permutations.items():
                    if pair not in known:  # networks of one seed are matched across the data sets alone
                        continue
                    about = {"method": method, "permutation": found, "chance": cycles.chance(own)}
                    about["agreement"] = cycles.fixed_points(known[pair] @ own.inverse())
                    about["fixed_points"] = cycles.fixed_points(known[pair])
                    end = symmetry.apply(known[pair], cells[trained_b].states[pair[1]])
                    rows += curves(trained_a, trained_b, pair, end, about)
        tables.write(table, "transfer", tables.barriers(rows, tables.TRANSFERRED))
