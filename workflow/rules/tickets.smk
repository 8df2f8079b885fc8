"""Experiment `tickets`: does a sparse mask serve another network once it is permuted?

Needs: the networks of a model and width at the epoch to rewind to and at the levels of the section `tickets`, their
masks, the permutations of the trained networks, and the data set.
Makes: networks trained under the masks of others, in
results/<study>/networks/<model>/width<width>/seed<seed>/level<level>/<ticket>/from<source>/, and
results/<study>/tables/tickets.csv and results/<study>/figures/tickets.png and .pdf.
"""


rule tickets:
    """Accuracy of networks trained again under their own mask and under those of others."""
    input:
        table="<results>/tables/tickets.csv",
        png="<results>/figures/tickets.png",
        pdf="<results>/figures/tickets.pdf",


TICKETS_TRAIN_WORK = Work(trainings=len(TICKETS_OF_JOB))


rule tickets_train:
    """Train networks from the rewinding epoch under the masks of others: as they are, permuted, and shuffled."""
    input:
        data="<results>/data.safetensors",
        rewound=expand(
            "<results>/networks/{model}/width{width}/{network}/epoch{epoch}.safetensors",
            network=TRAINED,
            epoch=REWIND,
            allow_missing=True,
        ),
        masks=expand(
            "<results>/networks/{model}/width{width}/{network}/level{level}/mask.safetensors",
            network=TRAINED if config["seeds_together"] else ["seed{source}"],
            level=TICKET_LEVELS if config["seeds_together"] else ["{level}"],
            allow_missing=True,
        ),
        permutations=permutations_of_tickets,
    output:
        checkpoints=expand(
            "<results>/networks/{model}/width{width}/{ticket}/epoch{epoch}.safetensors",
            ticket=TICKETS_OF_JOB,
            epoch=LAST_EPOCH,
            allow_missing=True,
        ),
        tables=expand(
            "<results>/networks/{model}/width{width}/{ticket}/training.csv", ticket=TICKETS_OF_JOB, allow_missing=True
        ),
    log:
        f"<logs>/tickets_train/{{model}}/width{{width}}/{NAME_OF_TICKETS}.log",
    benchmark:
        f"<benchmarks>/tickets_train/{{model}}/width{{width}}/{NAME_OF_TICKETS}.txt"
    conda:
        "../../envs/onebasin.yaml"
    threads: config["resources"]["threads"]
    resources:
        runtime=TICKETS_TRAIN_WORK.runtime,
        mem_mb=TICKETS_TRAIN_WORK.mem_mb,
        gpu=config["resources"]["gpu"],
    params:
        architecture=architecture_of,
        training=training_of,
        pruning=lambda wildcards: {key: pruning_of(wildcards)[key] for key in ("rewind", "warmup_again")},
        epochs=[LAST_EPOCH],
    script:
        "../scripts/tickets_train.py"


TICKETS_MEASURE_WORK = Work(
    evaluations=len(TICKET_FOLDERS) + len(SEEDS) * (1 + len(TICKET_LEVELS)),
    networks=len(TICKET_FOLDERS) + len(SEEDS) * (1 + len(TICKET_LEVELS)),
)


rule tickets_measure:
    """Measure the networks of one width that were trained under masks, their own ones and others."""
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
            level=TICKET_LEVELS,
            seed=SEEDS,
            epoch=LAST_EPOCH,
            allow_missing=True,
        ),
        masks=expand(
            "<results>/networks/{model}/width{width}/seed{seed}/level{level}/mask.safetensors",
            level=TICKET_LEVELS,
            seed=SEEDS,
            allow_missing=True,
        ),
        tickets=expand(
            "<results>/networks/{model}/width{width}/{ticket}/epoch{epoch}.safetensors",
            ticket=TICKET_FOLDERS,
            epoch=LAST_EPOCH,
            allow_missing=True,
        ),
    output:
        table="<results>/measurements/tickets/{model}/width{width}.csv",
    log:
        "<logs>/tickets_measure/{model}/width{width}.log",
    benchmark:
        "<benchmarks>/tickets_measure/{model}/width{width}.txt"
    conda:
        "../../envs/onebasin.yaml"
    threads: config["resources"]["threads"]
    resources:
        runtime=TICKETS_MEASURE_WORK.runtime,
        mem_mb=TICKETS_MEASURE_WORK.mem_mb,
        gpu=config["resources"]["gpu"],
    params:
        architecture=architecture_of,
        barrier=barrier_settings(),
        seeds=SEEDS,
        levels=TICKET_LEVELS,
    script:
        "../scripts/tickets_measure.py"


rule tickets_table:
    """Gather the networks of all models and widths: one row for each network, mask and split."""
    input:
        measurements=expand("<results>/measurements/tickets/{cell}.csv", cell=PRUNED_CELLS),
    output:
        report(
            "<results>/tables/tickets.csv",
            caption="../report/tickets.rst",
            category="Pruning",
            labels={"experiment": "tickets", "kind": "table"},
        ),
    log:
        "<logs>/tickets_table.log",
    benchmark:
        "<benchmarks>/tickets_table.txt"
    localrule: True
    conda:
        "../../envs/onebasin.yaml"
    threads: 1
    resources:
        runtime=10,
        mem_mb=1000,
        gpu=0,
    params:
        experiment="tickets",
    script:
        "../scripts/gather.py"


rule tickets_figure:
    """Draw accuracy and loss under every mask against density."""
    input:
        table="<results>/tables/tickets.csv",
    output:
        png=report(
            "<results>/figures/tickets.png",
            caption="../report/tickets.rst",
            category="Pruning",
            labels={"experiment": "tickets", "kind": "figure"},
        ),
        pdf="<results>/figures/tickets.pdf",
    log:
        "<logs>/tickets_figure.log",
    benchmark:
        "<benchmarks>/tickets_figure.txt"
    localrule: True
    conda:
        "../../envs/onebasin.yaml"
    threads: 1
    resources:
        runtime=10,
        mem_mb=1000,
        gpu=0,
    params:
        experiment="tickets",
    script:
        "../scripts/figure.py"
