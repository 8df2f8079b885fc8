"""Train the networks of the job: one, or all of a model and width."""

from pathlib import Path

from job import logged

with logged(snakemake):
    import re

    import network
    import torch
    from gpu import device

    from onebasin import data, train

    torch.set_num_threads(snakemake.threads)
    name, width = snakemake.wildcards.model, int(snakemake.wildcards.width)
    architecture = snakemake.params.architecture
    dataset = data.open_(snakemake.input.data)
    for folder in (Path(table).parent for table in snakemake.output.tables):
        # A child has a folder in that of the network with which it shares its first epochs.
        seed, shared = re.search(r"/seed(\d+)(?:/shared(\d+))?$", folder.as_posix()).groups()
        address = ("network", name, width, int(seed))
        train.train(
            network.initialised(architecture, width, dataset, address),
            dataset,
            train.Settings(**snakemake.params.training),
            seed_address=address,
            checkpoints={epoch: folder / f"epoch{epoch}.safetensors" for epoch in snakemake.params.epochs},
            table=folder / "training.csv",
            # Undeclared, so that Snakemake leaves it alone when the job fails, and a later one continues from it.
            work=folder / "unfinished",
            metadata={"model": name, "width": width, "seed": int(seed), "architecture": architecture},
            device=device(snakemake),
            branch=(int(shared), "child") if shared else None,
        )
