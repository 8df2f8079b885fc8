"""The data set, the second one of `transfer`, and those of `butterfly` and `transience`.

Needs: nothing, or what lies in `data.data_dir`, or the file `data.path`.
Makes: a file for each, the only thing that later jobs know of the data.
"""

WORK["data"] = Work(ESTIMATE, Amount(reads=ESTIMATE.files_to_decode))
OTHERS = {"second": "transfer", "butterfly": "butterfly", "transience": "transience"}
for name in OTHERS:
    WORK[f"{name}_data"] = WORK["data"]


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


for name, section in OTHERS.items():

    rule:
        """Bring another data set into one file; the second one must have the shape and the classes of the first."""
        name:
            f"{name}_data"
        input:
            first=DATA["first"] if name == "second" else [],
            file=own_file(config[section]["data"]["name"]),
        output:
            update(DATA[name]),
        log:
            log_of(f"{name}_data"),
        benchmark:
            benchmark_of(f"{name}_data")
        conda:
            "../../envs/onebasin.yaml"
        threads: 1
        resources:
            runtime=WORK[f"{name}_data"].runtime,
            mem_mb=WORK[f"{name}_data"].mem_mb,
            gpu=0,
        params:
            data=data_settings() | stable(config[section]["data"]),
            version=data_version(config[section]["data"]["name"]),
            folder=of_outputs(own_folder),
        script:
            "../scripts/data.py"
