"""Experiment `scaling`: how fast do barriers fall with width, and where would they be gone?

Needs: the table of the experiment `width`.
Makes: results/<study>/tables/scaling.csv and results/<study>/figures/scaling.png and .pdf.
"""


rule scaling:
    """A power law of width for every kind of barrier, and the width at which it falls under the threshold."""
    input:
        table="<results>/tables/scaling.csv",
        png="<results>/figures/scaling.png",
        pdf="<results>/figures/scaling.pdf",


rule scaling_table:
    """Fit the law: one row for each method, claim, split and metric."""
    input:
        table="<results>/tables/width.csv",
    output:
        report(
            "<results>/tables/scaling.csv",
            caption="../report/scaling.rst",
            category="Scaling",
            labels={"experiment": "scaling", "kind": "table"},
        ),
    log:
        "<logs>/scaling_table.log",
    benchmark:
        "<benchmarks>/scaling_table.txt"
    localrule: True
    conda:
        "../../envs/onebasin.yaml"
    threads: 1
    resources:
        runtime=10,
        mem_mb=1000,
        gpu=0,
    params:
        scaling=stable(config["scaling"]),
    script:
        "../scripts/scaling_table.py"


rule scaling_figure:
    """Draw exponents, and the widths at which barriers are predicted to be gone."""
    input:
        table="<results>/tables/scaling.csv",
    output:
        png=report(
            "<results>/figures/scaling.png",
            caption="../report/scaling.rst",
            category="Scaling",
            labels={"experiment": "scaling", "kind": "figure"},
        ),
        pdf="<results>/figures/scaling.pdf",
    log:
        "<logs>/scaling_figure.log",
    benchmark:
        "<benchmarks>/scaling_figure.txt"
    localrule: True
    conda:
        "../../envs/onebasin.yaml"
    threads: 1
    resources:
        runtime=10,
        mem_mb=1000,
        gpu=0,
    params:
        experiment="scaling",
    script:
        "../scripts/figure.py"
