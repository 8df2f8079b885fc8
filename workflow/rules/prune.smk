"""Pruning, level by level.

Needs: the trained networks of a model and width, their checkpoints at the epoch to rewind to, and the data set.
Makes: the mask of every network at every level, the network trained again under it, and a table of its epochs.
"""

STAGES["levels"] = [{"level": level} for level in LEVELS]
NETWORKS_OF["levels"] = [{"seed": seed, "level": level} for level in LEVELS for seed in SEEDS]
PRUNINGS = {"prune": Pruning(), **{f"prune_from{epoch}": Pruning(epoch) for epoch in REWINDS}}

for name, pruning in PRUNINGS.items():
    WORK[name] = WORK["train"]

    rule:
        """Prune one network by one level, or all of one model and width, rewind what remains and train it again."""
        name:
            name
        input:
            unpack(pruning.inputs),
            data=DATA["first"],
            rewound=[network(**item, epoch=pruning.rewind) for item in SEEDS_IN_HAND.patterns],
        output:
            checkpoints=update([network(**item, level="{level}", **pruning.on) for item in SEEDS_IN_HAND.patterns]),
            masks=update([mask_file(**item, level="{level}", **pruning.on) for item in SEEDS_IN_HAND.patterns]),
            tables=update([training_table(**item, level="{level}", **pruning.on) for item in SEEDS_IN_HAND.patterns]),
        log:
            log_of(name, f"{{model}}/width{{width}}/level{{level}}-{SEEDS_IN_HAND.name}"),
        benchmark:
            benchmark_of(name, f"{{model}}/width{{width}}/level{{level}}-{SEEDS_IN_HAND.name}")
        conda:
            "../../envs/onebasin.yaml"
        threads: config["resources"]["threads"]
        resources:
            runtime=WORK[name].runtime,
            mem_mb=WORK[name].mem_mb,
            gpu=config["resources"]["gpu"],
        params:
            architecture=architecture_of,
            training=training_of,
            pruning=pruning.settings,
            networks=of_outputs(pruning.networks),
            epochs=[LAST_EPOCH],
            version=versions.of("prune"),
        script:
            "../scripts/prune.py"
