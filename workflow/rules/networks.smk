"""Networks that were trained elsewhere, in place of training.

Needs: the files that `networks` names, and the data set.
Makes: results/<study>/networks/<model>/width<width>/seed<i>/ with a checkpoint of the i-th file, as training would.
"""

IMPORT_NETWORKS_WORK = Work(networks=len(SEEDS))


rule import_networks:
    """Read all networks of a model and width, and hold them against the model."""
    input:
        data="<results>/data.safetensors",
        networks=files_of_networks,
    output:
        checkpoints=expand(
            "<results>/networks/{model}/width{width}/seed{seed}/epoch{epoch}.safetensors",
            seed=SEEDS,
            epoch=LAST_EPOCH,
            allow_missing=True,
        ),
    log:
        "<logs>/import_networks/{model}/width{width}.log",
    benchmark:
        "<benchmarks>/import_networks/{model}/width{width}.txt"
    conda:
        "../../envs/onebasin.yaml"
    threads: 1
    resources:
        runtime=IMPORT_NETWORKS_WORK.runtime,
        mem_mb=IMPORT_NETWORKS_WORK.mem_mb,
        gpu=0,
    params:
        architecture=architecture_of,
    script:
        "../scripts/import_networks.py"


for experiment in NEED_TRAINING:

    rule:
        """Say that files from elsewhere are not enough for this experiment."""
        name:
            experiment
        input:
            lambda wildcards, experiment=experiment: refuse_training("networks", experiment),
