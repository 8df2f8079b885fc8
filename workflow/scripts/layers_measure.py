"""Measure the barriers at the end of training under permutations found on hybrids, for every method of the job."""

from pathlib import Path

from job import logged

with logged(snakemake):
    import logging

    from alignment import find
    from cell import Measurement, open_cell
    from history import barriers, open_states, pairs_of

    from onebasin import hybrids, symmetry, tables

    cell = open_cell(snakemake)
    states = open_states(cell, snakemake)
    measurement = Measurement(cell, snakemake.params.barrier)
    epochs = dict(zip(snakemake.params.stages, snakemake.params.epochs, strict=True))
    layers = symmetry.layers(cell.model, cell.images("train", 2)[0])
    for number, keys in enumerate(layers, start=1):
        logging.info("layer %d: %s", number, ", ".join(keys))
    parts = {("rewound", None): frozenset(), **hybrids.kept_layers(len(layers))}
    settings = {method["name"]: method for method in snakemake.params.methods}

    def match_hybrids(method, a, b):
        """Give the permutation of each kind of hybrid; the same hybrid is matched once, whatever it is called."""
        found = {}
        for stage, epoch in epochs.items():
            for name, kept in parts.items():
                # With every layer kept it is the network at the end, whatever the others would be rewound to.
                hybrid = (kept, epoch if len(kept) < len(layers) else None)
                if hybrid not in found:
                    pair = (hybrids.hybrid(layers, kept, cell.states[seed], states[stage][seed]) for seed in (a, b))
                    found[hybrid] = find(cell, *pair, settings[method]).permutation
                yield (epoch, *name), found[hybrid]

    for table in snakemake.output.tables:
        method = Path(table).stem
        rows = []
        for a, b in pairs_of(snakemake):
            tried = {(None, "none", None): cell.symmetry.identity()}
            if method != "none":
                tried = dict(match_hybrids(method, a, b))
            about = {**cell.address, "method": method, "layers": len(layers), "a": a, "b": b}
            for (epoch, kind, place), values in barriers(cell, measurement, (cell.states[a], cell.states[b]), tried):
                rows.append({**about, "kind": kind, "rewound": epoch, "place": place, **values})
        tables.write(table, "layers", rows)
