"""Prune the networks of the job by one level, and train what remains from the epoch to which they are rewound."""

from pathlib import Path

from job import logged

with logged(snakemake):
    from retraining import Retraining

    from onebasin import checkpoint, prune, seeding

    retraining = Retraining(snakemake)
    settings, level = snakemake.params.pruning, int(snakemake.wildcards.level)
    before = snakemake.input.masks or [None] * len(snakemake.input.trained)
    files = zip(snakemake.output.masks, snakemake.input.rewound, snakemake.input.trained, before, strict=True)
    for target, rewound, trained, earlier in files:
        mask = prune.Mask.load(earlier) if earlier else retraining.full_mask(settings["output_layer"])
        seed = retraining.seed_of(target)
        mask = prune.prune(
            *(mask, checkpoint.load(trained)[0], settings["fraction"], settings["strategy"]),
            generator=seeding.generator(*retraining.address(seed), "prune", level),
        )
        retraining.train(Path(target).parent, rewound, mask, {"level": level, "density": mask.density})
        about = {**retraining.about(seed), "level": level, "density": mask.density, "pruning": settings}
        mask.save(target, {**about, **checkpoint.provenance()})
