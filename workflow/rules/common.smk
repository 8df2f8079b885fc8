"""What all rules share: the checked config, wildcards, and functions from the config to files and params.

Snakemake runs a job again when the values of its params differ; it compares neither their names nor anything that is
no param. So each key that affects a result is a param of just the rules that it affects, mostly in a dictionary, which
holds its name too and whose order is fixed.
"""

import hashlib
import os
import re
from pathlib import Path


include: "validation.smk"


check(config)

# Jobs find the library beside the Snakefile, also in an environment in which it is not installed.
LIBRARY = Path(workflow.current_basedir.get_path_or_uri(secret_free=True), "..", "..", "src").resolve()
os.environ.update(PYTHONPATH=os.pathsep.join(filter(None, [str(LIBRARY), os.environ.get("PYTHONPATH")])))

# glibc hands every large tensor back to the system as soon as it is freed, and takes it again page by page at the next
# operation: a third of the time of a small convolutional network on a CPU.
os.environ.setdefault("MALLOC_MMAP_THRESHOLD_", str(32 * 2**20))
os.environ.setdefault("MALLOC_TRIM_THRESHOLD_", str(2**30))

SEEDS = sorted(config["seeds"])
PAIRS = [f"{a}-{b}" for a in SEEDS for b in SEEDS if a < b]
MODELS = {model["name"]: model for model in config["models"]}
METHODS = {method["name"]: method for method in config["matching"]}

# A cell is a model at one width, whose networks are matched and measured together.
CELLS = [f"{name}/width{width}" for name, model in MODELS.items() for width in model["widths"]]


def cells_at(widths):
    """The cells of every model that has one of these widths."""
    return [f"{name}/width{width}" for name, model in MODELS.items() for width in model["widths"] if width in widths]


TRIANGLE_CELLS = cells_at(config["simplex"]["widths"])
CELLS_WITH_CHILDREN = cells_at(config["instability"]["widths"])
CORRECTED_CELLS = cells_at(config["correction"]["widths"])
CYCLE_CELLS = cells_at(config["cycles"]["widths"])
TRANSFER_CELLS = cells_at(config["transfer"]["widths"])
EMBEDDED_CELLS = [
    f"{cell}/narrow{narrow}"
    for cell in cells_at([config["embedding"]["wide"]])
    for narrow in config["embedding"]["narrow"]
    if narrow in MODELS[cell.partition("/")[0]]["widths"]
]

LAST_EPOCH = config["training"]["epochs"]
EPOCHS = sorted({*config["training"]["checkpoints"], LAST_EPOCH})

# Epochs that children share with the networks from which they come.
SHARED = sorted(config["instability"]["epochs"])

# What one job has in hand, and what stands for it in the names of log files.
if config["seeds_together"]:
    TRAINED, NETWORKS_OF_JOB = [f"seed{seed}" for seed in SEEDS], "all"
    SHARED_OF_JOB, CHILDREN_OF_JOB = SHARED, "all"
else:
    TRAINED, NETWORKS_OF_JOB = ["seed{seed}"], "seed{seed}"
    SHARED_OF_JOB, CHILDREN_OF_JOB = ["{shared}"], "seed{seed}-shared{shared}"
if config["methods_together"]:
    ALIGNED, MEASURED, METHODS_OF_JOB = list(METHODS), ["none", *METHODS], "all"
else:
    ALIGNED, MEASURED, METHODS_OF_JOB = ["{method}"], ["{method}"], "{method}"


pathvars:
    results=f"results/{config['study']}",
    logs=f"results/{config['study']}/logs",
    benchmarks=f"results/{config['study']}/benchmarks",


wildcard_constraints:
    model="|".join(map(re.escape, MODELS)),
    width=r"[1-9]\d*",
    narrow=r"[1-9]\d*",
    seed=r"\d+",
    shared=r"\d+",
    method="|".join(map(re.escape, ["none", *METHODS])),


def stable(section, without=()):
    """Copy a section of the config in an order that does not depend on how it was written."""
    return {key: section[key] for key in sorted(section) if key not in without}


def data_settings():
    """What the data set depends on: not where it lies, for moving it must not train every network again."""
    own = config["data"]["name"] == "image_folder"
    return stable(config["data"], without=("data_dir",) if own else ("data_dir", "image_size"))


def files_of_data(wildcards):
    """The hash of the names and sizes of the images of a user's own folder; a copy with other times is the same."""
    if config["data"]["name"] != "image_folder":
        return None
    digest = hashlib.sha256()
    folder = Path(config["data"]["data_dir"]).expanduser()
    for parent, folders, files in os.walk(folder, followlinks=True):
        folders.sort()
        for path in (Path(parent, file) for file in sorted(files) if not file.startswith(".")):
            digest.update(f"{path.relative_to(folder)}\0{os.path.getsize(path)}\0".encode())
    return digest.hexdigest()


def barrier_settings():
    """How networks are measured, without what only a correction needs where there is none."""
    return stable(config["barrier"], without=("fit_images",) if config["barrier"]["correction"] == "none" else ())


def architecture_of(wildcards):
    """The model but for its width: its family and the options of the family."""
    return stable(MODELS[wildcards.model], without=("name", "widths", "training"))


def training_of(wildcards):
    """The training settings of a model: those of the study, with its own in their place."""
    return stable({**config["training"], **MODELS[wildcards.model]["training"]}, without=("checkpoints",))


def methods_of(wildcards):
    """The names of the methods of an align or measure job, `none` left out."""
    if config["methods_together"]:
        return list(METHODS)
    return [wildcards.method] if wildcards.method in METHODS else []


def settings_of_methods(wildcards):
    """The settings of the methods of an align job."""
    return [stable(METHODS[name]) for name in methods_of(wildcards)]


def permutations_of(wildcards):
    """The permutation files that a measure job needs."""
    return expand(
        "<results>/permutations/{model}/width{width}/{method}/{pair}.safetensors",
        model=wildcards.model,
        width=wildcards.width,
        method=methods_of(wildcards),
        pair=PAIRS,
    )


def transferred_permutations_of(wildcards):
    """The permutation files of a second data set, and across both, that a measure job needs."""
    return expand(
        "<results>/transfer/permutations/{model}/width{width}/{method}/{place}.safetensors",
        model=wildcards.model,
        width=wildcards.width,
        method=methods_of(wildcards),
        place=[f"{found}/{pair}" for found in ("second", "across") for pair in PAIRS]
        + [f"across/{seed}-{seed}" for seed in SEEDS],
    )


def experiment_files(names):
    """The tables and figures of experiments."""
    return expand("<results>/tables/{name}.csv", name=names) + expand(
        "<results>/figures/{name}.{format}", name=names, format=["png", "pdf"]
    )
