"""Match networks of the second data set with each other, and with those of the first."""

from pathlib import Path

from job import logged

with logged(snakemake):
    import torch
    from alignment import find, match_pairs
    from cell import open_cell

    from onebasin import checkpoint

    first = open_cell(snakemake)
    second = open_cell(snakemake, networks="second", data_set="second_data")
    # Activations across the data sets are compared on images of both, by turns.
    both = [cell.images("train")[0] for cell in (first, second)]
    shorter = min(map(len, both))
    mixed = torch.stack([images[:shorter] for images in both], dim=1).flatten(0, 1)
    for settings, table in zip(snakemake.params.methods, snakemake.output.tables, strict=True):
        folder = Path(table).parents[1]
        match_pairs(second, second.states, settings, folder / "second")
        for a in first.states:
            for b in second.states:
                found = find(first, first.states[a], second.states[b], settings, mixed)
                about = {**first.address, "method": settings["name"], "a": a, "b": b, "objective": found.objective}
                about |= {"trained_a": first.dataset.name, "trained_b": second.dataset.name}
                about |= {"settings": dict(settings), **checkpoint.provenance()}
                found.permutation.save(folder / "across" / f"{a}-{b}.safetensors", about)
