"""The data set.

Needs: nothing, or what lies in `data.data_dir`.
Makes: results/<study>/data.safetensors, the only thing that later jobs know of the data.
"""


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
        runtime=30,
        mem_mb=lambda wildcards, attempt: 4000 * attempt,
        gpu=0,
    params:
        data=data_settings(),
        files=files_of_data,
    script:
        "../scripts/data.py"
