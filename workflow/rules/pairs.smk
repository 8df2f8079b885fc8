"""Experiment `pairs`: what lies between two networks, with and without a permutation?

Needs: the measurements of all methods.
Makes: results/<study>/tables/pairs.csv and results/<study>/figures/pairs.png and .pdf.
"""


rule pairs:
    """Interpolation curves of every pair, without a permutation and with that of each method."""
    input:
        table="<results>/tables/pairs.csv",
        png="<results>/figures/pairs.png",
        pdf="<results>/figures/pairs.pdf",


rule pairs_table:
    """Gather the curves of every pair: one row for each point on the way from a to b."""
    input:
        measurements=expand("<results>/measurements/{cell}/{method}.csv", cell=CELLS, method=["none", *METHODS]),
    output:
        report(
            "<results>/tables/pairs.csv",
            caption="../report/pairs.rst",
            category="Between two networks",
            labels={"experiment": "pairs", "kind": "table"},
        ),
    log:
        "<logs>/pairs_table.log",
    benchmark:
        "<benchmarks>/pairs_table.txt"
    localrule: True
    conda:
        "../../envs/onebasin.yaml"
    threads: 1
    resources:
        runtime=10,
        mem_mb=1000,
        gpu=0,
    script:
        "../scripts/pairs_table.py"


rule pairs_figure:
    """Draw loss and error along the way."""
    input:
        table="<results>/tables/pairs.csv",
    output:
        png=report(
            "<results>/figures/pairs.png",
            caption="../report/pairs.rst",
            category="Between two networks",
            labels={"experiment": "pairs", "kind": "figure"},
        ),
        pdf="<results>/figures/pairs.pdf",
    log:
        "<logs>/pairs_figure.log",
    benchmark:
        "<benchmarks>/pairs_figure.txt"
    localrule: True
    conda:
        "../../envs/onebasin.yaml"
    threads: 1
    resources:
        runtime=10,
        mem_mb=1000,
        gpu=0,
    params:
        experiment="pairs",
    script:
        "../scripts/figure.py"
