"""Match all pairs of networks of a model at one width, by every method of the job."""

from itertools import combinations
from pathlib import Path

from job import logged

with logged(snakemake):
    import inspect
    import logging

    from cell import open_cell

    from onebasin import checkpoint, match, symmetry, tables

    # Real images on which each permuted network must compute the same function.
    CHECKED_IMAGES = 256

    cell = open_cell(snakemake)
    images, _ = cell.images("train")
    files = {(Path(path).parent.name, Path(path).stem): path for path in snakemake.output.permutations}
    given = {"symmetry": cell.symmetry, "model": cell.model, "images": images}
    for settings, table in zip(snakemake.params.methods, snakemake.output.tables, strict=True):
        method = match.METHODS[settings["algorithm"]]
        # A method takes what its parameters name.
        options = {key: given[key] for key in inspect.signature(method).parameters if key in given}
        options |= {key: value for key, value in settings.items() if key not in ("name", "algorithm")}
        rows = []
        for a, b in combinations(snakemake.params.seeds, 2):
            state_a, state_b = cell.states[a], cell.states[b]
            found = method(state_a=state_a, state_b=state_b, **options)
            symmetry.check(cell.model, cell.symmetry, found.permutation, state_b, images[:CHECKED_IMAGES])
            aligned = cell.symmetry.apply(found.permutation, state_b)
            outcome = {
                "objective": found.objective,
                "similarity": match.similarity(cell.symmetry, state_a, aligned),
                "sweeps": found.sweeps,
            }
            pair = {**cell.address, "method": settings["name"], "a": a, "b": b}
            # Seconds stand in the table alone: the bytes of a permutation do not depend on the machine's mood.
            about = {**pair, **outcome, "settings": settings, **checkpoint.provenance()}
            found.permutation.save(files[settings["name"], f"{a}-{b}"], about)
            rows.append({**pair, **outcome, "seconds": found.seconds})
            logging.info("%s", rows[-1])
        tables.write(table, "matching", rows)
