"""Networks that are trained on parts of the data, and others on all of them, for the experiment `splits`.

Needs: the data set.
Makes: the networks of each division, started independently and from one start, and tables of their epochs.
"""

NETWORKS_OF["splits"] = SPLITS.items
WORK["train_splits"] = Work(ESTIMATE, lambda wildcards: Amount(trainings=len(SPLITS.of(wildcards))))


rule train_splits:
    """Train one network on its part of the data, or all of one model and width."""
    input:
        data=DATA["first"],
    output:
        checkpoints=update([network(**item) for item in SPLITS.patterns]),
        tables=update([training_table(**item) for item in SPLITS.patterns]),
    log:
        log_of("train_splits", f"{{model}}/width{{width}}/{SPLITS.name}"),
    benchmark:
        benchmark_of("train_splits", f"{{model}}/width{{width}}/{SPLITS.name}")
    conda:
        "../../envs/onebasin.yaml"
    threads: config["resources"]["threads"]
    resources:
        runtime=WORK["train_splits"].runtime,
        mem_mb=WORK["train_splits"].mem_mb,
        gpu=config["resources"]["gpu"],
    params:
        architecture=architecture_of,
        training=training_of_splits,
        networks=of_outputs(SPLITS.of),
        splits=of_outputs(splits_in_hand),
        epochs=[LAST_EPOCH],
        version=versions.of("train"),
    script:
        "../scripts/train.py"
