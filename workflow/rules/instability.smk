"""The children of networks, for the experiment `instability`.

Needs: the data set.
Makes: networks whose first epochs are those of their parent, and a table of their epochs.
"""

NETWORKS_OF["children"] = CHILDREN.items
WORK["train_children"] = Work(ESTIMATE, lambda wildcards: Amount(trainings=len(CHILDREN.of(wildcards))))


rule train_children:
    """Train a child, or all of one model and width: its first epochs are its parent's, then the data come otherwise."""
    input:
        data=DATA["first"],
    output:
        checkpoints=update([network(**item) for item in CHILDREN.patterns]),
        tables=update([training_table(**item) for item in CHILDREN.patterns]),
    log:
        log_of("train_children", f"{{model}}/width{{width}}/{CHILDREN.name}"),
    benchmark:
        benchmark_of("train_children", f"{{model}}/width{{width}}/{CHILDREN.name}")
    conda:
        "../../envs/onebasin.yaml"
    threads: config["resources"]["threads"]
    resources:
        runtime=WORK["train_children"].runtime,
        mem_mb=WORK["train_children"].mem_mb,
        gpu=config["resources"]["gpu"],
    params:
        architecture=architecture_of,
        training=training_of,
        networks=of_outputs(CHILDREN.of),
        epochs=[LAST_EPOCH],
        version=versions.of("train"),
    script:
        "../scripts/train.py"
