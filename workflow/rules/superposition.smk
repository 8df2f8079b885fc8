"""Experiment `superposition`: does one permutation for several moments of training connect better than one for each?

Needs: the checkpoints of a model and width at the epochs of `history`, what `trajectory` measured, and the data set.
Makes: results/<study>/tables/superposition.csv and results/<study>/figures/superposition.png and .pdf.
"""


rule superposition:
    """Barriers along training, under permutations found on several checkpoints at once."""
    input:
        table="<results>/tables/superposition.csv",
        png="<results>/figures/superposition.png",
        pdf="<results>/figures/superposition.pdf",


SUPERPOSITION_MEASURE_WORK = Work(
    pairs=len(HISTORY_PAIRS) * len(STACKED),
    methods=settings_of_methods,
    evaluations=len(ALIGNED) * len(HISTORY_PAIRS) * len(STACKED) * len(STAGES) * config["history"]["points"],
    networks=len(SEEDS) * len(STAGES),
)


rule superposition_measure:
    """Match several checkpoints of the networks of one width at once, and measure the permutations at each epoch."""
    input:
        data="<results>/data.safetensors",
        networks=networks_at([LAST_EPOCH]),
        history=networks_at(HISTORY),
    output:
        tables=expand(
            "<results>/measurements/superposition/{model}/width{width}/{method}.csv",
            method=ALIGNED,
            allow_missing=True,
        ),
    log:
        f"<logs>/superposition_measure/{{model}}/width{{width}}/{METHODS_OF_JOB}.log",
    benchmark:
        f"<benchmarks>/superposition_measure/{{model}}/width{{width}}/{METHODS_OF_JOB}.txt"
    conda:
        "../../envs/onebasin.yaml"
    threads: config["resources"]["threads"]
    resources:
        runtime=SUPERPOSITION_MEASURE_WORK.runtime,
        mem_mb=SUPERPOSITION_MEASURE_WORK.mem_mb,
        gpu=config["resources"]["gpu"],
    params:
        architecture=architecture_of,
        barrier=history_settings(),
        epochs=HISTORY,
        methods=settings_of_methods,
        pairs=HISTORY_PAIRS,
        seeds=SEEDS,
        stages=STAGES,
        sets=STACKED,
    script:
        "../scripts/superposition_measure.py"


rule superposition_table:
    """Join the barriers under permutations of several checkpoints with those of single ones."""
    input:
        measurements=expand(
            "<results>/measurements/superposition/{cell}/{method}.csv", cell=HISTORY_CELLS, method=METHODS
        ),
        single=expand(
            "<results>/measurements/trajectory/{cell}/{method}.csv", cell=HISTORY_CELLS, method=["none", *METHODS]
        ),
    output:
        report(
            "<results>/tables/superposition.csv",
            caption="../report/superposition.rst",
            category="Along training",
            labels={"experiment": "superposition", "kind": "table"},
        ),
    log:
        "<logs>/superposition_table.log",
    benchmark:
        "<benchmarks>/superposition_table.txt"
    localrule: True
    conda:
        "../../envs/onebasin.yaml"
    threads: 1
    resources:
        runtime=10,
        mem_mb=1000,
        gpu=0,
    script:
        "../scripts/superposition_table.py"


rule superposition_figure:
    """Draw the barriers of several checkpoints and of single ones, at the end and along training."""
    input:
        table="<results>/tables/superposition.csv",
    output:
        png=report(
            "<results>/figures/superposition.png",
            caption="../report/superposition.rst",
            category="Along training",
            labels={"experiment": "superposition", "kind": "figure"},
        ),
        pdf="<results>/figures/superposition.pdf",
    log:
        "<logs>/superposition_figure.log",
    benchmark:
        "<benchmarks>/superposition_figure.txt"
    localrule: True
    conda:
        "../../envs/onebasin.yaml"
    threads: 1
    resources:
        runtime=10,
        mem_mb=1000,
        gpu=0,
    params:
        experiment="superposition",
    script:
        "../scripts/figure.py"
