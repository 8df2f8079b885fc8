"""Experiment `layers`: which layers decide the permutation that connects two networks?

Needs: the checkpoints of a model and width at the epochs of `layers`, and the data set.
Makes: results/<study>/tables/layers.csv and results/<study>/figures/layers.png and .pdf.
"""


rule layers:
    """Barriers at the end of training, under permutations found on hybrids of the networks."""
    input:
        table="<results>/tables/layers.csv",
        png="<results>/figures/layers.png",
        pdf="<results>/figures/layers.pdf",


LAYERS_MEASURE_WORK = Work(
    pairs=hybrids,
    methods=settings_of_methods,
    evaluations=lambda wildcards: len(PAIRED) * hybrids(wildcards) * config["history"]["points"],
    networks=len(SEEDS) * len(STAGES),
)


rule layers_measure:
    """Match hybrids of the networks of one width, and measure the permutations on the networks themselves."""
    input:
        data="<results>/data.safetensors",
        networks=networks_at([LAST_EPOCH]),
        history=networks_at(REWOUND),
    output:
        tables=expand(
            "<results>/measurements/layers/{model}/width{width}/{method}.csv", method=PAIRED, allow_missing=True
        ),
    log:
        f"<logs>/layers_measure/{{model}}/width{{width}}/{METHODS_OF_JOB}.log",
    benchmark:
        f"<benchmarks>/layers_measure/{{model}}/width{{width}}/{METHODS_OF_JOB}.txt"
    conda:
        "../../envs/onebasin.yaml"
    threads: config["resources"]["threads"]
    resources:
        runtime=LAYERS_MEASURE_WORK.runtime,
        mem_mb=LAYERS_MEASURE_WORK.mem_mb,
        gpu=config["resources"]["gpu"],
    params:
        architecture=architecture_of,
        barrier=history_settings(),
        epochs=REWOUND,
        methods=settings_of_methods,
        pairs=HISTORY_PAIRS,
        seeds=SEEDS,
        stages=[f"epoch{epoch}" for epoch in REWOUND],
    script:
        "../scripts/layers_measure.py"


rule layers_table:
    """Gather the barriers of all models and widths: one row for each pair, hybrid, split and metric."""
    input:
        measurements=expand(
            "<results>/measurements/layers/{cell}/{method}.csv", cell=HISTORY_CELLS, method=["none", *METHODS]
        ),
    output:
        report(
            "<results>/tables/layers.csv",
            caption="../report/layers.rst",
            category="Layers",
            labels={"experiment": "layers", "kind": "table"},
        ),
    log:
        "<logs>/layers_table.log",
    benchmark:
        "<benchmarks>/layers_table.txt"
    localrule: True
    conda:
        "../../envs/onebasin.yaml"
    threads: 1
    resources:
        runtime=10,
        mem_mb=1000,
        gpu=0,
    params:
        experiment="layers",
    script:
        "../scripts/gather.py"


rule layers_figure:
    """Draw barriers against layers, for every kind of hybrid."""
    input:
        table="<results>/tables/layers.csv",
    output:
        png=report(
            "<results>/figures/layers.png",
            caption="../report/layers.rst",
            category="Layers",
            labels={"experiment": "layers", "kind": "figure"},
        ),
        pdf="<results>/figures/layers.pdf",
    log:
        "<logs>/layers_figure.log",
    benchmark:
        "<benchmarks>/layers_figure.txt"
    localrule: True
    conda:
        "../../envs/onebasin.yaml"
    threads: 1
    resources:
        runtime=10,
        mem_mb=1000,
        gpu=0,
    params:
        experiment="layers",
    script:
        "../scripts/figure.py"
