"""Training.

Needs: the data set.
Makes: the checkpoints of every network at the epochs that are kept, and a table of its epochs.
"""

STAGES["history"] = [at(epoch) for epoch in HISTORY]
NETWORKS_OF["history"] = [{"seed": seed, **at(epoch)} for epoch in HISTORY for seed in SEEDS]
NETWORKS_OF["rewound"] = [{"seed": seed, **at(epoch)} for epoch in REWOUND for seed in SEEDS]
WORK["train"] = Work(ESTIMATE, lambda wildcards: Amount(trainings=len(SEEDS_IN_HAND.of(wildcards))))


rule train:
    """Train one network, or all of one model and width; a network that was interrupted continues where it was."""
    input:
        data=DATA["first"],
    output:
        checkpoints=update([network(**item, epoch=epoch) for item in SEEDS_IN_HAND.patterns for epoch in EPOCHS]),
        tables=update([training_table(**item) for item in SEEDS_IN_HAND.patterns]),
    log:
        log_of("train", f"{{model}}/width{{width}}/{SEEDS_IN_HAND.name}"),
    benchmark:
        benchmark_of("train", f"{{model}}/width{{width}}/{SEEDS_IN_HAND.name}")
    conda:
        "../../envs/onebasin.yaml"
    threads: config["resources"]["threads"]
    resources:
        runtime=WORK["train"].runtime,
        mem_mb=WORK["train"].mem_mb,
        gpu=config["resources"]["gpu"],
    params:
        architecture=architecture_of,
        training=training_of,
        networks=of_outputs(SEEDS_IN_HAND.of),
        epochs=EPOCHS,
        version=versions.of("train"),
    script:
        "../scripts/train.py"
