"""Experiment `transfer_masks`: does a mask found on one data set serve a network of another one, once it is permuted?

Networks of the second data set of `transfer` are trained on it again from their own rewinding epoch under masks of other
seeds that were found on the first set: as they are, at random, and permuted as networks across the sets were matched.

Needs: the masks of the networks of a model and width at one level of pruning, the networks of the second data set at the
epoch to rewind to, the permutations across both, and the second data set.
Makes: networks in results/<study>/transfer/networks/<model>/width<width>/seed<seed>/level<level>/<ticket>/from<source>/,
and results/<study>/tables/transfer_masks.csv and results/<study>/figures/transfer_masks.png and .pdf.
"""


rule transfer_masks:
    """Accuracy of networks of the second data set under masks found on the first."""
    input:
        table="<results>/tables/transfer_masks.csv",
        png="<results>/figures/transfer_masks.png",
        pdf="<results>/figures/transfer_masks.pdf",


TRANSFER_MASKS_TRAIN_WORK = Work(trainings=len(TRANSFERRED_OF_JOB))


rule transfer_masks_train:
    """Train networks of the second data set from the rewinding epoch under masks of others, found on the first."""
    input:
        data="<results>/transfer/data.safetensors",
        rewound=expand(
            "<results>/transfer/networks/{model}/width{width}/{network}/epoch{epoch}.safetensors",
            network=TRAINED,
            epoch=REWIND,
            allow_missing=True,
        ),
        masks=expand(
            "<results>/networks/{model}/width{width}/{network}/level{level}/mask.safetensors",
            network=TRAINED if config["seeds_together"] else ["seed{source}"],
            level=TRANSFERRED_LEVEL,
            allow_missing=True,
        ),
        permutations=permutations_of_transferred_masks,
    output:
        checkpoints=expand(
            "<results>/transfer/networks/{model}/width{width}/{ticket}/epoch{epoch}.safetensors",
            ticket=TRANSFERRED_OF_JOB,
            epoch=LAST_EPOCH,
            allow_missing=True,
        ),
        tables=expand(
            "<results>/transfer/networks/{model}/width{width}/{ticket}/training.csv",
            ticket=TRANSFERRED_OF_JOB,
            allow_missing=True,
        ),
    log:
        f"<logs>/transfer_masks_train/{{model}}/width{{width}}/{NAME_OF_TRANSFERRED}.log",
    benchmark:
        f"<benchmarks>/transfer_masks_train/{{model}}/width{{width}}/{NAME_OF_TRANSFERRED}.txt"
    conda:
        "../../envs/onebasin.yaml"
    threads: config["resources"]["threads"]
    resources:
        runtime=TRANSFER_MASKS_TRAIN_WORK.runtime,
        mem_mb=TRANSFER_MASKS_TRAIN_WORK.mem_mb,
        gpu=config["resources"]["gpu"],
    params:
        architecture=architecture_of,
        training=training_of,
        pruning=lambda wildcards: {key: pruning_of(wildcards)[key] for key in ("rewind", "warmup_again")},
        epochs=[LAST_EPOCH],
    script:
        "../scripts/transfer_masks_train.py"


TRANSFER_MASKS_MEASURE_WORK = Work(
    evaluations=len(TRANSFERRED_MASKS) + len(SEEDS), networks=len(TRANSFERRED_MASKS) + len(SEEDS)
)


rule transfer_masks_measure:
    """Measure the networks of one width on the second data set: dense, and under the masks of the first."""
    input:
        data="<results>/transfer/data.safetensors",
        networks=expand(
            "<results>/transfer/networks/{model}/width{width}/seed{seed}/epoch{epoch}.safetensors",
            seed=SEEDS,
            epoch=LAST_EPOCH,
            allow_missing=True,
        ),
        masks=expand(
            "<results>/networks/{model}/width{width}/seed{seed}/level{level}/mask.safetensors",
            seed=SEEDS,
            level=TRANSFERRED_LEVEL,
            allow_missing=True,
        ),
        retrained=expand(
            "<results>/transfer/networks/{model}/width{width}/{ticket}/epoch{epoch}.safetensors",
            ticket=TRANSFERRED_MASKS,
            epoch=LAST_EPOCH,
            allow_missing=True,
        ),
    output:
        table="<results>/measurements/transfer_masks/{model}/width{width}.csv",
    log:
        "<logs>/transfer_masks_measure/{model}/width{width}.log",
    benchmark:
        "<benchmarks>/transfer_masks_measure/{model}/width{width}.txt"
    conda:
        "../../envs/onebasin.yaml"
    threads: config["resources"]["threads"]
    resources:
        runtime=TRANSFER_MASKS_MEASURE_WORK.runtime,
        mem_mb=TRANSFER_MASKS_MEASURE_WORK.mem_mb,
        gpu=config["resources"]["gpu"],
    params:
        architecture=architecture_of,
        barrier=barrier_settings(),
        seeds=SEEDS,
    script:
        "../scripts/transfer_masks_measure.py"


rule transfer_masks_table:
    """Gather the networks of all models and widths: one row for each network and mask."""
    input:
        measurements=expand("<results>/measurements/transfer_masks/{cell}.csv", cell=TRANSFER_CELLS),
    output:
        report(
            "<results>/tables/transfer_masks.csv",
            caption="../report/transfer_masks.rst",
            category="Transfer",
            labels={"experiment": "transfer_masks", "kind": "table"},
        ),
    log:
        "<logs>/transfer_masks_table.log",
    benchmark:
        "<benchmarks>/transfer_masks_table.txt"
    localrule: True
    conda:
        "../../envs/onebasin.yaml"
    threads: 1
    resources:
        runtime=10,
        mem_mb=1000,
        gpu=0,
    params:
        experiment="transfer_masks",
    script:
        "../scripts/gather.py"


rule transfer_masks_figure:
    """Draw accuracy and loss on the second data set by mask."""
    input:
        table="<results>/tables/transfer_masks.csv",
    output:
        png=report(
            "<results>/figures/transfer_masks.png",
            caption="../report/transfer_masks.rst",
            category="Transfer",
            labels={"experiment": "transfer_masks", "kind": "figure"},
        ),
        pdf="<results>/figures/transfer_masks.pdf",
    log:
        "<logs>/transfer_masks_figure.log",
    benchmark:
        "<benchmarks>/transfer_masks_figure.txt"
    localrule: True
    conda:
        "../../envs/onebasin.yaml"
    threads: 1
    resources:
        runtime=10,
        mem_mb=1000,
        gpu=0,
    params:
        experiment="transfer_masks",
    script:
        "../scripts/figure.py"
