"""Experiment `methods`: which matching method is best, and what does it cost?

Needs: the matchings, frames and measurements of all methods.
Makes: results/<study>/tables/methods.csv and results/<study>/figures/methods.png and .pdf.
"""


rule methods:
    """Objective, seconds, memory and barrier of every method."""
    input:
        table="<results>/tables/methods.csv",
        png="<results>/figures/methods.png",
        pdf="<results>/figures/methods.pdf",


rule methods_table:
    """Join what each matching reached and cost with the barrier that it left."""
    input:
        matchings=expand("<results>/permutations/{cell}/{method}/matching.csv", cell=CELLS, method=METHODS),
        frames=expand("<results>/frames/{cell}/{frame}/frame.csv", cell=CELLS, frame=FRAMES),
        measurements=expand("<results>/measurements/{cell}/{method}.csv", cell=CELLS, method=[*METHODS, *FRAMES]),
    output:
        report(
            "<results>/tables/methods.csv",
            caption="../report/methods.rst",
            category="Methods",
            labels={"experiment": "methods", "kind": "table"},
        ),
    log:
        "<logs>/methods_table.log",
    benchmark:
        "<benchmarks>/methods_table.txt"
    localrule: True
    conda:
        "../../envs/onebasin.yaml"
    threads: 1
    resources:
        runtime=10,
        mem_mb=1000,
        gpu=0,
    script:
        "../scripts/methods_table.py"


rule methods_figure:
    """Draw the methods side by side."""
    input:
        table="<results>/tables/methods.csv",
    output:
        png=report(
            "<results>/figures/methods.png",
            caption="../report/methods.rst",
            category="Methods",
            labels={"experiment": "methods", "kind": "figure"},
        ),
        pdf="<results>/figures/methods.pdf",
    log:
        "<logs>/methods_figure.log",
    benchmark:
        "<benchmarks>/methods_figure.txt"
    localrule: True
    conda:
        "../../envs/onebasin.yaml"
    threads: 1
    resources:
        runtime=10,
        mem_mb=1000,
        gpu=0,
    params:
        experiment="methods",
    script:
        "../scripts/figure.py"
