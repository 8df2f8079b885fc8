"""Alignment and measurement of many pairs by several jobs, which share them: where a profile has `set-scatter: pairs=N`.

Needs and makes: what `align` and `measure` do, with the same bytes.
"""

if PARTS > 1:

    ruleorder: align_gather > align
    ruleorder: measure_gather > measure

    ALIGN_PART_WORK = Work(pairs=math.ceil(len(PAIRS) / PARTS), methods=settings_of_methods, networks=len(SEEDS))

    use rule align as align_part with:
        output:
            folders=temp(
                directory(
                    expand(
                        "<results>/permutations/{model}/width{width}/{method}/parts/{scatteritem}",
                        method=ALIGNED,
                        allow_missing=True,
                    )
                )
            ),
        log:
            f"<logs>/align/{{model}}/width{{width}}/{METHODS_OF_JOB}/{{scatteritem}}.log",
        benchmark:
            f"<benchmarks>/align/{{model}}/width{{width}}/{METHODS_OF_JOB}/{{scatteritem}}.txt"
        resources:
            runtime=ALIGN_PART_WORK.runtime,
            mem_mb=ALIGN_PART_WORK.mem_mb,
            gpu=ALIGN_PART_WORK.gpu,

    rule align_gather:
        """Put the permutations of the parts where one job would have written them."""
        input:
            folders=gather.pairs("<results>/permutations/{{model}}/width{{width}}/{{method}}/parts/{scatteritem}"),
        output:
            permutations=expand(
                "<results>/permutations/{model}/width{width}/{method}/{pair}.safetensors",
                pair=PAIRS,
                allow_missing=True,
            ),
            table="<results>/permutations/{model}/width{width}/{method}/matching.csv",
        log:
            "<logs>/align_gather/{model}/width{width}/{method}.log",
        benchmark:
            "<benchmarks>/align_gather/{model}/width{width}/{method}.txt"
        localrule: True
        conda:
            "../../envs/onebasin.yaml"
        threads: 1
        resources:
            runtime=10,
            mem_mb=1000,
            gpu=0,
        script:
            "../scripts/align_gather.py"

    MEASURE_PART_WORK = Work(
        evaluations=lambda wildcards: math.ceil(points_of_paths(wildcards) / PARTS), networks=len(SEEDS)
    )

    use rule measure as measure_part with:
        output:
            tables=temp(
                expand(
                    "<results>/measurements/{model}/width{width}/parts/{scatteritem}/{method}.csv",
                    method=MEASURED,
                    allow_missing=True,
                )
            ),
        log:
            f"<logs>/measure/{{model}}/width{{width}}/{METHODS_OF_JOB}/{{scatteritem}}.log",
        benchmark:
            f"<benchmarks>/measure/{{model}}/width{{width}}/{METHODS_OF_JOB}/{{scatteritem}}.txt"
        resources:
            runtime=MEASURE_PART_WORK.runtime,
            mem_mb=MEASURE_PART_WORK.mem_mb,
            gpu=config["resources"]["gpu"],

    rule measure_gather:
        """Put the curves of the parts in one table, in their order."""
        input:
            tables=gather.pairs("<results>/measurements/{{model}}/width{{width}}/parts/{scatteritem}/{{method}}.csv"),
        output:
            "<results>/measurements/{model}/width{width}/{method}.csv",
        log:
            "<logs>/measure_gather/{model}/width{width}/{method}.log",
        benchmark:
            "<benchmarks>/measure_gather/{model}/width{width}/{method}.txt"
        localrule: True
        conda:
            "../../envs/onebasin.yaml"
        threads: 1
        resources:
            runtime=10,
            mem_mb=1000,
            gpu=0,
        script:
            "../scripts/measure_gather.py"
