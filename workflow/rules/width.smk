"""Experiment `width`: do barriers fall as networks widen, weak and strong ones?

Needs: the measurements of all methods.
Makes: results/<study>/tables/width.csv and results/<study>/figures/width.png and .pdf.
"""


rule width:
    """Barriers against width, between every pair (weak), and in the frame of a third network or of all (strong)."""
    input:
        table="<results>/tables/width.csv",
        png="<results>/figures/width.png",
        pdf="<results>/figures/width.pdf",


rule width_table:
    """Reduce every curve to its barriers: one row for each path, split and metric."""
    input:
        measurements=expand(
            "<results>/measurements/{cell}/{method}.csv", cell=CELLS, method=["none", *METHODS, *FRAMES]
        ),
    output:
        report(
            "<results>/tables/width.csv",
            caption="../report/width.rst",
            category="Width",
            labels={"experiment": "width", "kind": "table"},
        ),
    log:
        "<logs>/width_table.log",
    benchmark:
        "<benchmarks>/width_table.txt"
    localrule: True
    conda:
        "../../envs/onebasin.yaml"
    threads: 1
    resources:
        runtime=10,
        mem_mb=1000,
        gpu=0,
    script:
        "../scripts/width_table.py"


rule width_figure:
    """Draw barriers against width."""
    input:
        table="<results>/tables/width.csv",
    output:
        png=report(
            "<results>/figures/width.png",
            caption="../report/width.rst",
            category="Width",
            labels={"experiment": "width", "kind": "figure"},
        ),
        pdf="<results>/figures/width.pdf",
    log:
        "<logs>/width_figure.log",
    benchmark:
        "<benchmarks>/width_figure.txt"
    localrule: True
    conda:
        "../../envs/onebasin.yaml"
    threads: 1
    resources:
        runtime=10,
        mem_mb=1000,
        gpu=0,
    params:
        experiment="width",
    script:
        "../scripts/figure.py"
