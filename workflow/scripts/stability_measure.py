"""Compare the permutations of a model at one width that were found at different stages, pair by pair."""

from itertools import combinations, product

from job import logged

with logged(snakemake):
    from history import open_permutations, pairs_of

    from onebasin import tables

    permutations = open_permutations(snakemake, snakemake.params.methods)
    address = {"model": snakemake.wildcards.model, "width": int(snakemake.wildcards.width)}
    rows = []
    for method, (a, b) in product(snakemake.params.methods, pairs_of(snakemake)):
        for first, second in combinations(snakemake.params.stages, 2):
            change = permutations[method, first, (a, b)] @ permutations[method, second, (a, b)].inverse()
            about = {**address, "method": method, "first": first, "second": second, "a": a, "b": b}
            for group, fixed in change.fixed_points().items():
                rows.append({**about, "group": group, "units": change.sizes[group], "fixed": fixed})
    tables.write(snakemake.output.table, "stability", rows)
