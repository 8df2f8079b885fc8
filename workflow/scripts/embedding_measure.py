"""Pad the narrow networks of a model to a wide one; match them with wide networks, and measure the way between."""

from pathlib import Path

from job import logged

with logged(snakemake):
    from alignment import find
    from cell import Measurement, open_cell

    from onebasin import barrier, embed, tables

    wide = open_cell(snakemake)
    narrow = open_cell(snakemake, width="narrow", networks="narrow")
    images, _ = wide.images("train")
    symmetries = (narrow.symmetry, wide.symmetry)
    padded = {
        seed: embed.embed(narrow.model, wide.model, symmetries, state, images[:256])
        for seed, state in narrow.states.items()
    }
    measurement = Measurement(wide, snakemake.params.barrier)
    weights = barrier.line(snakemake.params.barrier["points"])
    settings = {method["name"]: method for method in snakemake.params.methods}
    for table in snakemake.output.tables:
        method = Path(table).stem
        rows = []
        for a, state_a in wide.states.items():
            for b, state_b in padded.items():
                end = state_b
                if method in settings:
                    end = wide.symmetry.apply(find(wide, state_a, state_b, settings[method]).permutation, state_b)
                about = {**wide.address, "narrow": narrow.address["width"], "method": method, "a": a, "b": b}
                points = measurement.rows([state_a, end], weights)
                rows += [{**about, "alpha": alpha, **values} for (_, alpha), values in points]
        tables.write(table, "embedding", tables.barriers(rows, tables.EMBEDDED))
