"""What all rules share: the checked config, its networks and methods, wildcards, and params that several rules have.

Snakemake runs a job again when the values of its params differ; it compares neither their names nor anything that is
no param. So each key that affects a result is a param of just the rules that it affects, mostly in a dictionary, which
holds its name too and whose order is fixed.
"""

import itertools
import os
import re
import sys
from pathlib import Path

ROOT = Path(workflow.current_basedir.get_path_or_uri(secret_free=True), "..", "..").resolve()
LIBRARY = ROOT / "src"
sys.path[:0] = [str(path) for path in (ROOT, LIBRARY) if str(path) not in sys.path]

from onebasin import shards, versions
from onebasin.experiments import Counts, rooms
from onebasin.landscape import paths
from onebasin.study.shares import share
from workflow import config_files, interpreter, model_check, own_code, progress, records, validation
from workflow.batches import Batch, unique
from workflow.estimate import Amount, Estimate, Work, in_frames, matchings_of

CODE_FOLDERS = list(dict.fromkeys([Path.cwd(), *(Path(file).absolute().parent for file in workflow.configfiles)]))

# As a part of another workflow, this one does not read the config files.
if Path(workflow.main_snakefile).resolve() == ROOT / "Snakefile":
    for file in workflow.configfiles:
        config_files.check(file)
    progress.install(workflow.logger_manager)
validation.check(config, ROOT, CODE_FOLDERS)
# Jobs may have an environment of their own, in which more is installed.
own_code.check(config["models"], CODE_FOLDERS, installed=not workflow.deployment_settings.deployment_method)

# Jobs find the library beside the Snakefile, also in an environment in which it is not installed, and the user's models.
OWN_FOLDERS = [own_code.folder(model["factory"], CODE_FOLDERS) for model in config["models"] if "factory" in model]
os.environ.update(
    PYTHONPATH=os.pathsep.join(
        dict.fromkeys(map(str, filter(None, [LIBRARY, *OWN_FOLDERS, os.environ.get("PYTHONPATH")])))
    )
)

# Where finished pieces of all studies are kept, unless somebody has another place for them.
os.environ.setdefault("ONEBASIN_STORE", "results/.store")
os.environ.update(ONEBASIN_RECORDS=f"results/{config['study']}/logs")

sys.executable = interpreter.plain(sys.executable)

records.install()

# glibc hands every large tensor back to the system as soon as it is freed, and takes it again page by page at the next
# operation: a third of the time of a small convolutional network on a CPU.
os.environ.setdefault("MALLOC_MMAP_THRESHOLD_", str(32 * 2**20))
os.environ.setdefault("MALLOC_TRIM_THRESHOLD_", str(2**30))

ROOMS = rooms()
SEEDS = sorted(config["seeds"])
# The pairs that are looked at, and the strong paths that are drawn, each a reference and two others; all for None.
PAIRS = paths.pairs(SEEDS, config["paths"]["weak"], config["paths"]["seed"])
STRONG = (
    None
    if config["paths"]["strong"] == "all"
    else paths.triples(SEEDS, config["paths"]["strong"], config["paths"]["seed"])
)
DISJOINT = paths.pairs(SEEDS, "disjoint")
MODELS = {model["name"]: model for model in config["models"]}
METHODS = {method["name"]: method for method in config["matching"]}
FRAMES = {frame["name"]: frame for frame in config["frames"]}
LAST_EPOCH = config["training"]["epochs"]
# Epochs at which the history of networks is looked at; the last one is that of every other experiment.
HISTORY = sorted({epoch for epoch in config["history"]["epochs"] if epoch < LAST_EPOCH}) + [LAST_EPOCH]
HISTORY_PAIRS = PAIRS if config["history"]["pairs"] == "all" else DISJOINT
REWOUND = sorted({epoch for epoch in config["layers"]["epochs"] if epoch in HISTORY[:-1]})
REWIND = config["pruning"]["rewind"]
# Further epochs of rewinding, which `tickets` compares.
REWINDS = sorted({*config["tickets"]["rewind"]} - {REWIND})
# The data sets of the tasks of `nonlocal`, by their names in addresses, and the epochs of networks that experts start from.
TASKS = ROOMS["nonlocal"].module.tasks(config["nonlocal"])
STARTS = sorted({start for start in config["nonlocal"]["starts"] if 0 < start <= LAST_EPOCH})
EPOCHS = sorted(
    {
        *config["training"]["checkpoints"],
        *HISTORY,
        *(epoch for epoch in (REWIND, *REWINDS) if epoch < LAST_EPOCH),
        *STARTS,
    }
)
LEVELS = list(range(1, config["pruning"]["levels"] + 1))

# The masks under which a network is trained again besides its own: that of another network as it is, at random with as
# many weights in every layer, and permuted as each method says.
TICKETS = [{"mask": "unpermuted"}, {"mask": "random"}, *({"mask": "permuted", "method": name} for name in METHODS)]
TICKET_PAIRS = DISJOINT if config["tickets"]["pairs"] == "disjoint" else PAIRS
TICKET_LEVELS = sorted(config["tickets"]["levels"])


def pairs_needed(room):
    """The pairs of trained networks of which an experiment needs the permutations, besides those that are looked at."""
    needed = set(map(frozenset, room.pairs(SEEDS, config.get(room.name, {}))))
    if room.needs.strong:
        needed |= paths.legs(STRONG) if STRONG is not None else set(map(frozenset, itertools.combinations(SEEDS, 2)))
    if room.needs.widths.startswith("history"):
        needed |= set(map(frozenset, HISTORY_PAIRS))
    if "tickets" in room.needs.states:
        needed |= set(map(frozenset, TICKET_PAIRS))
    return needed


# The pairs whose trained networks are matched: no others than some experiment of the study needs.
NEEDED = set(map(frozenset, PAIRS)).union(*(pairs_needed(ROOMS[name]) for name in config["experiments"]))
MATCHED = [pair for pair in itertools.combinations(SEEDS, 2) if frozenset(pair) in NEEDED]
# Those that are matched at other stages.
MATCHED_ELSEWHERE = sorted({*PAIRS, *HISTORY_PAIRS, *TICKET_PAIRS})

ESTIMATE = Estimate(config)
# The work of the jobs of each rule, by the name of the rule.
WORK = {}


scattergather:
    pairs=1,


# Jobs that share the pairs of a model and width; more than one if a profile says so.
SHARES = len(scatter.pairs("{scatteritem}"))


pathvars:
    results=f"results/{config['study']}",
    logs=f"results/{config['study']}/logs",
    benchmarks=f"results/{config['study']}/benchmarks",


wildcard_constraints:
    model="|".join(map(re.escape, MODELS)),
    width=r"[1-9]\d*",
    seed=r"\d+",
    source=r"\d+",
    shared=r"\d+",
    star=r"[1-9]\d*|longer|decay",
    split=r"[a-z]+[\w.-]*",
    task="|".join(re.escape(name.rpartition("/")[2]) for name in TASKS),
    level=r"[1-9]\d*",
    method="|".join(map(re.escape, METHODS)),
    frame="|".join(map(re.escape, FRAMES)) or "-",


def stable(section, without=()):
    """Copy a section of the config in an order that does not depend on how it was written."""
    return {key: section[key] for key in sorted(section) if key not in without}


def data_settings():
    """What the data set depends on: not where it lies, for moving it must not train every network again."""
    name = config["data"]["name"]
    unread = [
        ("image_size", name != "image_folder"),
        ("context", name not in validation.TEXTS),
        ("normalise", config["data"]["normalise"] == "auto"),
        ("label_noise", not config["data"]["label_noise"]),
    ]
    found = stable(config["data"], without=("data_dir", "path", "parts", *(key for key, holds in unread if holds)))
    return {key: stable(value) if isinstance(value, dict) else value for key, value in found.items()}


def own_file(name):
    """The file of the user's own that holds a data set, if any does."""
    return [config["data"]["path"]] if name == "file" else []


def data_version(name):
    """The version of what reads a data set."""
    return versions.of("image_folder" if name == "image_folder" else "data")


def own_folder(wildcards):
    """The folder of the user's own files; its contents shape the data set, and not its place."""
    return config["data"]["data_dir"] if config["data"]["name"] in ("image_folder", "text_folder") else None


def architecture_of(wildcards):
    """The model of a job but for its width."""
    return architecture(MODELS[wildcards.model])


def architecture(model):
    """A model but for its width: its family and the options of the family, or its factory and the hash of its code.

    What it holds fixed is a part of it only where there is any: other models stay what they were.
    """
    found = stable(model, without=("name", "widths", "training", "asymmetric"))
    if model["asymmetric"]["share"]:
        found["asymmetric"] = stable(model["asymmetric"])
    return {**found, "code": own_code.digest(model["factory"], CODE_FOLDERS)} if "factory" in model else found


# Jobs may have an environment of their own, in which more is installed, and look at models themselves.
if workflow.is_main_process and not workflow.deployment_settings.deployment_method:
    model_check.check(config, architecture, ESTIMATE, CODE_FOLDERS, records.code())


def training_of(wildcards):
    """The training settings of a model: those of the study, with its own in their place.

    With them stands how the data are divided, where networks are trained on parts.
    """
    parts = {} if config["data"]["parts"]["by"] == "none" else {"parts": parts_settings(config["data"]["parts"])}
    return stable({**config["training"], **MODELS[wildcards.model]["training"], **parts}, without=("checkpoints",))


def parts_settings(parts):
    """How the data are divided, by the keys that are read, with the seed of what is drawn for it."""
    unread = {"classes": ("concentration",), "dirichlet": ("share",)}.get(parts.get("by"), ("share", "concentration"))
    return stable({**parts, "seed": config["data"]["seed"]}, without=unread)


def configurations_at(key):
    """The models and widths that a key of the config names, such as `cycles.widths`; all of them for an empty key."""
    if not key:
        return [(name, width) for name, model in MODELS.items() for width in model["widths"]]
    section, _, name = key.partition(".")
    widths = config[section][name] if isinstance(config[section][name], list) else [config[section][name]]
    return [(name, width) for name, model in MODELS.items() for width in model["widths"] if width in widths]


include: "paths.smk"
include: "batches.smk"
include: "scheduling.smk"
