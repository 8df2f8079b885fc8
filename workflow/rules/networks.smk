"""Networks that were trained elsewhere, in place of training.

Needs: the files that `networks` names, and the data set.
Makes: a checkpoint of each of them, as training would.
"""


def network_files(wildcards):
    """Return the files that `networks` names, for a model and width."""
    return [
        validation.locate(validation.network_file(path, wildcards.model, wildcards.width), CODE_FOLDERS)
        for path in config["networks"]
    ]


WORK["import_networks"] = Work(ESTIMATE, Amount(networks=len(SEEDS)))


rule import_networks:
    """Read all networks of a model and width, and hold them against the model."""
    input:
        data=DATA["first"],
        networks=network_files,
        # An index says the same when one of its shards is another.
        shards=lambda wildcards: [shard for path in network_files(wildcards) for shard in shards.parts(path)[1:]],
    output:
        checkpoints=update([network(seed=seed) for seed in SEEDS]),
    log:
        log_of("import_networks", "{model}/width{width}"),
    benchmark:
        benchmark_of("import_networks", "{model}/width{width}")
    conda:
        "../../envs/onebasin.yaml"
    threads: 1
    resources:
        runtime=WORK["import_networks"].runtime,
        mem_mb=WORK["import_networks"].mem_mb,
        gpu=0,
    params:
        architecture=architecture_of,
        networks=[{"seed": seed} for seed in SEEDS],
        version=versions.of("import"),
    script:
        "../scripts/import_networks.py"
