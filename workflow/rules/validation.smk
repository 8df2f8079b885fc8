"""The config is checked here, before any job: one line says which key is wrong and what is allowed."""

import difflib
import math
import os
import sys
from pathlib import Path

import yaml
from jsonschema import Draft202012Validator, validators
from snakemake.utils import validate

# Networks that one measurement of an experiment takes at least.
NETWORKS_NEEDED = {
    "pairs": (2, "a pair"),
    "methods": (2, "a pair"),
    "width": (3, "a pair aligned to a third network"),
    "scaling": (3, "a pair aligned to a third network"),
    "simplex": (4, "a triangle aligned to a fourth network"),
    "consensus": (3, "a frame of more than a pair"),
    "instability": (1, "a network and its child"),
    "correction": (2, "a pair"),
    "trajectory": (2, "a pair"),
    "stability": (2, "a pair"),
    "layers": (2, "a pair"),
    "superposition": (2, "a pair"),
    "pruning": (1, "a network"),
    "sparsity": (2, "a pair"),
    "tickets": (2, "a pair"),
    "cycles": (3, "a cycle"),
    "embedding": (1, "a wide network and a narrow one"),
    "transfer": (2, "a pair"),
    "transfer_masks": (2, "a pair"),
}

# Experiments of the section `history`.
OF_HISTORY = ("trajectory", "stability", "layers", "superposition")

# Experiments that train networks of their own, or need checkpoints from the training of the others.
NEED_TRAINING = ("instability", "pruning", "sparsity", "tickets", "transfer", "transfer_masks", *OF_HISTORY)

# Data sets whose images have the same shape, and which have as many classes.
ALIKE = [("mnist", "fashion_mnist"), ("cifar10", "svhn")]


# Options of a frame: of its algorithm, and of what it compares.
FRAME_OPTIONS = {
    "reference": ["to"],
    "merge_many": ["max_rounds"],
    "universe": ["climbs", "max_steps", "max_rounds"],
    "ste": ["steps", "lr", "points", "n_images", "batch_size"],
    "weights": ["biases"],
    "activations": ["kernel", "n_images", "intermediate", "batch_size"],
}


def refuse(key, problem):
    """End Snakemake with one line about a key of the config."""
    # An exception would be printed with the place in the rules where it was raised, which helps nobody.
    sys.exit(" ".join(f"config error: {key}: {problem}".split()))


def check_schema(config, schema):
    """Hold the config against the schema, more strictly than JSON Schema: 64.0 is no integer, infinity no number."""
    checker = Draft202012Validator.TYPE_CHECKER.redefine_many(
        {
            "integer": lambda _, value: isinstance(value, int) and not isinstance(value, bool),
            "number": lambda _, value: isinstance(value, (int, float))
            and not isinstance(value, bool)
            and math.isfinite(value),
        }
    )
    validator = validators.extend(Draft202012Validator, type_checker=checker)(schema)
    # A typo makes two errors, an unknown key and a missing one; the one that names the right key comes first.
    errors = sorted(
        validator.iter_errors(config), key=lambda error: (nearest_keys(error) == {}, list(map(str, error.path)))
    )
    if errors:
        refuse(*explain(errors[0]))


def explain(error):
    """Turn an error of the schema into the key and what is wrong with it."""
    key = spell_key(error.absolute_path)
    if error.validator == "additionalProperties":
        unknown = unknown_keys(error)[0]
        return spell_key([*error.absolute_path, unknown]), (
            f"unknown key{suggest(nearest_keys(error).get(unknown))} Allowed: {', '.join(error.schema['properties'])}"
        )
    if error.validator == "required":
        missing = next(name for name in error.validator_value if name not in error.instance)
        near = difflib.get_close_matches(missing, map(str, error.instance), n=1)
        if near:
            return spell_key([*error.absolute_path, *near]), f"unknown key{suggest(missing)}"
        return key, f"the key {missing!r} is missing."
    if error.validator == "uniqueItems":
        twice = next(value for i, value in enumerate(error.instance) if value in error.instance[:i])
        return key, f"{twice!r} is given twice. Allowed: {describe(error.schema)}"
    return key, f"{shorten(error.instance)} is not allowed{guess(error)} Allowed: {describe(error.schema)}"


def guess(error):
    """Say what a text was probably meant to be."""
    value = error.instance
    if isinstance(value, str) and error.validator == "enum":
        return suggest(next(iter(difflib.get_close_matches(value, map(str, error.validator_value), n=1)), None))
    # YAML reads 1e-3 as text, and Snakemake every number inside a list or a dictionary of --config.
    if isinstance(value, str) and error.validator == "type":
        try:
            return f", it is text; in a config file, write {float(value):.12g} without quotes."
        except ValueError:
            pass
    return "."


def suggest(name):
    return f"; did you mean {name!r}?" if name else "."


def unknown_keys(error):
    return [key for key in error.instance if key not in error.schema["properties"]]


def nearest_keys(error):
    """Map the unknown keys of an error to allowed ones that they resemble."""
    if error.validator != "additionalProperties":
        return {}
    near = {key: difflib.get_close_matches(str(key), error.schema["properties"], n=1) for key in unknown_keys(error)}
    return {key: matches[0] for key, matches in near.items() if matches}


def describe(schema):
    """Say in words what a schema allows."""
    if "enum" in schema:
        return ", ".join(map(str, schema["enum"]))
    kind = schema.get("type")
    if "examples" in schema:
        return f"text such as {schema['examples'][0]}"
    if kind == "array":
        least = schema.get("minItems", 0)
        size = f"at least {least} " if least else ""
        different = ", each once" if schema.get("uniqueItems") else ""
        return f"a list of {size}items ({describe(schema['items'])}){different}"
    if kind in ("integer", "number"):
        bounds = {
            "minimum": "of at least",
            "exclusiveMinimum": "above",
            "maximum": "of at most",
            "exclusiveMaximum": "below",
        }
        limits = " and ".join(f"{words} {schema[bound]}" for bound, words in bounds.items() if bound in schema)
        return f"{'a whole number' if kind == 'integer' else 'a number'} {limits}".strip()
    if kind == "string":
        return "text of letters, digits, _ and -, beginning with a letter or digit" if "pattern" in schema else "text"
    if kind == "boolean":
        return "true or false"
    return "a section with keys of its own"


def spell_key(path):
    """Write the path of a key as in training.lr or models[0].widths."""
    return "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in path).lstrip(".")


def shorten(value):
    text = "an empty list" if value == [] else repr(value)
    return text if len(text) <= 80 else f"{text[:77]}..."


def check_names(key, items, reserved=()):
    """Refuse names given twice, and names that mean something else."""
    names = [item["name"] for item in items]
    for index, name in enumerate(names):
        if name in names[:index]:
            refuse(f"{key}[{index}].name", f"{name!r} is given twice. Allowed: a name that no other item has")
        if name in reserved:
            refuse(f"{key}[{index}].name", f"{name!r} has a meaning of its own. Allowed: any other name")


def check_training(key, training, epochs):
    """Refuse settings that contradict each other."""
    late = [epoch for epoch in training.get("checkpoints", []) if epoch > epochs]
    if late:
        refuse(f"{key}.checkpoints", f"{late[0]} is not allowed. Allowed: epochs up to training.epochs, {epochs}")
    if training["optimizer"] == "adam" and training["momentum"] > 0:
        refuse(f"{key}.momentum", f"{training['momentum']} is not allowed with optimizer adam. Allowed: 0")
    if training["nesterov"] and not training["momentum"]:
        refuse(f"{key}.nesterov", "true is not allowed without momentum. Allowed: false, or a momentum above 0")
    if training["milestones"] != sorted(training["milestones"]):
        refuse(f"{key}.milestones", f"{training['milestones']} is not allowed. Allowed: increasing epochs")


def check_networks(key, networks, experiments):
    for name in experiments:
        needed, purpose = NETWORKS_NEEDED[name]
        if len(networks) < needed:
            refuse(
                key, f"{networks} are too few for the experiment {name!r}. Allowed: at least {needed}, for {purpose}"
            )


def network_file(path, model, width):
    """The file that an item of `networks` means for a model and width."""
    return os.path.expanduser(path.replace("{model}", model).replace("{width}", str(width)))


def check_files(networks, models):
    """Refuse files of networks that are missing, or that would stand for several networks."""
    owner = {}
    for index, path in enumerate(networks):
        for model in models:
            for width in model["widths"]:
                file, network = network_file(path, model["name"], width), (index, model["name"], width)
                if not Path(file).is_file():
                    refuse(f"networks[{index}]", f"{file!r} is no file. Allowed: files that exist")
                if owner.setdefault(os.path.abspath(file), network) != network:
                    refuse(
                        f"networks[{index}]",
                        f"{file!r} would be several networks. Allowed: a file for each, by {{model}} and {{width}} in its"
                        " path where there are several models or widths",
                    )


def refuse_training(key, experiment):
    refuse(
        key,
        f"{experiment!r} trains networks, or needs checkpoints from their training, and not files from elsewhere."
        f" Allowed: {', '.join(name for name in NETWORKS_NEEDED if name not in NEED_TRAINING)}",
    )


def check_frames(frames, seeds):
    """Refuse options that mean nothing to a frame's algorithm or similarity."""
    for index, frame in enumerate(frames):
        allowed = FRAME_OPTIONS[frame["algorithm"]] + FRAME_OPTIONS[frame["similarity"]]
        for option in frame["options"]:
            if option not in allowed:
                refuse(
                    f"frames[{index}].options.{option}",
                    f"no option of {frame['algorithm']} by {frame['similarity']}. Allowed: {', '.join(allowed)}",
                )
        if frame["options"].get("to", seeds[0]) not in seeds:
            refuse(f"frames[{index}].options.to", f"{frame['options']['to']} is no seed. Allowed: one of {seeds}")


def check_widths(key, widths, models):
    """Refuse a width that no model has."""
    known = {width for model in models for width in model["widths"]}
    for index, width in enumerate(widths):
        if width not in known:
            allowed = ", ".join(map(str, sorted(known)))
            refuse(f"{key}.widths[{index}]", f"{width} is a width of no model. Allowed: {allowed}")


def check_embedding(embedding, models):
    """Refuse widths that no model has, and narrow ones that are not narrower or of no model that has the wide one."""
    wide = embedding["wide"]
    known = {width for model in models for width in model["widths"]}
    if wide not in known:
        refuse("embedding.wide", f"{wide} is a width of no model. Allowed: {', '.join(map(str, sorted(known)))}")
    below = sorted({width for model in models if wide in model["widths"] for width in model["widths"] if width < wide})
    for index, width in enumerate(embedding["narrow"]):
        if width not in below:
            allowed = ", ".join(map(str, below)) or f"none, so another embedding.wide than {wide}"
            refuse(
                f"embedding.narrow[{index}]",
                f"{width} is no smaller width of a model that has the width {wide}. Allowed: {allowed}",
            )


def check_transfer(first, second):
    """Refuse a second data set of another shape, or the first one again."""
    alike = next((group for group in ALIKE if first in group), (first,))
    if second["name"] not in alike:
        refuse(
            "transfer.data.name",
            f"{second['name']!r} has other images or classes than {first!r}. Allowed: {', '.join(alike)}",
        )
    if second == {"name": first, "variant": "none"}:
        refuse("transfer.data.variant", "'none' makes no second data set. Allowed: another variant, or another name")


def check_shared(shared, epochs):
    late = [epoch for epoch in shared if epoch >= epochs]
    if late:
        refuse("instability.epochs", f"{late[0]} is not allowed. Allowed: epochs below training.epochs, {epochs}")


def check_history(history, models, epochs):
    """Refuse widths of no model, and epochs that are never reached."""
    check_widths("history", history["widths"], models)
    late = [epoch for epoch in history["epochs"] if epoch > epochs]
    if late:
        refuse("history.epochs", f"{late[0]} is not allowed. Allowed: epochs up to training.epochs, {epochs}")


def check_kept(key, chosen, kept):
    """Refuse epochs whose checkpoints are not among those of the section `history`."""
    missing = sorted(set(chosen) - set(kept))
    if missing:
        allowed = ", ".join(map(str, sorted(set(kept))))
        refuse(key, f"{missing[0]} is no epoch of history.epochs. Allowed: {allowed}")


def check_pruning(pruning, tickets, transfer, experiments, epochs, points):
    if "sparsity" in experiments and (points - 1) % (pruning["points"] - 1):
        allowed = ", ".join(str(n + 1) for n in range(2, points) if (points - 1) % n == 0)
        refuse("pruning.points", f"{pruning['points']} is not allowed. Allowed with {points} barrier.points: {allowed}")
    if pruning["rewind"] >= epochs:
        refuse("pruning.rewind", f"{pruning['rewind']} is not allowed. Allowed: epochs below training.epochs, {epochs}")
    for name, key, levels in (
        ("tickets", "tickets.levels", tickets["levels"]),
        ("transfer_masks", "transfer.level", [transfer["level"]]),
    ):
        if name in experiments and max(levels) > pruning["levels"]:
            refuse(key, f"{max(levels)} is not allowed. Allowed: levels up to pruning.levels, {pruning['levels']}")


def check_folders(name, data_dir, results):
    """Refuse files where folders are needed, and a data folder that is neither there nor can be made."""
    folder = Path(data_dir).expanduser()
    if name == "image_folder" and not folder.is_dir():
        refuse("data.data_dir", f"{data_dir!r} is no folder. Allowed: the folder that holds a folder for each class")
    if folder.exists() and not folder.is_dir():
        refuse("data.data_dir", f"{data_dir!r} is a file. Allowed: a folder, or a new one in a folder that exists")
    if not folder.absolute().parent.is_dir():
        refuse("data.data_dir", f"{data_dir!r} does not exist. Allowed: a folder, or a new one in a folder that exists")
    for path in (
        results.parent,
        results,
        *(results / name for name in ("networks", "permutations", "frames", "measurements")),
    ):
        if path.exists() and not path.is_dir():
            refuse(
                "study", f"{str(path)!r} is a file, and results go into a folder of that name. Allowed: another name"
            )


def check(config):
    """Check the whole config, and set the defaults of what it leaves out."""
    schema_file = workflow.source_path("../schemas/config.schema.yaml")
    with open(schema_file, encoding="utf-8") as stream:
        check_schema(config, yaml.safe_load(stream))
    validate(config, schema=schema_file)
    if config["transfer"]["data"]["name"] == "same":
        config["transfer"]["data"]["name"] = config["data"]["name"]
    check_names("models", config["models"])
    check_names("matching", config["matching"], reserved=("none", "unpermuted", "random"))
    check_names(
        "frames",
        config["frames"],
        reserved=("none", "unpermuted", "random", *(method["name"] for method in config["matching"])),
    )
    check_frames(config["frames"], config["seeds"])
    training = config["training"]
    check_training("training", training, training["epochs"])
    for index, model in enumerate(config["models"]):
        check_training(f"models[{index}].training", {**training, **model["training"]}, training["epochs"])
    if config["networks"]:
        check_files(config["networks"], config["models"])
        for index, name in enumerate(config["experiments"]):
            if name in NEED_TRAINING:
                refuse_training(f"experiments[{index}]", name)
        check_networks("networks", config["networks"], config["experiments"])
        config["seeds"] = list(range(len(config["networks"])))
    check_networks("seeds", config["seeds"], config["experiments"])
    for name in ("simplex", "consensus", "instability", "correction", "cycles"):
        if name in config["experiments"]:
            check_widths(name, config[name]["widths"], config["models"])
    if {"transfer", "transfer_masks"} & set(config["experiments"]):
        check_widths("transfer", config["transfer"]["widths"], config["models"])
        check_transfer(config["data"]["name"], config["transfer"]["data"])
    if "embedding" in config["experiments"]:
        check_embedding(config["embedding"], config["models"])
    if "instability" in config["experiments"]:
        check_shared(config["instability"]["epochs"], training["epochs"])
    if min(config["history"]["epochs"]) >= training["epochs"]:
        refuse("history.epochs", f"no epoch lies before the last. Allowed: one below {training['epochs']} among them")
    if set(OF_HISTORY) & set(config["experiments"]):
        check_history(config["history"], config["models"], training["epochs"])
    if "layers" in config["experiments"]:
        earlier = [epoch for epoch in config["history"]["epochs"] if epoch < training["epochs"]]
        check_kept("layers.epochs", config["layers"]["epochs"], earlier)
    if "superposition" in config["experiments"]:
        for index, chosen in enumerate(config["superposition"]["sets"]):
            check_kept(f"superposition.sets[{index}]", chosen, [*config["history"]["epochs"], training["epochs"]])
    if {"pruning", "sparsity", "tickets"} & set(config["experiments"]):
        check_widths("pruning", config["pruning"]["widths"], config["models"])
    if {"pruning", "sparsity", "tickets", "transfer_masks"} & set(config["experiments"]):
        points = config["barrier"]["points"]
        sections = (config["pruning"], config["tickets"], config["transfer"])
        check_pruning(*sections, config["experiments"], training["epochs"], points)
    check_folders(config["data"]["name"], config["data"]["data_dir"], Path("results", config["study"]))
