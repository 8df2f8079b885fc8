"""Experiment `stability`: when is the permutation between two networks decided?

Needs: the permutations of a model and width that were found at the epochs of `history`, and at the levels of pruning where
the study prunes.
Makes: results/<study>/tables/stability.csv and results/<study>/figures/stability.png and .pdf.
"""


rule stability:
    """Fixed points of a permutation after the inverse of another, for all stages at which they were found."""
    input:
        table="<results>/tables/stability.csv",
        png="<results>/figures/stability.png",
        pdf="<results>/figures/stability.pdf",


STABILITY_MEASURE_WORK = Work(networks=0)


rule stability_measure:
    """Compare the permutations of one width that were found at different stages."""
    input:
        permutations=lambda wildcards: expand(
            permutations_at(stages_compared(wildcards), METHODS), model=wildcards.model, width=wildcards.width
        ),
    output:
        table="<results>/measurements/stability/{model}/width{width}.csv",
    log:
        "<logs>/stability_measure/{model}/width{width}.log",
    benchmark:
        "<benchmarks>/stability_measure/{model}/width{width}.txt"
    conda:
        "../../envs/onebasin.yaml"
    threads: 1
    resources:
        runtime=STABILITY_MEASURE_WORK.runtime,
        mem_mb=STABILITY_MEASURE_WORK.mem_mb,
        gpu=0,
    params:
        methods=list(METHODS),
        pairs=HISTORY_PAIRS,
        stages=stages_compared,
    script:
        "../scripts/stability_measure.py"


rule stability_table:
    """Gather the fixed points of all models and widths: one row for each pair, two stages and group."""
    input:
        measurements=expand("<results>/measurements/stability/{cell}.csv", cell=HISTORY_CELLS),
    output:
        report(
            "<results>/tables/stability.csv",
            caption="../report/stability.rst",
            category="Along training",
            labels={"experiment": "stability", "kind": "table"},
        ),
    log:
        "<logs>/stability_table.log",
    benchmark:
        "<benchmarks>/stability_table.txt"
    localrule: True
    conda:
        "../../envs/onebasin.yaml"
    threads: 1
    resources:
        runtime=10,
        mem_mb=1000,
        gpu=0,
    params:
        experiment="stability",
    script:
        "../scripts/gather.py"


rule stability_figure:
    """Draw fixed points for all pairs of stages, and against the end of training in each group, with the chance level."""
    input:
        table="<results>/tables/stability.csv",
    output:
        png=report(
            "<results>/figures/stability.png",
            caption="../report/stability.rst",
            category="Along training",
            labels={"experiment": "stability", "kind": "figure"},
        ),
        pdf="<results>/figures/stability.pdf",
    log:
        "<logs>/stability_figure.log",
    benchmark:
        "<benchmarks>/stability_figure.txt"
    localrule: True
    conda:
        "../../envs/onebasin.yaml"
    threads: 1
    resources:
        runtime=10,
        mem_mb=1000,
        gpu=0,
    params:
        experiment="stability",
    script:
        "../scripts/figure.py"
