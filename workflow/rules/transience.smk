"""Trainings that go on from the mean of two networks, for the experiment `transience`.

Needs: the data set of `transience`.
Makes: networks and children of them, with what their optimisers remember at the epochs at which means are taken; and
the networks that go on from the mean of a network and its child, and from that of two networks of a pair.
"""

NETWORKS_OF["transience"] = [
    *({**item, "epoch": epoch} for item in ENDS.items for epoch in ENDS_KEPT),
    *(
        {**item, "epoch": epoch}
        for means in MEANS.values()
        for item in means.batch.items
        for epoch in epochs_looked_at(item["mean"])
    ),
]
WORK["train_ends"] = Work(
    ESTIMATE, lambda wildcards: Amount(trainings=math.ceil(len(ENDS.of(wildcards)) * MEANS_LAST / LAST_EPOCH))
)


rule train_ends:
    """Train a network, or a child of one, or all of one model and width; what their optimisers remember is kept too."""
    input:
        data=DATA["transience"],
    output:
        checkpoints=update([network(**item, epoch=epoch) for item in ENDS.patterns for epoch in ENDS_KEPT]),
        memories=update([memory_file(**item, epoch=epoch) for item in ENDS.patterns for epoch in MEANS_AT]),
        tables=update([training_table(**item) for item in ENDS.patterns]),
    log:
        log_of("train_ends", f"{{model}}/width{{width}}/{ENDS.name}"),
    benchmark:
        benchmark_of("train_ends", f"{{model}}/width{{width}}/{ENDS.name}")
    conda:
        "../../envs/onebasin.yaml"
    threads: config["resources"]["threads"]
    resources:
        runtime=WORK["train_ends"].runtime,
        mem_mb=WORK["train_ends"].mem_mb,
        gpu=config["resources"]["gpu"],
    params:
        architecture=architecture_of,
        training=training_of_means,
        networks=of_outputs(ENDS.of),
        epochs=ENDS_KEPT,
        memories=MEANS_AT,
        version=versions.of("train"),
    script:
        "../scripts/train.py"


for name, means in MEANS.items():
    WORK[name] = Work(ESTIMATE, means.amount)

    rule:
        """Train on from means, each with the batches of the first of its two networks."""
        name:
            name
        input:
            unpack(means.inputs),
            data=DATA["transience"],
        output:
            checkpoints=update(
                [
                    network(**item, epoch=epoch)
                    for item in means.batch.patterns
                    for epoch in epochs_looked_at(item["mean"])
                ]
            ),
            tables=update([training_table(**item) for item in means.batch.patterns]),
        log:
            log_of(name, f"{{model}}/width{{width}}/{means.batch.name}"),
        benchmark:
            benchmark_of(name, f"{{model}}/width{{width}}/{means.batch.name}")
        conda:
            "../../envs/onebasin.yaml"
        threads: config["resources"]["threads"]
        resources:
            runtime=WORK[name].runtime,
            mem_mb=WORK[name].mem_mb,
            gpu=config["resources"]["gpu"],
        params:
            architecture=architecture_of,
            training=training_of_means,
            networks=of_outputs(means.batch.of),
            ends=of_inputs(means.ends),
            epochs={epoch: epochs_looked_at(epoch) for epoch in MEANS_AT},
            methods=means.methods,
            versions=means.versions,
        script:
            "../scripts/transience.py"
