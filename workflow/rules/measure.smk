"""Measurement of the way between two networks.

Needs: the trained networks of a model and width, their permutations and common frames, and the data set.
Makes: results/<study>/measurements/<model>/width<width>/<method>.csv with the curves of every path; the method `none`
is without a permutation.
"""

MEASURE_WORK = Work(evaluations=points_of_paths, networks=len(SEEDS))


rule measure:
    """Measure loss and error along every path between two networks of one width, on training and test images."""
    input:
        data="<results>/data.safetensors",
        networks=expand(
            "<results>/networks/{model}/width{width}/seed{seed}/epoch{epoch}.safetensors",
            seed=SEEDS,
            epoch=LAST_EPOCH,
            allow_missing=True,
        ),
        permutations=permutations_of,
        frames=frame_files_of,
    output:
        tables=expand("<results>/measurements/{model}/width{width}/{method}.csv", method=MEASURED, allow_missing=True),
    log:
        f"<logs>/measure/{{model}}/width{{width}}/{METHODS_OF_JOB}.log",
    benchmark:
        f"<benchmarks>/measure/{{model}}/width{{width}}/{METHODS_OF_JOB}.txt"
    conda:
        "../../envs/onebasin.yaml"
    threads: config["resources"]["threads"]
    resources:
        runtime=MEASURE_WORK.runtime,
        mem_mb=MEASURE_WORK.mem_mb,
        gpu=config["resources"]["gpu"],
    params:
        architecture=architecture_of,
        barrier=barrier_settings(),
        seeds=SEEDS,
    script:
        "../scripts/measure.py"
