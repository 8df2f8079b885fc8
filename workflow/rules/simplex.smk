"""Experiment `simplex`: what does the loss look like between three networks?

Needs: the trained networks of a model and width, their permutations and common frames, and the data set.
Makes: results/<study>/tables/simplex.csv and results/<study>/figures/simplex.png and .pdf.
"""


rule simplex:
    """Loss over the triangle between three networks: unaligned, weak, strong."""
    input:
        table="<results>/tables/simplex.csv",
        png="<results>/figures/simplex.png",
        pdf="<results>/figures/simplex.pdf",


# One triangle without a permutation, two by each method, one by each common frame.
POINTS_OF_TRIANGLE = math.comb(config["simplex"]["resolution"] + 2, 2)
SIMPLEX_MEASURE_WORK = Work(evaluations=(1 + 2 * len(METHODS) + len(FRAMES)) * POINTS_OF_TRIANGLE, networks=len(SEEDS))


rule simplex_measure:
    """Measure loss and error over the triangles between three networks of one width."""
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
        table="<results>/measurements/simplex/{model}/width{width}.csv",
    log:
        "<logs>/simplex_measure/{model}/width{width}.log",
    benchmark:
        "<benchmarks>/simplex_measure/{model}/width{width}.txt"
    conda:
        "../../envs/onebasin.yaml"
    threads: config["resources"]["threads"]
    resources:
        runtime=SIMPLEX_MEASURE_WORK.runtime,
        mem_mb=SIMPLEX_MEASURE_WORK.mem_mb,
        gpu=config["resources"]["gpu"],
    params:
        architecture=architecture_of,
        simplex=stable({**barrier_settings(), **config["simplex"]}, without=("points", "widths")),
        algorithms={name: method["algorithm"] for name, method in {**METHODS, **FRAMES}.items()},
        seeds=SEEDS,
    script:
        "../scripts/simplex_measure.py"


rule simplex_table:
    """Gather the triangles: one row for each point."""
    input:
        measurements=expand("<results>/measurements/simplex/{cell}.csv", cell=TRIANGLE_CELLS),
    output:
        report(
            "<results>/tables/simplex.csv",
            caption="../report/simplex.rst",
            category="Triangles",
            labels={"experiment": "simplex", "kind": "table"},
        ),
    log:
        "<logs>/simplex_table.log",
    benchmark:
        "<benchmarks>/simplex_table.txt"
    localrule: True
    conda:
        "../../envs/onebasin.yaml"
    threads: 1
    resources:
        runtime=10,
        mem_mb=1000,
        gpu=0,
    script:
        "../scripts/simplex_table.py"


rule simplex_figure:
    """Draw the triangles as filled contours."""
    input:
        table="<results>/tables/simplex.csv",
    output:
        png=report(
            "<results>/figures/simplex.png",
            caption="../report/simplex.rst",
            category="Triangles",
            labels={"experiment": "simplex", "kind": "figure"},
        ),
        pdf="<results>/figures/simplex.pdf",
    log:
        "<logs>/simplex_figure.log",
    benchmark:
        "<benchmarks>/simplex_figure.txt"
    localrule: True
    conda:
        "../../envs/onebasin.yaml"
    threads: 1
    resources:
        runtime=10,
        mem_mb=1000,
        gpu=0,
    params:
        experiment="simplex",
    script:
        "../scripts/figure.py"
