"""The data set.

Needs: nothing, or what lies in `data.data_dir`.
Makes: results/<study>/data.safetensors, the only thing that later jobs know of the data.
"""


def files_to_decode(wildcards):
    """The number of image files that become part of the data set, 0 where it comes in one piece."""
    return 0 if config["data"]["name"] in DATA_SETS else sum(images()[:3])


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
