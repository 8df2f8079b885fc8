"""Experiment `transfer`: what decides which permutation matches two networks, their initialisation or the data?

Networks of the same seeds, and so of the same initial parameters, are trained on a second data set of the same shape
and classes. If initialisation and architecture decided, the permutation found between a and b on one data set would
serve a and b on the other. Networks across the two data sets are matched too, which asks whether they share a basin.
The output layer is no permutation group: its units stay in place.

Needs: the trained networks of a model and width, their permutations, and the data set.
Makes: the second data set, its networks and permutations, in results/<study>/transfer/, and
results/<study>/tables/transfer.csv and results/<study>/figures/transfer.png and .pdf.
"""


rule transfer:
    """Barriers of pairs on one and on two data sets, under permutations found on the same and on the other one."""
    input:
        table="<results>/tables/transfer.csv",
        png="<results>/figures/transfer.png",
        pdf="<results>/figures/transfer.pdf",


TRANSFER_DATA_WORK = Work(reads=files_to_decode)


rule transfer_data:
    """Bring the second data set into one file; it must have the shape and the classes of the first."""
    input:
        data="<results>/data.safetensors",
    output:
        "<results>/transfer/data.safetensors",
    log:
        "<logs>/transfer_data.log",
    benchmark:
        "<benchmarks>/transfer_data.txt"
    conda:
        "../../envs/onebasin.yaml"
    threads: 1
    resources:
        runtime=TRANSFER_DATA_WORK.runtime,
        mem_mb=TRANSFER_DATA_WORK.mem_mb,
        gpu=0,
    params:
        data=data_settings() | stable(config["transfer"]["data"]),
    script:
        "../scripts/transfer_data.py"


TRANSFER_TRAIN_WORK = Work(trainings=len(TRAINED))


rule transfer_train:
    """Train the networks of the same seeds, which begin with the same parameters, on the second data set."""
    input:
        data="<results>/transfer/data.safetensors",
    output:
        checkpoints=expand(
            "<results>/transfer/networks/{model}/width{width}/{network}/epoch{epoch}.safetensors",
            network=TRAINED,
            epoch=TRANSFERRED_EPOCHS,
            allow_missing=True,
        ),
        tables=expand(
            "<results>/transfer/networks/{model}/width{width}/{network}/training.csv",
            network=TRAINED,
            allow_missing=True,
        ),
    log:
        f"<logs>/transfer_train/{{model}}/width{{width}}/{NETWORKS_OF_JOB}.log",
    benchmark:
        f"<benchmarks>/transfer_train/{{model}}/width{{width}}/{NETWORKS_OF_JOB}.txt"
    conda:
        "../../envs/onebasin.yaml"
    threads: config["resources"]["threads"]
    resources:
        runtime=TRANSFER_TRAIN_WORK.runtime,
        mem_mb=TRANSFER_TRAIN_WORK.mem_mb,
        gpu=config["resources"]["gpu"],
    params:
        architecture=architecture_of,
        training=training_of,
        epochs=TRANSFERRED_EPOCHS,
    script:
        "../scripts/train.py"


TRANSFER_ALIGN_WORK = Work(pairs=len(PAIRS) + len(SEEDS) ** 2, methods=settings_of_methods, networks=2 * len(SEEDS))


rule transfer_align:
    """Match networks of the second data set with each other and with those of the first, of the same seed too."""
    input:
        data="<results>/data.safetensors",
        second_data="<results>/transfer/data.safetensors",
        networks=expand(
            "<results>/networks/{model}/width{width}/seed{seed}/epoch{epoch}.safetensors",
            seed=SEEDS,
            epoch=LAST_EPOCH,
            allow_missing=True,
        ),
        second=expand(
            "<results>/transfer/networks/{model}/width{width}/seed{seed}/epoch{epoch}.safetensors",
            seed=SEEDS,
            epoch=LAST_EPOCH,
            allow_missing=True,
        ),
    output:
        second=expand(
            "<results>/transfer/permutations/{model}/width{width}/{method}/second/{pair}.safetensors",
            method=ALIGNED,
            pair=PAIRS,
            allow_missing=True,
        ),
        across=expand(
            "<results>/transfer/permutations/{model}/width{width}/{method}/across/{pair}.safetensors",
            method=ALIGNED,
            pair=[f"{a}-{b}" for a in SEEDS for b in SEEDS],
            allow_missing=True,
        ),
        tables=expand(
            "<results>/transfer/permutations/{model}/width{width}/{method}/second/matching.csv",
            method=ALIGNED,
            allow_missing=True,
        ),
    log:
        f"<logs>/transfer_align/{{model}}/width{{width}}/{METHODS_OF_JOB}.log",
    benchmark:
        f"<benchmarks>/transfer_align/{{model}}/width{{width}}/{METHODS_OF_JOB}.txt"
    conda:
        "../../envs/onebasin.yaml"
    threads: config["resources"]["threads"]
    resources:
        runtime=TRANSFER_ALIGN_WORK.runtime,
        mem_mb=TRANSFER_ALIGN_WORK.mem_mb,
        gpu=TRANSFER_ALIGN_WORK.gpu,
    params:
        architecture=architecture_of,
        methods=settings_of_methods,
        seeds=SEEDS,
    script:
        "../scripts/transfer_align.py"


TRANSFER_MEASURE_WORK = Work(
    evaluations=12 * len(PAIRED) * len(PAIRS) * config["barrier"]["points"], networks=2 * len(SEEDS)
)


rule transfer_measure:
    """Measure pairs of networks of one and of two data sets under each other's permutations."""
    input:
        data="<results>/data.safetensors",
        second_data="<results>/transfer/data.safetensors",
        networks=expand(
            "<results>/networks/{model}/width{width}/seed{seed}/epoch{epoch}.safetensors",
            seed=SEEDS,
            epoch=LAST_EPOCH,
            allow_missing=True,
        ),
        second=expand(
            "<results>/transfer/networks/{model}/width{width}/seed{seed}/epoch{epoch}.safetensors",
            seed=SEEDS,
            epoch=LAST_EPOCH,
            allow_missing=True,
        ),
        permutations=permutations_of,
        transferred=transferred_permutations_of,
    output:
        tables=expand(
            "<results>/measurements/transfer/{model}/width{width}/{method}.csv", method=PAIRED, allow_missing=True
        ),
    log:
        f"<logs>/transfer_measure/{{model}}/width{{width}}/{METHODS_OF_JOB}.log",
    benchmark:
        f"<benchmarks>/transfer_measure/{{model}}/width{{width}}/{METHODS_OF_JOB}.txt"
    conda:
        "../../envs/onebasin.yaml"
    threads: config["resources"]["threads"]
    resources:
        runtime=TRANSFER_MEASURE_WORK.runtime,
        mem_mb=TRANSFER_MEASURE_WORK.mem_mb,
        gpu=config["resources"]["gpu"],
    params:
        architecture=architecture_of,
        barrier=barrier_settings(),
        seeds=SEEDS,
    script:
        "../scripts/transfer_measure.py"


rule transfer_table:
    """Gather all models and widths: one row for each pair, permutation, data set, split and metric."""
    input:
        measurements=expand(
            "<results>/measurements/transfer/{cell}/{method}.csv", cell=TRANSFER_CELLS, method=["none", *METHODS]
        ),
    output:
        report(
            "<results>/tables/transfer.csv",
            caption="../report/transfer.rst",
            category="Transfer",
            labels={"experiment": "transfer", "kind": "table"},
        ),
    log:
        "<logs>/transfer_table.log",
    benchmark:
        "<benchmarks>/transfer_table.txt"
    localrule: True
    conda:
        "../../envs/onebasin.yaml"
    threads: 1
    resources:
        runtime=10,
        mem_mb=1000,
        gpu=0,
    script:
        "../scripts/transfer_table.py"


rule transfer_figure:
    """Draw barriers by the networks between which the permutation was found."""
    input:
        table="<results>/tables/transfer.csv",
    output:
        png=report(
            "<results>/figures/transfer.png",
            caption="../report/transfer.rst",
            category="Transfer",
            labels={"experiment": "transfer", "kind": "figure"},
        ),
        pdf="<results>/figures/transfer.pdf",
    log:
        "<logs>/transfer_figure.log",
    benchmark:
        "<benchmarks>/transfer_figure.txt"
    localrule: True
    conda:
        "../../envs/onebasin.yaml"
    threads: 1
    resources:
        runtime=10,
        mem_mb=1000,
        gpu=0,
    params:
        experiment="transfer",
    script:
        "../scripts/figure.py"
