"""Alignment.

Needs: the trained networks of a model and width, and the data set.
Makes: results/<study>/permutations/<model>/width<width>/<method>/ with matching.csv and, for each pair of seeds a < b,
<a>-<b>.safetensors, which takes network b into the frame of a.
"""

ALIGN_WORK = Work(pairs=len(PAIRS), methods=settings_of_methods, networks=len(SEEDS))


rule align:
    """Match all pairs of networks of one width; a permutation is kept only if it leaves the function unchanged."""
    input:
        data="<results>/data.safetensors",
        networks=expand(
            "<results>/networks/{model}/width{width}/seed{seed}/epoch{epoch}.safetensors",
            seed=SEEDS,
            epoch=LAST_EPOCH,
            allow_missing=True,
        ),
    output:
        permutations=expand(
            "<results>/permutations/{model}/width{width}/{method}/{pair}.safetensors",
            method=ALIGNED,
            pair=PAIRS,
            allow_missing=True,
        ),
        tables=expand(
            "<results>/permutations/{model}/width{width}/{method}/matching.csv", method=ALIGNED, allow_missing=True
        ),
    log:
        f"<logs>/align/{{model}}/width{{width}}/{METHODS_OF_JOB}.log",
    benchmark:
        f"<benchmarks>/align/{{model}}/width{{width}}/{METHODS_OF_JOB}.txt"
    conda:
        "../../envs/onebasin.yaml"
    threads: config["resources"]["threads"]
    resources:
        runtime=ALIGN_WORK.runtime,
        mem_mb=ALIGN_WORK.mem_mb,
        gpu=ALIGN_WORK.gpu,
    params:
        architecture=architecture_of,
        methods=settings_of_methods,
        seeds=SEEDS,
    script:
        "../scripts/align.py"
