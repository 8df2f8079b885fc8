"""Experiment `sparsity`: does one permutation connect two networks at every level of pruning?

Needs: the networks of a model and width at every level, the permutations of the trained networks and of every level, and
the data set.
Makes: results/<study>/tables/sparsity.csv and results/<study>/figures/sparsity.png and .pdf.
"""


rule sparsity:
    """Barriers at every level: without a permutation, with the level's own, with that of the trained networks."""
    input:
        table="<results>/tables/sparsity.csv",
        png="<results>/figures/sparsity.png",
        pdf="<results>/figures/sparsity.pdf",


SPARSITY_MEASURE_WORK = Work(
    evaluations=(1 + 2 * len(METHODS)) * len(PAIRS) * len(LEVELS_OF_JOB) * config["pruning"]["points"],
    networks=len(SEEDS) * (1 + len(LEVELS_OF_JOB)),
)


rule sparsity_measure:
    """Measure the way between every pair of networks of one width at the levels of the job."""
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
            level=LEVELS_OF_JOB,
            seed=SEEDS,
            epoch=LAST_EPOCH,
            allow_missing=True,
        ),
        masks=expand(
            "<results>/networks/{model}/width{width}/seed{seed}/level{level}/mask.safetensors",
            level=LEVELS_OF_JOB,
            seed=SEEDS,
            allow_missing=True,
        ),
        dense=expand(
            "<results>/permutations/{model}/width{width}/{method}/{pair}.safetensors",
            method=METHODS,
            pair=PAIRS,
            allow_missing=True,
        ),
        permutations=expand(
            "<results>/permutations/{model}/width{width}/{method}/level{level}/{pair}.safetensors",
            level=LEVELS_OF_JOB,
            method=METHODS,
            pair=PAIRS,
            allow_missing=True,
        ),
    output:
        tables=expand(
            "<results>/measurements/sparsity/{model}/width{width}/level{level}.csv",
            level=LEVELS_OF_JOB,
            allow_missing=True,
        ),
    log:
        f"<logs>/sparsity_measure/{{model}}/width{{width}}/{MEASURED_LEVELS}.log",
    benchmark:
        f"<benchmarks>/sparsity_measure/{{model}}/width{{width}}/{MEASURED_LEVELS}.txt"
    conda:
        "../../envs/onebasin.yaml"
    threads: config["resources"]["threads"]
    resources:
        runtime=SPARSITY_MEASURE_WORK.runtime,
        mem_mb=SPARSITY_MEASURE_WORK.mem_mb,
        gpu=config["resources"]["gpu"],
    params:
        architecture=architecture_of,
        barrier={**barrier_settings(), "points": config["pruning"]["points"]},
        methods=list(METHODS),
        seeds=SEEDS,
    script:
        "../scripts/sparsity_measure.py"


rule sparsity_table:
    """Gather the barriers of all levels, of which level 0 was measured with the trained networks."""
    input:
        dense=expand("<results>/measurements/{cell}/{method}.csv", cell=PRUNED_CELLS, method=["none", *METHODS]),
        measurements=expand("<results>/measurements/sparsity/{cell}/level{level}.csv", cell=PRUNED_CELLS, level=LEVELS),
    output:
        report(
            "<results>/tables/sparsity.csv",
            caption="../report/sparsity.rst",
            category="Pruning",
            labels={"experiment": "sparsity", "kind": "table"},
        ),
    log:
        "<logs>/sparsity_table.log",
    benchmark:
        "<benchmarks>/sparsity_table.txt"
    localrule: True
    conda:
        "../../envs/onebasin.yaml"
    threads: 1
    resources:
        runtime=10,
        mem_mb=1000,
        gpu=0,
    params:
        points=config["pruning"]["points"],
    script:
        "../scripts/sparsity_table.py"


rule sparsity_figure:
    """Draw barriers and the values of the networks against density."""
    input:
        table="<results>/tables/sparsity.csv",
    output:
        png=report(
            "<results>/figures/sparsity.png",
            caption="../report/sparsity.rst",
            category="Pruning",
            labels={"experiment": "sparsity", "kind": "figure"},
        ),
        pdf="<results>/figures/sparsity.pdf",
    log:
        "<logs>/sparsity_figure.log",
    benchmark:
        "<benchmarks>/sparsity_figure.txt"
    localrule: True
    conda:
        "../../envs/onebasin.yaml"
    threads: 1
    resources:
        runtime=10,
        mem_mb=1000,
        gpu=0,
    params:
        experiment="sparsity",
    script:
        "../scripts/figure.py"
