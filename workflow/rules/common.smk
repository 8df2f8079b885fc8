"""What all rules share: the checked config, wildcards, and functions from the config to files and params.

Snakemake runs a job again when the values of its params differ; it compares neither their names nor anything that is
no param. So each key that affects a result is a param of just the rules that it affects, mostly in a dictionary, which
holds its name too and whose order is fixed.
"""

import hashlib
import itertools
import os
import re
from pathlib import Path


include: "validation.smk"
include: "factories.smk"


check(config)
check_factories(config["models"])


include: "estimate.smk"
include: "stages.smk"


# Jobs find the library beside the Snakefile, also in an environment in which it is not installed.
LIBRARY = Path(workflow.current_basedir.get_path_or_uri(secret_free=True), "..", "..", "src").resolve()
OWN_CODE = [own_folder(model["factory"]) for model in config["models"] if "factory" in model]
os.environ.update(
    PYTHONPATH=os.pathsep.join(
        dict.fromkeys(map(str, filter(None, [LIBRARY, *OWN_CODE, os.environ.get("PYTHONPATH")])))
    )
)

# glibc hands every large tensor back to the system as soon as it is freed, and takes it again page by page at the next
# operation: a third of the time of a small convolutional network on a CPU.
os.environ.setdefault("MALLOC_MMAP_THRESHOLD_", str(32 * 2**20))
os.environ.setdefault("MALLOC_TRIM_THRESHOLD_", str(2**30))

SEEDS = sorted(config["seeds"])
PAIRS = [f"{a}-{b}" for a in SEEDS for b in SEEDS if a < b]
DISJOINT = list(zip(SEEDS[::2], SEEDS[1::2]))
MODELS = {model["name"]: model for model in config["models"]}
METHODS = {method["name"]: method for method in config["matching"]}
FRAMES = {frame["name"]: frame for frame in config["frames"]}

# A cell is a model at one width, whose networks are matched and measured together.
CELLS = [f"{name}/width{width}" for name, model in MODELS.items() for width in model["widths"]]


def cells_at(widths):
    """The cells of every model that has one of these widths."""
    return [f"{name}/width{width}" for name, model in MODELS.items() for width in model["widths"] if width in widths]


TRIANGLE_CELLS = cells_at(config["simplex"]["widths"])
CELLS_WITH_CHILDREN = cells_at(config["instability"]["widths"])
CORRECTED_CELLS = cells_at(config["correction"]["widths"])
HISTORY_CELLS = cells_at(config["history"]["widths"])
PRUNED_CELLS = cells_at(config["pruning"]["widths"])
CYCLE_CELLS = cells_at(config["cycles"]["widths"])
TRANSFER_CELLS = cells_at(config["transfer"]["widths"])
EMBEDDED_CELLS = [
    f"{name}/width{config['embedding']['wide']}/narrow{narrow}"
    for name, model in MODELS.items()
    if config["embedding"]["wide"] in model["widths"]
    for narrow in config["embedding"]["narrow"]
    if narrow in model["widths"]
]
CONSENSUS_CELLS = cells_at(config["consensus"]["widths"])

LAST_EPOCH = config["training"]["epochs"]

# Epochs at which the history of networks is looked at; the permutations of the last one are those of every experiment.
HISTORY = sorted({epoch for epoch in config["history"]["epochs"] if epoch < LAST_EPOCH}) + [LAST_EPOCH]
REWOUND = sorted({epoch for epoch in config["layers"]["epochs"] if epoch in HISTORY[:-1]})
STACKED = [sorted(epochs) for epochs in config["superposition"]["sets"] if set(epochs) <= set(HISTORY)]
HISTORY_PAIRS = PAIRS if config["history"]["pairs"] == "all" else [f"{a}-{b}" for a, b in DISJOINT]
STAGES = [f"epoch{epoch}" for epoch in HISTORY]
REWIND = config["pruning"]["rewind"]
EPOCHS = sorted({*config["training"]["checkpoints"], *HISTORY, *([REWIND] if REWIND < LAST_EPOCH else [])})

# Epochs that children share with the networks from which they come.
SHARED = sorted(config["instability"]["epochs"])

# Level 0 of pruning is the trained network, of which nothing is pruned.
LEVELS = list(range(1, config["pruning"]["levels"] + 1))
PRUNES = bool({"pruning", "sparsity", "tickets"} & set(config["experiments"]))

# The masks under which a network is trained again besides its own: that of another network as it is, at random with as
# many weights in every layer, and permuted as each method says.
TICKETS = ["unpermuted", "random", *METHODS]
TICKET_LEVELS = sorted(config["tickets"]["levels"])
TICKET_PAIRS = DISJOINT if config["tickets"]["pairs"] == "disjoint" else list(itertools.combinations(SEEDS, 2))

# Each network of a pair is trained under the mask of the other one.
TICKET_FOLDERS = [
    f"seed{seed}/level{level}/{ticket}/from{source}"
    for pair in TICKET_PAIRS
    for source, seed in (pair, pair[::-1])
    for level in TICKET_LEVELS
    for ticket in TICKETS
]

# The epochs whose checkpoints are kept on the second data set of `transfer`, and the networks that are trained on it
# again under masks of the first, named as those above.
TRANSFERRED_EPOCHS = sorted({LAST_EPOCH, *([REWIND] if REWIND < LAST_EPOCH else [])})
TRANSFERRED_LEVEL = config["transfer"]["level"]
TRANSFERRED_MASKS = [
    f"seed{seed}/level{TRANSFERRED_LEVEL}/{ticket}/from{source}"
    for pair in TICKET_PAIRS
    for source, seed in (pair, pair[::-1])
    for ticket in TICKETS
]

# What one job has in hand, and what stands for it in the names of log files.
if config["seeds_together"]:
    TRAINED, NETWORKS_OF_JOB = [f"seed{seed}" for seed in SEEDS], "all"
    SHARED_OF_JOB, CHILDREN_OF_JOB = SHARED, "all"
    TICKETS_OF_JOB, NAME_OF_TICKETS = TICKET_FOLDERS, "all"
    TRANSFERRED_OF_JOB, NAME_OF_TRANSFERRED = TRANSFERRED_MASKS, "all"
else:
    TRAINED, NETWORKS_OF_JOB = ["seed{seed}"], "seed{seed}"
    SHARED_OF_JOB, CHILDREN_OF_JOB = ["{shared}"], "seed{seed}-shared{shared}"
    TICKETS_OF_JOB = [f"seed{{seed}}/level{{level}}/{ticket}/from{{source}}" for ticket in TICKETS]
    NAME_OF_TICKETS = "seed{seed}-level{level}-from{source}"
    TRANSFERRED_OF_JOB = [f"seed{{seed}}/level{TRANSFERRED_LEVEL}/{ticket}/from{{source}}" for ticket in TICKETS]
    NAME_OF_TRANSFERRED = "seed{seed}-from{source}"
if config["methods_together"]:
    ALIGNED, MEASURED, METHODS_OF_JOB = list(METHODS), ["none", *METHODS, *FRAMES], "all"
    PAIRED, FRAMED, FRAMES_OF_JOB = ["none", *METHODS], list(FRAMES), "all"
    LEVELS_OF_JOB, ALIGNED_LEVELS, MEASURED_LEVELS = LEVELS, "all", "all"
else:
    ALIGNED, MEASURED, METHODS_OF_JOB = ["{method}"], ["{method}"], "{method}"
    PAIRED, FRAMED, FRAMES_OF_JOB = ["{method}"], ["{frame}"], "{frame}"
    LEVELS_OF_JOB, ALIGNED_LEVELS, MEASURED_LEVELS = ["{level}"], "{method}-level{level}", "level{level}"


scattergather:
    pairs=1,


# Jobs that share the pairs of a model and width; more than one if a profile says so.
PARTS = len(scatter.pairs("{scatteritem}"))


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
    level=r"[1-9]\d*",
    source=r"\d+",
    method="|".join(map(re.escape, ["none", *METHODS, *FRAMES])),
    frame="|".join(map(re.escape, FRAMES)) or "-",


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
    """The model but for its width: its family and the options of the family, or its factory and the hash of its code."""
    model = MODELS[wildcards.model]
    architecture = stable(model, without=("name", "widths", "training"))
    return {**architecture, "code": own_code(model["factory"])} if "factory" in model else architecture


def training_of(wildcards):
    """The training settings of a model: those of the study, with its own in their place."""
    return stable({**config["training"], **MODELS[wildcards.model]["training"]}, without=("checkpoints",))


def files_of_networks(wildcards):
    """The files from which the networks of a model and width come, where they were trained elsewhere."""
    return [network_file(path, wildcards.model, wildcards.width) for path in config["networks"]]


def pruning_of(wildcards):
    """How the networks of a model are pruned, and whether their output layer is pruned too."""
    section = stable(config["pruning"], without=("widths", "levels", "output_layer", "points"))
    return {**section, "output_layer": MODELS[wildcards.model].get("family") in config["pruning"]["output_layer"]}


def methods_of(wildcards):
    """The names of the methods of an align or measure job, `none` left out."""
    if config["methods_together"]:
        return list(METHODS)
    return [wildcards.method] if wildcards.method in METHODS else []


def settings_of_methods(wildcards):
    """The settings of the methods of an align job."""
    return [stable(METHODS[name]) for name in methods_of(wildcards)]


def frames_of(wildcards):
    """The names of the frames of a frames or measure job."""
    if config["methods_together"]:
        return list(FRAMES)
    name = wildcards.get("frame", wildcards.get("method"))
    return [name] if name in FRAMES else []


def settings_of_frames(wildcards):
    """The settings of the frames of a job."""
    return [stable(FRAMES[name]) for name in frames_of(wildcards)]


def frame_files_of(wildcards):
    """The permutation files of the frames that a measure job needs."""
    return expand(
        "<results>/frames/{model}/width{width}/{frame}/{seed}.safetensors",
        model=wildcards.model,
        width=wildcards.width,
        frame=frames_of(wildcards),
        seed=SEEDS,
    )


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


def files_of_level_before(wildcards, name):
    """A file of the level before, for each network of a pruning job; level 0 is the trained network."""
    level = int(wildcards.level) - 1
    stage = f"level{level}/" if level else ""
    paths = expand(
        "<results>/networks/{model}/width{width}/{network}/{stage}{name}.safetensors",
        network=TRAINED,
        stage=stage,
        name=name,
        allow_missing=True,
    )
    return expand(paths, **dict(wildcards.items()))


def permutations_of_tickets(wildcards):
    """The permutation files that a tickets job needs: those between the networks that exchange masks."""
    pairs = TICKET_PAIRS
    if not config["seeds_together"]:
        pairs = [sorted((int(wildcards.source), int(wildcards.seed)))]
    return expand(
        "<results>/permutations/{model}/width{width}/{method}/{pair}.safetensors",
        model=wildcards.model,
        width=wildcards.width,
        method=METHODS,
        pair=[f"{a}-{b}" for a, b in pairs],
    )


def permutations_of_transferred_masks(wildcards):
    """The permutation files that a job needs that trains networks of the second data set under masks of the first."""
    pairs = [(source, seed) for pair in TICKET_PAIRS for source, seed in (pair, pair[::-1])]
    if not config["seeds_together"]:
        pairs = [(wildcards.source, wildcards.seed)]
    return expand(
        "<results>/transfer/permutations/{model}/width{width}/{method}/across/{pair}.safetensors",
        model=wildcards.model,
        width=wildcards.width,
        method=METHODS,
        pair=[f"{source}-{seed}" for source, seed in pairs],
    )


def experiment_files(names):
    """The tables and figures of experiments."""
    return expand("<results>/tables/{name}.csv", name=names) + expand(
        "<results>/figures/{name}.{format}", name=names, format=["png", "pdf"]
    )
