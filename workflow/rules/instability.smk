"""Experiment `instability`: how many epochs must two networks share to be connected without a permutation?

Needs: the trained networks of a model and width, and the data set.
Makes: children of these networks, in results/<study>/networks/<model>/width<width>/seed<seed>/shared<epochs>/, and
results/<study>/tables/instability.csv and results/<study>/figures/instability.png and .pdf.
"""


rule instability:
    """Barriers between networks and their children, against the epochs that they share."""
    input:
        table="<results>/tables/instability.csv",
        png="<results>/figures/instability.png",
        pdf="<results>/figures/instability.pdf",


INSTABILITY_TRAIN_WORK = Work(trainings=len(TRAINED) * len(SHARED_OF_JOB))


rule instability_train:
    """Train a child, or all of one model and width: its first epochs are its parent's, then the data come otherwise."""
    input:
        data="<results>/data.safetensors",
    output:
        checkpoints=expand(
            "<results>/networks/{model}/width{width}/{network}/shared{shared}/epoch{epoch}.safetensors",
            network=TRAINED,
            shared=SHARED_OF_JOB,
            epoch=LAST_EPOCH,
            allow_missing=True,
        ),
        tables=expand(
            "<results>/networks/{model}/width{width}/{network}/shared{shared}/training.csv",
            network=TRAINED,
            shared=SHARED_OF_JOB,
            allow_missing=True,
        ),
    log:
        f"<logs>/instability_train/{{model}}/width{{width}}/{CHILDREN_OF_JOB}.log",
    benchmark:
        f"<benchmarks>/instability_train/{{model}}/width{{width}}/{CHILDREN_OF_JOB}.txt"
    conda:
        "../../envs/onebasin.yaml"
    threads: config["resources"]["threads"]
    resources:
        runtime=INSTABILITY_TRAIN_WORK.runtime,
        mem_mb=INSTABILITY_TRAIN_WORK.mem_mb,
        gpu=config["resources"]["gpu"],
    params:
        architecture=architecture_of,
        training=training_of,
        epochs=[LAST_EPOCH],
    script:
        "../scripts/train.py"


INSTABILITY_MEASURE_WORK = Work(evaluations=len(SEEDS) * len(SHARED) * config["barrier"]["points"], networks=len(SEEDS))


rule instability_measure:
    """Measure the way from every network of one width to each of its children."""
    input:
        data="<results>/data.safetensors",
        networks=expand(
            "<results>/networks/{model}/width{width}/seed{seed}/epoch{epoch}.safetensors",
            seed=SEEDS,
            epoch=LAST_EPOCH,
            allow_missing=True,
        ),
        children=expand(
            "<results>/networks/{model}/width{width}/seed{seed}/shared{shared}/epoch{epoch}.safetensors",
            seed=SEEDS,
            shared=SHARED,
            epoch=LAST_EPOCH,
            allow_missing=True,
        ),
    output:
        table="<results>/measurements/instability/{model}/width{width}.csv",
    log:
        "<logs>/instability_measure/{model}/width{width}.log",
    benchmark:
        "<benchmarks>/instability_measure/{model}/width{width}.txt"
    conda:
        "../../envs/onebasin.yaml"
    threads: config["resources"]["threads"]
    resources:
        runtime=INSTABILITY_MEASURE_WORK.runtime,
        mem_mb=INSTABILITY_MEASURE_WORK.mem_mb,
        gpu=config["resources"]["gpu"],
    params:
        architecture=architecture_of,
        barrier=barrier_settings(),
        seeds=SEEDS,
        shared=SHARED,
    script:
        "../scripts/instability_measure.py"


rule instability_table:
    """Gather the barriers of all models and widths: one row for each child, split and metric."""
    input:
        measurements=expand("<results>/measurements/instability/{cell}.csv", cell=CELLS_WITH_CHILDREN),
    output:
        report(
            "<results>/tables/instability.csv",
            caption="../report/instability.rst",
            category="Instability",
            labels={"experiment": "instability", "kind": "table"},
        ),
    log:
        "<logs>/instability_table.log",
    benchmark:
        "<benchmarks>/instability_table.txt"
    localrule: True
    conda:
        "../../envs/onebasin.yaml"
    threads: 1
    resources:
        runtime=10,
        mem_mb=1000,
        gpu=0,
    script:
        "../scripts/instability_table.py"


rule instability_figure:
    """Draw barriers against the epochs that a network and its child share."""
    input:
        table="<results>/tables/instability.csv",
    output:
        png=report(
            "<results>/figures/instability.png",
            caption="../report/instability.rst",
            category="Instability",
            labels={"experiment": "instability", "kind": "figure"},
        ),
        pdf="<results>/figures/instability.pdf",
    log:
        "<logs>/instability_figure.log",
    benchmark:
        "<benchmarks>/instability_figure.txt"
    localrule: True
    conda:
        "../../envs/onebasin.yaml"
    threads: 1
    resources:
        runtime=10,
        mem_mb=1000,
        gpu=0,
    params:
        experiment="instability",
    script:
        "../scripts/figure.py"
