"""The children of networks, which share their first steps with their parent: for `instability` and `butterfly`.

Needs: the data set, or that of `butterfly`.
Makes: the children, a table of the epochs of each, and for `butterfly` their parents on its data set.
"""

NETWORKS_OF["children"] = CHILDREN.items
NETWORKS_OF["butterfly"] = BUTTERFLY.items

for name, family in {
    "train_children": Family(CHILDREN, "first", {}),
    "train_butterfly": Family(BUTTERFLY, "butterfly", config["butterfly"]["training"]),
}.items():
    WORK[name] = Work(ESTIMATE, family.amount)

    rule:
        """Train a child, or all of one model and width: first it does what its parent does, then something is other."""
        name:
            name
        input:
            data=DATA[family.data],
        output:
            checkpoints=update([network(**item) for item in family.batch.patterns]),
            tables=update([training_table(**item) for item in family.batch.patterns]),
        log:
            log_of(name, f"{{model}}/width{{width}}/{family.batch.name}"),
        benchmark:
            benchmark_of(name, f"{{model}}/width{{width}}/{family.batch.name}")
        conda:
            "../../envs/onebasin.yaml"
        threads: config["resources"]["threads"]
        resources:
            runtime=WORK[name].runtime,
            mem_mb=WORK[name].mem_mb,
            gpu=config["resources"]["gpu"],
        params:
            architecture=architecture_of,
            training=family.training_of,
            networks=of_outputs(family.batch.of),
            epochs=[family.epochs],
            version=versions.of("train"),
        script:
            "../scripts/train.py"
