"""Permutations found during training, for the experiments that look at the history of networks.

Needs: the checkpoints of a model and width at the epochs of `history`, and the data set.
Makes: results/<study>/permutations/<model>/width<width>/<method>/epoch<epoch>/ with matching.csv and, for each pair of
seeds a < b, <a>-<b>.safetensors; those of the last epoch are made by `align`, without a folder of their own.
"""

HISTORY_ALIGN_WORK = Work(
    pairs=len(HISTORY_PAIRS) * (len(STAGES) - 1), methods=settings_of_methods, networks=len(SEEDS) * len(STAGES)
)


rule history_align:
    """Match the pairs of networks of one width at each earlier epoch."""
    input:
        data="<results>/data.safetensors",
        networks=networks_at([LAST_EPOCH]),
        history=networks_at(HISTORY[:-1]),
    output:
        permutations=permutations_at(STAGES[:-1], ALIGNED),
        tables=[
            file
            for method in ALIGNED
            for stage in STAGES[:-1]
            for file in expand(f"{folder_of_permutations(stage)}/matching.csv", method=method, allow_missing=True)
        ],
    log:
        f"<logs>/history_align/{{model}}/width{{width}}/{METHODS_OF_JOB}.log",
    benchmark:
        f"<benchmarks>/history_align/{{model}}/width{{width}}/{METHODS_OF_JOB}.txt"
    conda:
        "../../envs/onebasin.yaml"
    threads: config["resources"]["threads"]
    resources:
        runtime=HISTORY_ALIGN_WORK.runtime,
        mem_mb=HISTORY_ALIGN_WORK.mem_mb,
        gpu=HISTORY_ALIGN_WORK.gpu,
    params:
        architecture=architecture_of,
        methods=settings_of_methods,
        pairs=HISTORY_PAIRS,
        seeds=SEEDS,
        stages=STAGES[:-1],
    script:
        "../scripts/history_align.py"
