"""The data set.

Needs: nothing, or what lies in `data.data_dir`.
Makes: results/<study>/data.safetensors, the only thing that later jobs know of the data.
"""

DATA_WORK = Work(reads=files_to_decode)


rule data:
    """Bring the data set into one file, so that what reads the many formats is imported once."""
    output:
        "<results>/data.safetensors",
    log:
        "<logs>/data.log",
    benchmark:
        "<benchmarks>/data.txt"
    conda:
        "../../envs/onebasin.yaml"
    threads: 1
    resources:
        runtime=DATA_WORK.runtime,
        mem_mb=DATA_WORK.mem_mb,
        gpu=0,
    params:
        data=data_settings(),
        files=files_of_data,
    script:
        "../scripts/data.py"
