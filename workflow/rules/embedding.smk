"""Experiment `embedding`: does a narrow network lie in the basin of a wide one?

Needs: the trained networks of a model at a wide width and at narrower ones, and the data set.
Makes: results/<study>/tables/embedding.csv and results/<study>/figures/embedding.png and .pdf.
"""


rule embedding:
    """Barriers between wide networks and narrow ones that were padded with zero units."""
    input:
        table="<results>/tables/embedding.csv",
        png="<results>/figures/embedding.png",
        pdf="<results>/figures/embedding.pdf",


EMBEDDING_MEASURE_WORK = Work(
    pairs=4 * len(PAIRS),
    methods=settings_of_methods,
    evaluations=4 * len(PAIRED) * len(PAIRS) * config["barrier"]["points"],
    networks=2 * len(SEEDS),
)


rule embedding_measure:
    """Pad networks of one width to another one, match them with the wide networks, measure the way between."""
    input:
        data="<results>/data.safetensors",
        networks=expand(
            "<results>/networks/{model}/width{width}/seed{seed}/epoch{epoch}.safetensors",
            seed=SEEDS,
            epoch=LAST_EPOCH,
            allow_missing=True,
        ),
        narrow=expand(
            "<results>/networks/{model}/width{narrow}/seed{seed}/epoch{epoch}.safetensors",
            seed=SEEDS,
            epoch=LAST_EPOCH,
            allow_missing=True,
        ),
    output:
        tables=expand(
            "<results>/measurements/embedding/{model}/width{width}/narrow{narrow}/{method}.csv",
            method=PAIRED,
            allow_missing=True,
        ),
    log:
        f"<logs>/embedding_measure/{{model}}/width{{width}}/narrow{{narrow}}/{METHODS_OF_JOB}.log",
    benchmark:
        f"<benchmarks>/embedding_measure/{{model}}/width{{width}}/narrow{{narrow}}/{METHODS_OF_JOB}.txt"
    conda:
        "../../envs/onebasin.yaml"
    threads: config["resources"]["threads"]
    resources:
        runtime=EMBEDDING_MEASURE_WORK.runtime,
        mem_mb=EMBEDDING_MEASURE_WORK.mem_mb,
        gpu=config["resources"]["gpu"],
    params:
        architecture=architecture_of,
        barrier=barrier_settings(),
        methods=settings_of_methods,
        seeds=SEEDS,
    script:
        "../scripts/embedding_measure.py"


rule embedding_table:
    """Gather all models and widths: one row for each wide and padded network, split and metric."""
    input:
        measurements=expand(
            "<results>/measurements/embedding/{cell}/{method}.csv", cell=EMBEDDED_CELLS, method=["none", *METHODS]
        ),
    output:
        report(
            "<results>/tables/embedding.csv",
            caption="../report/embedding.rst",
            category="Embedding",
            labels={"experiment": "embedding", "kind": "table"},
        ),
    log:
        "<logs>/embedding_table.log",
    benchmark:
        "<benchmarks>/embedding_table.txt"
    localrule: True
    conda:
        "../../envs/onebasin.yaml"
    threads: 1
    resources:
        runtime=10,
        mem_mb=1000,
        gpu=0,
    script:
        "../scripts/embedding_table.py"


rule embedding_figure:
    """Draw barriers against the width of the padded network."""
    input:
        table="<results>/tables/embedding.csv",
    output:
        png=report(
            "<results>/figures/embedding.png",
            caption="../report/embedding.rst",
            category="Embedding",
            labels={"experiment": "embedding", "kind": "figure"},
        ),
        pdf="<results>/figures/embedding.pdf",
    log:
        "<logs>/embedding_figure.log",
    benchmark:
        "<benchmarks>/embedding_figure.txt"
    localrule: True
    conda:
        "../../envs/onebasin.yaml"
    threads: 1
    resources:
        runtime=10,
        mem_mb=1000,
        gpu=0,
    params:
        experiment="embedding",
    script:
        "../scripts/figure.py"
