"""Experts of several tasks, from common and from independent starts, for the experiment `nonlocal`.

Needs: nothing, or what lies in `data.data_dir`; and where experts start from more than an initialisation, networks of the
study at an early epoch.
Makes: the data set of each task; for each seed, start and task an expert, the network that it starts from, and a table of
its epochs.
"""

NETWORKS_OF["experts"] = [{**item, **epoch} for item in EXPERTS.items for epoch in ({"epoch": 0}, {})]
WORK["task_data"] = WORK["data"]
WORK["train_experts"] = Work(ESTIMATE, lambda wildcards: Amount(trainings=len(EXPERTS.of(wildcards))))


rule task_data:
    """Bring the data set of a task into one file; it must have the shape and the classes of that of the study."""
    input:
        first=DATA["first"],
        file=lambda wildcards: own_file(task_of(wildcards)["name"]),
    output:
        update("<results>/tasks/{task}/data.safetensors"),
    log:
        log_of("task_data", "{task}"),
    benchmark:
        benchmark_of("task_data", "{task}")
    conda:
        "../../envs/onebasin.yaml"
    threads: 1
    resources:
        runtime=WORK["task_data"].runtime,
        mem_mb=WORK["task_data"].mem_mb,
        gpu=0,
    params:
        data=lambda wildcards: data_settings() | stable(task_of(wildcards)),
        version=lambda wildcards: data_version(task_of(wildcards)["name"]),
        folder=of_outputs(own_folder),
        key="nonlocal.tasks",
    script:
        "../scripts/data.py"


rule train_experts:
    """Train an expert of each task from the same networks, those of one seed, or all of one model and width."""
    input:
        data=[DATA[name] for name in TASKS],
        starts=lambda wildcards: expand(
            [network(seed=item["seed"], **at(item["start"])) for item in starts_of_experts(wildcards)], **wildcards
        ),
    output:
        checkpoints=update([network(**item, epoch=epoch) for item in EXPERTS.patterns for epoch in (0, LAST_EPOCH)]),
        tables=update([training_table(**item) for item in EXPERTS.patterns]),
    log:
        log_of("train_experts", f"{{model}}/width{{width}}/{EXPERTS.name}"),
    benchmark:
        benchmark_of("train_experts", f"{{model}}/width{{width}}/{EXPERTS.name}")
    conda:
        "../../envs/onebasin.yaml"
    threads: config["resources"]["threads"]
    resources:
        runtime=WORK["train_experts"].runtime,
        mem_mb=WORK["train_experts"].mem_mb,
        gpu=config["resources"]["gpu"],
    params:
        architecture=architecture_of,
        training=training_of,
        networks=of_outputs(EXPERTS.of),
        starts=of_inputs(starts_of_experts),
        data=list(TASKS),
        epochs=[0, LAST_EPOCH],
        version=versions.of("train"),
    script:
        "../scripts/train.py"
