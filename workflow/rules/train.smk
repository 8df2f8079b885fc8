"""Training.

Needs: the data set.
Makes: results/<study>/networks/<model>/width<width>/seed<seed>/ with a checkpoint for each epoch that is kept, and
training.csv.
"""

TRAIN_WORK = Work(trainings=len(TRAINED))


rule train:
    """Train one network, or all of one model and width; a network that was interrupted continues where it was."""
    input:
        data="<results>/data.safetensors",
    output:
        checkpoints=expand(
            "<results>/networks/{model}/width{width}/{network}/epoch{epoch}.safetensors",
            network=TRAINED,
            epoch=EPOCHS,
            allow_missing=True,
        ),
        tables=expand(
            "<results>/networks/{model}/width{width}/{network}/training.csv", network=TRAINED, allow_missing=True
        ),
    log:
        f"<logs>/train/{{model}}/width{{width}}/{NETWORKS_OF_JOB}.log",
    benchmark:
        f"<benchmarks>/train/{{model}}/width{{width}}/{NETWORKS_OF_JOB}.txt"
    conda:
        "../../envs/onebasin.yaml"
    threads: config["resources"]["threads"]
    resources:
        runtime=TRAIN_WORK.runtime,
        mem_mb=TRAIN_WORK.mem_mb,
        gpu=config["resources"]["gpu"],
    params:
        architecture=architecture_of,
        training=training_of,
        epochs=EPOCHS,
    script:
        "../scripts/train.py"
