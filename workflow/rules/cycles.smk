"""Experiment `cycles`: is matching transitive?

Needs: the trained networks of a model and width, their permutations and frames, and the data set.
Makes: results/<study>/tables/cycles.csv, tables/fixed_points.csv, and results/<study>/figures/cycles.png and .pdf.
"""


rule cycles:
    """Barriers and fixed points of permutations composed along paths and around cycles of matched pairs."""
    input:
        table="<results>/tables/cycles.csv",
        png="<results>/figures/cycles.png",
        pdf="<results>/figures/cycles.pdf",


CYCLES_MEASURE_WORK = Work(
    # Paths and cycles of each length; in a common frame all paths between two networks are one.
    evaluations=(len(METHODS) * 2 * config["cycles"]["longest"] * config["cycles"]["limit"] + len(FRAMES) * len(PAIRS))
    * config["barrier"]["points"],
    networks=len(SEEDS),
)


rule cycles_measure:
    """Compose the permutations of one width along paths and cycles; measure the way to the network they lead to."""
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
        frames=expand(
            "<results>/frames/{model}/width{width}/{frame}/{seed}.safetensors",
            frame=FRAMES,
            seed=SEEDS,
            allow_missing=True,
        ),
    output:
        table="<results>/measurements/cycles/{model}/width{width}.csv",
        groups="<results>/measurements/fixed_points/{model}/width{width}.csv",
    log:
        "<logs>/cycles_measure/{model}/width{width}.log",
    benchmark:
        "<benchmarks>/cycles_measure/{model}/width{width}.txt"
    conda:
        "../../envs/onebasin.yaml"
    threads: config["resources"]["threads"]
    resources:
        runtime=CYCLES_MEASURE_WORK.runtime,
        mem_mb=CYCLES_MEASURE_WORK.mem_mb,
        gpu=config["resources"]["gpu"],
    params:
        architecture=architecture_of,
        cycles={**barrier_settings(), **stable(config["cycles"], without=("widths",))},
        methods=list(METHODS),
        frames=list(FRAMES),
        seeds=SEEDS,
    script:
        "../scripts/cycles_measure.py"


rule cycles_table:
    """Gather all models and widths: one row for each path or cycle, split and metric; fixed points also by group."""
    input:
        measurements=expand("<results>/measurements/cycles/{cell}.csv", cell=CYCLE_CELLS),
        groups=expand("<results>/measurements/fixed_points/{cell}.csv", cell=CYCLE_CELLS),
    output:
        table=report(
            "<results>/tables/cycles.csv",
            caption="../report/cycles.rst",
            category="Cycles",
            labels={"experiment": "cycles", "kind": "table"},
        ),
        groups="<results>/tables/fixed_points.csv",
    log:
        "<logs>/cycles_table.log",
    benchmark:
        "<benchmarks>/cycles_table.txt"
    localrule: True
    conda:
        "../../envs/onebasin.yaml"
    threads: 1
    resources:
        runtime=10,
        mem_mb=1000,
        gpu=0,
    script:
        "../scripts/cycles_table.py"


rule cycles_figure:
    """Draw barriers against the length of paths and cycles, and the fixed points of cycles."""
    input:
        table="<results>/tables/cycles.csv",
    output:
        png=report(
            "<results>/figures/cycles.png",
            caption="../report/cycles.rst",
            category="Cycles",
            labels={"experiment": "cycles", "kind": "figure"},
        ),
        pdf="<results>/figures/cycles.pdf",
    log:
        "<logs>/cycles_figure.log",
    benchmark:
        "<benchmarks>/cycles_figure.txt"
    localrule: True
    conda:
        "../../envs/onebasin.yaml"
    threads: 1
    resources:
        runtime=10,
        mem_mb=1000,
        gpu=0,
    params:
        experiment="cycles",
    script:
        "../scripts/figure.py"
