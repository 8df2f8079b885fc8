"""Experiment `trajectory`: does one permutation connect two networks at every moment of their training?

Needs: the checkpoints of a model and width at the epochs of `history`, the permutations found there, and the data set.
Makes: results/<study>/tables/trajectory.csv and results/<study>/figures/trajectory.png and .pdf.
"""


rule trajectory:
    """Barriers at each epoch, under the permutation found at each epoch."""
    input:
        table="<results>/tables/trajectory.csv",
        png="<results>/figures/trajectory.png",
        pdf="<results>/figures/trajectory.pdf",


TRAJECTORY_MEASURE_WORK = Work(
    evaluations=len(PAIRED) * len(HISTORY_PAIRS) * len(STAGES) ** 2 * config["history"]["points"],
    networks=len(SEEDS) * len(STAGES),
)


rule trajectory_measure:
    """Measure the pairs of networks of one width at each epoch, under the permutations found at all of them."""
    input:
        data="<results>/data.safetensors",
        networks=networks_at([LAST_EPOCH]),
        history=networks_at(HISTORY),
        permutations=permutations_of_history,
    output:
        tables=expand(
            "<results>/measurements/trajectory/{model}/width{width}/{method}.csv", method=PAIRED, allow_missing=True
        ),
    log:
        f"<logs>/trajectory_measure/{{model}}/width{{width}}/{METHODS_OF_JOB}.log",
    benchmark:
        f"<benchmarks>/trajectory_measure/{{model}}/width{{width}}/{METHODS_OF_JOB}.txt"
    conda:
        "../../envs/onebasin.yaml"
    threads: config["resources"]["threads"]
    resources:
        runtime=TRAJECTORY_MEASURE_WORK.runtime,
        mem_mb=TRAJECTORY_MEASURE_WORK.mem_mb,
        gpu=config["resources"]["gpu"],
    params:
        architecture=architecture_of,
        barrier=history_settings(),
        epochs=HISTORY,
        pairs=HISTORY_PAIRS,
        seeds=SEEDS,
        stages=STAGES,
    script:
        "../scripts/trajectory_measure.py"


rule trajectory_table:
    """Gather the barriers of all models and widths: one row for each pair, permutation, epoch, split and metric."""
    input:
        measurements=expand(
            "<results>/measurements/trajectory/{cell}/{method}.csv", cell=HISTORY_CELLS, method=["none", *METHODS]
        ),
    output:
        report(
            "<results>/tables/trajectory.csv",
            caption="../report/trajectory.rst",
            category="Along training",
            labels={"experiment": "trajectory", "kind": "table"},
        ),
    log:
        "<logs>/trajectory_table.log",
    benchmark:
        "<benchmarks>/trajectory_table.txt"
    localrule: True
    conda:
        "../../envs/onebasin.yaml"
    threads: 1
    resources:
        runtime=10,
        mem_mb=1000,
        gpu=0,
    params:
        experiment="trajectory",
    script:
        "../scripts/gather.py"


rule trajectory_figure:
    """Draw when a permutation is found against when it is measured, and the end of training with every pair."""
    input:
        table="<results>/tables/trajectory.csv",
    output:
        png=report(
            "<results>/figures/trajectory.png",
            caption="../report/trajectory.rst",
            category="Along training",
            labels={"experiment": "trajectory", "kind": "figure"},
        ),
        pdf="<results>/figures/trajectory.pdf",
    log:
        "<logs>/trajectory_figure.log",
    benchmark:
        "<benchmarks>/trajectory_figure.txt"
    localrule: True
    conda:
        "../../envs/onebasin.yaml"
    threads: 1
    resources:
        runtime=10,
        mem_mb=1000,
        gpu=0,
    params:
        experiment="trajectory",
    script:
        "../scripts/figure.py"
