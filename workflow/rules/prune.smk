"""Pruning, level by level.

Needs: the trained networks of a model and width, their checkpoints at the epoch to rewind to, and the data set.
Makes: the mask of every network at every level, the network trained again under it, and a table of its epochs.
"""

STAGES["levels"] = [{"level": level} for level in LEVELS]
NETWORKS_OF["levels"] = [{"seed": seed, "level": level} for level in LEVELS for seed in SEEDS]

for rewind in (None, *REWINDS):
    name = "prune" if rewind is None else f"prune_from{rewind}"
    pruning = Pruning(name, rewind)

    rule:
        """Prune one network by one level, or all of one model and width by all, rewind and train what remains."""
        name:
            name
        input:
            unpack(pruning.inputs),
            data=DATA["first"],
        output:
            checkpoints=update([network(**item) for item in pruning.batch.patterns]),
            masks=update([mask_file(**item) for item in pruning.batch.patterns]),
            tables=update([training_table(**item) for item in pruning.batch.patterns]),
        log:
            log_of(name, f"{{model}}/width{{width}}/{pruning.batch.name}"),
        benchmark:
            benchmark_of(name, f"{{model}}/width{{width}}/{pruning.batch.name}")
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
            networks=of_outputs(pruning.batch.of),
            before=of_inputs(pruning.before),
            rewound=of_inputs(pruning.rewound),
            epochs=[LAST_EPOCH],
            version=versions.of("prune"),
        script:
            "../scripts/prune.py"
