"""The data set, and the second one of `transfer`.

Needs: nothing, or what lies in `data.data_dir`, or the file `data.path`.
Makes: a file for each, the only thing that later jobs know of the data.
"""

WORK["data"] = Work(ESTIMATE, Amount(reads=ESTIMATE.files_to_decode))
WORK["second_data"] = WORK["data"]


rule data:
    """Bring the data set into one file, so that what reads the many formats is imported once."""
    input:
        file=own_file(config["data"]["name"]),
    output:
        update(DATA["first"]),
    log:
        log_of("data"),
    benchmark:
        benchmark_of("data")
    conda:
        "../../envs/onebasin.yaml"
    threads: 1
    resources:
        runtime=WORK["data"].runtime,
        mem_mb=WORK["data"].mem_mb,
        gpu=0,
    params:
        data=data_settings(),
        version=data_version(config["data"]["name"]),
        folder=of_outputs(own_folder),
    script:
        "../scripts/data.py"


rule second_data:
    """Bring the second data set into one file; it must have the shape and the classes of the first."""
    input:
        first=DATA["first"],
        file=own_file(config["transfer"]["data"]["name"]),
    output:
        update(DATA["second"]),
    log:
        log_of("second_data"),
    benchmark:
        benchmark_of("second_data")
    conda:
        "../../envs/onebasin.yaml"
    threads: 1
    resources:
        runtime=WORK["second_data"].runtime,
        mem_mb=WORK["second_data"].mem_mb,
        gpu=0,
    params:
        data=data_settings() | stable(config["transfer"]["data"]),
        version=data_version(config["transfer"]["data"]["name"]),
        folder=of_outputs(own_folder),
    script:
        "../scripts/data.py"
