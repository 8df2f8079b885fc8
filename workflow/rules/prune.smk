"""Pruning, level by level, and alignment at every level.

Needs: the trained networks of a model and width, their checkpoints at the epoch to rewind to, and the data set.
Makes: results/<study>/networks/<model>/width<width>/seed<seed>/level<level>/ with mask.safetensors, the network trained
again under it, and training.csv; results/<study>/permutations/<model>/width<width>/<method>/level<level>/ as align does.
"""

PRUNE_WORK = Work(trainings=len(TRAINED))


rule prune:
    """Prune one network by one level, or all of one model and width, rewind what remains and train it again."""
    input:
        data="<results>/data.safetensors",
        rewound=expand(
            "<results>/networks/{model}/width{width}/{network}/epoch{epoch}.safetensors",
            network=TRAINED,
            epoch=REWIND,
            allow_missing=True,
        ),
        trained=lambda wildcards: files_of_level_before(wildcards, f"epoch{LAST_EPOCH}"),
        masks=lambda wildcards: files_of_level_before(wildcards, "mask") if wildcards.level != "1" else [],
    output:
        checkpoints=expand(
            "<results>/networks/{model}/width{width}/{network}/level{level}/epoch{epoch}.safetensors",
            network=TRAINED,
            epoch=LAST_EPOCH,
            allow_missing=True,
        ),
        masks=expand(
            "<results>/networks/{model}/width{width}/{network}/level{level}/mask.safetensors",
            network=TRAINED,
            allow_missing=True,
        ),
        tables=expand(
            "<results>/networks/{model}/width{width}/{network}/level{level}/training.csv",
            network=TRAINED,
            allow_missing=True,
        ),
    log:
        f"<logs>/prune/{{model}}/width{{width}}/level{{level}}-{NETWORKS_OF_JOB}.log",
    benchmark:
        f"<benchmarks>/prune/{{model}}/width{{width}}/level{{level}}-{NETWORKS_OF_JOB}.txt"
    conda:
        "../../envs/onebasin.yaml"
    threads: config["resources"]["threads"]
    resources:
        runtime=PRUNE_WORK.runtime,
        mem_mb=PRUNE_WORK.mem_mb,
        gpu=config["resources"]["gpu"],
    params:
        architecture=architecture_of,
        training=training_of,
        pruning=pruning_of,
        epochs=[LAST_EPOCH],
    script:
        "../scripts/prune.py"


PRUNE_ALIGN_WORK = Work(
    pairs=len(PAIRS) * len(LEVELS_OF_JOB), methods=settings_of_methods, networks=len(SEEDS) * len(LEVELS_OF_JOB)
)


rule prune_align:
    """Match all pairs of networks of one width at the levels of the job."""
    input:
        data="<results>/data.safetensors",
        networks=expand(
            "<results>/networks/{model}/width{width}/seed{seed}/epoch{epoch}.safetensors",
            seed=SEEDS,
            epoch=LAST_EPOCH,
            allow_missing=True,
        ),
        pruned=expand(
            "<results>/networks/{model}/width{width}/seed{seed}/level{level}/epoch{epoch}.safetensors",
            level=LEVELS_OF_JOB,
            seed=SEEDS,
            epoch=LAST_EPOCH,
            allow_missing=True,
        ),
    output:
        permutations=expand(
            "<results>/permutations/{model}/width{width}/{method}/level{level}/{pair}.safetensors",
            level=LEVELS_OF_JOB,
            method=ALIGNED,
            pair=PAIRS,
            allow_missing=True,
        ),
        tables=expand(
            "<results>/permutations/{model}/width{width}/{method}/level{level}/matching.csv",
            level=LEVELS_OF_JOB,
            method=ALIGNED,
            allow_missing=True,
        ),
    log:
        f"<logs>/prune_align/{{model}}/width{{width}}/{ALIGNED_LEVELS}.log",
    benchmark:
        f"<benchmarks>/prune_align/{{model}}/width{{width}}/{ALIGNED_LEVELS}.txt"
    conda:
        "../../envs/onebasin.yaml"
    threads: config["resources"]["threads"]
    resources:
        runtime=PRUNE_ALIGN_WORK.runtime,
        mem_mb=PRUNE_ALIGN_WORK.mem_mb,
        gpu=PRUNE_ALIGN_WORK.gpu,
    params:
        architecture=architecture_of,
        methods=settings_of_methods,
        seeds=SEEDS,
    script:
        "../scripts/prune_align.py"
