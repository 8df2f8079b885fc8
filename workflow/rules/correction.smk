"""Experiment `correction`: what do corrected statistics repair, with and without a permutation?

Needs: the trained networks of a model and width, their permutations, and the data set.
Makes: results/<study>/tables/correction.csv and results/<study>/figures/correction.png and .pdf.
"""


rule correction:
    """Interpolation curves of every pair, under each correction of the networks between."""
    input:
        table="<results>/tables/correction.csv",
        png="<results>/figures/correction.png",
        pdf="<results>/figures/correction.pdf",


POINTS_OF_CORRECTIONS = len(PAIRS) * config["barrier"]["points"] * len(config["correction"]["corrections"])
CORRECTION_MEASURE_WORK = Work(
    evaluations=(1 + len(METHODS)) * POINTS_OF_CORRECTIONS, correction="repair", networks=len(SEEDS)
)


rule correction_measure:
    """Measure the way between every pair of networks of one width under each correction."""
    input:
        data="<results>/data.safetensors",
        networks=expand(
            "<results>/networks/{model}/width{width}/seed{seed}/epoch{epoch}.safetensors",
            seed=SEEDS,
            epoch=LAST_EPOCH,
            allow_missing=True,
        ),
        permutations=expand(
            "<results>/permutations/{model}/width{width}/{method}/{pair}.safetensors",
            method=METHODS,
            pair=PAIRS,
            allow_missing=True,
        ),
    output:
        table="<results>/measurements/correction/{model}/width{width}.csv",
    log:
        "<logs>/correction_measure/{model}/width{width}.log",
    benchmark:
        "<benchmarks>/correction_measure/{model}/width{width}.txt"
    conda:
        "../../envs/onebasin.yaml"
    threads: config["resources"]["threads"]
    resources:
        runtime=CORRECTION_MEASURE_WORK.runtime,
        mem_mb=CORRECTION_MEASURE_WORK.mem_mb,
        gpu=config["resources"]["gpu"],
    params:
        architecture=architecture_of,
        correction=stable({**config["barrier"], **config["correction"]}, without=("correction", "widths")),
        methods=list(METHODS),
        seeds=SEEDS,
    script:
        "../scripts/correction_measure.py"


rule correction_table:
    """Gather the curves of all models and widths: one row for each point on the way from a to b."""
    input:
        measurements=expand("<results>/measurements/correction/{cell}.csv", cell=CORRECTED_CELLS),
    output:
        report(
            "<results>/tables/correction.csv",
            caption="../report/correction.rst",
            category="Correction",
            labels={"experiment": "correction", "kind": "table"},
        ),
    log:
        "<logs>/correction_table.log",
    benchmark:
        "<benchmarks>/correction_table.txt"
    localrule: True
    conda:
        "../../envs/onebasin.yaml"
    threads: 1
    resources:
        runtime=10,
        mem_mb=1000,
        gpu=0,
    script:
        "../scripts/correction_table.py"


rule correction_figure:
    """Draw the accuracy along the way and at its middle, for every correction."""
    input:
        table="<results>/tables/correction.csv",
    output:
        png=report(
            "<results>/figures/correction.png",
            caption="../report/correction.rst",
            category="Correction",
            labels={"experiment": "correction", "kind": "figure"},
        ),
        pdf="<results>/figures/correction.pdf",
    log:
        "<logs>/correction_figure.log",
    benchmark:
        "<benchmarks>/correction_figure.txt"
    localrule: True
    conda:
        "../../envs/onebasin.yaml"
    threads: 1
    resources:
        runtime=10,
        mem_mb=1000,
        gpu=0,
    params:
        experiment="correction",
    script:
        "../scripts/figure.py"
