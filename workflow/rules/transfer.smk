"""Networks of the same seeds, and so of the same initial parameters, on a second data set, for `transfer`.

Needs: the second data set.
Makes: the networks, with a checkpoint at the epoch to rewind to, and a table of their epochs.
"""

SECOND_EPOCHS = sorted({LAST_EPOCH, *([REWIND] if REWIND < LAST_EPOCH else [])})

NETWORKS_OF["second"] = SECOND.items
STAGES["second"] = [{"data": "second"}]
STAGES["across"] = [{"data": "across"}]
WORK["train_second"] = WORK["train"]


rule train_second:
    """Train networks on the second data set."""
    input:
        data=DATA["second"],
    output:
        checkpoints=update([network(**item, epoch=epoch) for item in SECOND.patterns for epoch in SECOND_EPOCHS]),
        tables=update([training_table(**item) for item in SECOND.patterns]),
    log:
        log_of("train_second", f"{{model}}/width{{width}}/{SECOND.name}"),
    benchmark:
        benchmark_of("train_second", f"{{model}}/width{{width}}/{SECOND.name}")
    conda:
        "../../envs/onebasin.yaml"
    threads: config["resources"]["threads"]
    resources:
        runtime=WORK["train_second"].runtime,
        mem_mb=WORK["train_second"].mem_mb,
        gpu=config["resources"]["gpu"],
    params:
        architecture=architecture_of,
        training=training_of,
        networks=of_outputs(SECOND.of),
        epochs=SECOND_EPOCHS,
        version=versions.of("train"),
    script:
        "../scripts/train.py"
