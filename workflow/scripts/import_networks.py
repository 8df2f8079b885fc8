"""Bring networks that were trained elsewhere into the place of trained ones."""

from job import logged

with logged(snakemake):
    import hashlib
    import logging
    from pathlib import Path

    import network

    from onebasin import checkpoint, data, foreign

    name, width = snakemake.wildcards.model, int(snakemake.wildcards.width)
    architecture = snakemake.params.architecture
    model = network.build(architecture, width, data.open_(snakemake.input.data))
    # All are read before one is written: a study of some of the networks is none.
    states = [foreign.fit(model, foreign.read(path), path) for path in snakemake.input.networks]
    for seed, (path, state) in enumerate(zip(snakemake.input.networks, states, strict=True)):
        source = {"file": path, "sha256": hashlib.sha256(Path(path).read_bytes()).hexdigest()}
        about = {"model": name, "width": width, "seed": seed, "architecture": architecture, "source": source}
        checkpoint.save(snakemake.output.checkpoints[seed], state, about | checkpoint.provenance())
        logging.info("seed %d is %s, sha256 %s", seed, path, source["sha256"])
