"""Experiment `pruning`: what do networks lose as they are pruned?

Needs: the networks of a model and width at every level of pruning, their masks, and the data set.
Makes: results/<study>/tables/pruning.csv and results/<study>/figures/pruning.png and .pdf.
"""


rule pruning:
    """Accuracy, density of every layer and dead units of every network at every level."""
    input:
        table="<results>/tables/pruning.csv",
        png="<results>/figures/pruning.png",
        pdf="<results>/figures/pruning.pdf",


PRUNING_MEASURE_WORK = Work(evaluations=len(SEEDS) * (1 + len(LEVELS)), networks=len(SEEDS) * len(LEVELS))


rule pruning_measure:
    """Measure the networks of one width at every level, and count what remains of each layer."""
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
            level=LEVELS,
            seed=SEEDS,
            epoch=LAST_EPOCH,
            allow_missing=True,
        ),
        masks=expand(
            "<results>/networks/{model}/width{width}/seed{seed}/level{level}/mask.safetensors",
            level=LEVELS,
            seed=SEEDS,
            allow_missing=True,
        ),
    output:
        table="<results>/measurements/pruning/{model}/width{width}.csv",
    log:
        "<logs>/pruning_measure/{model}/width{width}.log",
    benchmark:
        "<benchmarks>/pruning_measure/{model}/width{width}.txt"
    conda:
        "../../envs/onebasin.yaml"
    threads: config["resources"]["threads"]
    resources:
        runtime=PRUNING_MEASURE_WORK.runtime,
        mem_mb=PRUNING_MEASURE_WORK.mem_mb,
        gpu=config["resources"]["gpu"],
    params:
        architecture=architecture_of,
        barrier=barrier_settings(),
        pruning=pruning_of,
        seeds=SEEDS,
        levels=LEVELS,
    script:
        "../scripts/pruning_measure.py"


rule pruning_table:
    """Gather the levels of all models and widths: one row for each network, level and layer."""
    input:
        measurements=expand("<results>/measurements/pruning/{cell}.csv", cell=PRUNED_CELLS),
    output:
        report(
            "<results>/tables/pruning.csv",
            caption="../report/pruning.rst",
            category="Pruning",
            labels={"experiment": "pruning", "kind": "table"},
        ),
    log:
        "<logs>/pruning_table.log",
    benchmark:
        "<benchmarks>/pruning_table.txt"
    localrule: True
    conda:
        "../../envs/onebasin.yaml"
    threads: 1
    resources:
        runtime=10,
        mem_mb=1000,
        gpu=0,
    params:
        experiment="pruning",
    script:
        "../scripts/gather.py"


rule pruning_figure:
    """Draw accuracy, density of the layers and dead units against density."""
    input:
        table="<results>/tables/pruning.csv",
    output:
        png=report(
            "<results>/figures/pruning.png",
            caption="../report/pruning.rst",
            category="Pruning",
            labels={"experiment": "pruning", "kind": "figure"},
        ),
        pdf="<results>/figures/pruning.pdf",
    log:
        "<logs>/pruning_figure.log",
    benchmark:
        "<benchmarks>/pruning_figure.txt"
    localrule: True
    conda:
        "../../envs/onebasin.yaml"
    threads: 1
    resources:
        runtime=10,
        mem_mb=1000,
        gpu=0,
    params:
        experiment="pruning",
    script:
        "../scripts/figure.py"
