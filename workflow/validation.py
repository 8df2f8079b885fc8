"""The check of a config, before any job: one line says which key is wrong and what is allowed."""

from __future__ import annotations

import copy
import difflib
import functools
import math
import os
import sys
from collections.abc import Callable, Container, Iterator, Mapping, Sequence, Set
from pathlib import Path
from typing import Any, NoReturn

import yaml
from jsonschema import Draft202012Validator, validators
from jsonschema.exceptions import ValidationError

from onebasin.experiments import TEXTS, Room, rooms

Config = dict[str, Any]
Schema = Mapping[str, Any]

# Sets of networks, and stages, for which files from elsewhere can stand; all others need the training of the study.
FROM_ELSEWHERE = {"last", "narrow"}


DEFAULTS = Path(__file__).resolve().parents[1] / "config.yaml"

# The loader in C takes a tenth of the time, where PyYAML was built with it.
LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def refuse(key: str, problem: str) -> NoReturn:
    """End Snakemake with one line about a key of the config."""
    # An exception would be printed with the place in the rules where it was raised, which helps nobody.
    sys.exit(" ".join(f"config error: {key}: {problem}".split()))


def read(path: Path) -> Config:
    """Return what a YAML file says."""
    found: Config = yaml.load(path.read_text(encoding="utf-8"), LOADER)
    return found


def schema(root: Path) -> Config:
    """Return the schema of a config, with the names and sections of the experiments.

    Args:
        root: the folder of the Snakefile.
    """
    found: Config = read(root / "workflow/schemas/config.schema.yaml")
    found["properties"]["experiments"]["items"]["enum"] = list(rooms())
    for room in rooms().values():
        if room.settings:
            found["properties"][room.name] = {
                "description": f"The experiment `{room.name}`. {room.question}",
                "type": "object",
                "additionalProperties": False,
                "properties": dict(room.settings),
            }
    return found


def complete(config: Config, defaults: Mapping[str, Any]) -> None:
    """Fill in, in place, the keys that a config leaves out, section by section."""
    for key, value in defaults.items():
        if key not in config:
            config[key] = copy.deepcopy(value)
        elif isinstance(value, Mapping):
            complete(config[key], value)


def check(config: Config, root: Path, folders: Sequence[Path] = (Path(),)) -> None:
    """Check the whole config, and fill in the defaults of what it leaves out: those of config.yaml.

    Args:
        config: is changed in place.
        root: the folder of the Snakefile.
        folders: where files of the user's own are looked for: where Snakemake runs, then beside the config files.
    """
    everything = schema(root)
    check_schema(config, everything)
    complete(config, read(root / "config.yaml"))
    check_schema(config, everything, fill=True)
    check_names("models", config["models"])
    check_names("matching", config["matching"], reserved=("none", "unpermuted", "random"))
    matching = [method["name"] for method in config["matching"]]
    check_names("frames", config["frames"], reserved=("none", "unpermuted", "random", *matching))
    check_names("butterfly.matching", config["butterfly"]["matching"], reserved=("none", *matching))
    training, chosen = config["training"], [rooms()[name] for name in config["experiments"]]
    check_training("training", training, everything)
    for index, model in enumerate(config["models"]):
        check_training(f"models[{index}].training", {**training, **model["training"]}, everything)
        for section in ("butterfly", "transience"):
            own = {**training, **model["training"], "checkpoints": [], **config[section]["training"]}
            check_training(f"{section}.training", own, everything)
    if config["data"]["name"] in TEXTS:
        check_text(config)
    if "file" in (config["data"]["name"], config["transfer"]["data"]["name"]):
        path = config["data"]["path"]
        config["data"]["path"] = locate(path, folders) or refuse("data.path", _missing(path, folders))
    if config["networks"]:
        for index, model in enumerate(config["models"]):
            if model["asymmetric"]["share"]:
                refuse(
                    f"models[{index}].asymmetric",
                    "is of training, not with networks from elsewhere. Allowed: a share of 0",
                )
        if config["data"]["parts"]["by"] != "none":
            refuse("data.parts.by", "is of training, not with networks from elsewhere. Allowed: none")
        check_files(config["networks"], config["models"], folders)
        for index, room in enumerate(chosen):
            if trains(room):
                refuse_training(f"experiments[{index}]", room.name)
        check_networks("networks", config["networks"], chosen)
        config["seeds"] = list(range(len(config["networks"])))
    check_networks("seeds", config["seeds"], chosen)
    for index, frame in enumerate(config["frames"]):
        to = frame["options"].get("to", config["seeds"][0])
        if to not in config["seeds"]:
            refuse(f"frames[{index}].options.to", f"{to} is no seed. Allowed: one of {config['seeds']}")
    if min(config["history"]["epochs"]) >= training["epochs"]:
        refuse("history.epochs", f"no epoch lies before the last. Allowed: one below {training['epochs']} among them")
    for room in chosen:
        check_experiment(config, room)
    others = [config[section]["data"] for section in ("transfer", "butterfly", "transience")]
    for given in (*others, *config["nonlocal"]["tasks"]):
        given |= {key: config["data"][key] for key, value in given.items() if value == "same"}
    check_folders(config["data"]["name"], config["data"]["data_dir"], Path("results", config["study"]))


def check_experiment(config: Config, room: Room) -> None:
    """Refuse widths that no model has, epochs that are never reached, and what the experiment itself refuses.

    Of defaults, what does not fit the study is dropped, in place, as long as something remains.
    """
    section, _, key = room.needs.widths.partition(".")
    epochs = config["training"]["epochs"]
    if key == "widths":
        drop_defaults(config, section, "widths", {width for model in config["models"] for width in model["widths"]})
        check_widths(config, section)
    used = {*room.needs.states, *room.needs.permutations}
    if section == "history":
        drop_defaults(config, section, "epochs", range(epochs + 1))
        late = [epoch for epoch in config["history"]["epochs"] if epoch > epochs]
        if late:
            refuse("history.epochs", f"{late[0]} is not allowed. Allowed: epochs up to training.epochs, {epochs}")
    if used & {"levels", "ticket_levels", "tickets", "second_tickets"} and config["pruning"]["rewind"] >= epochs:
        rewind = config["pruning"]["rewind"]
        refuse_setting(
            config, "pruning.rewind", f"{rewind} is not allowed. Allowed: epochs below training.epochs, {epochs}"
        )
    for wrong, problem in room.check(config):
        refuse_setting(config, wrong, problem)


def drop_defaults(config: Config, section: str, key: str, fitting: Container[int]) -> None:
    """Drop, in place, what does not fit of a list that nobody wrote, as long as something remains."""
    if is_default(config, section, key):
        config[section][key] = [item for item in config[section][key] if item in fitting] or config[section][key]


def is_default(config: Config, section: str, key: str) -> bool:
    """Return whether a setting is that of config.yaml; what is no section of keys is nobody's default."""
    given, default = config.get(section), _defaults().get(section)
    return isinstance(given, Mapping) and isinstance(default, Mapping) and given.get(key) == default.get(key)


@functools.cache
def _defaults() -> Config:
    return read(DEFAULTS)


def refuse_setting(config: Config, key: str, problem: str) -> NoReturn:
    """Refuse a setting of a section, and say so where nobody wrote it."""
    section, _, rest = key.partition(".")
    name = rest.partition("[")[0]
    ending = f" (config.yaml says so; set {section}: {{{name}: ...}})" if is_default(config, section, name) else ""
    refuse(key, problem + ending)


def trains(room: Room) -> bool:
    """Whether an experiment trains networks of its own, or needs checkpoints from the training of the others."""
    return not {*room.needs.states, *room.needs.permutations, *room.needs.masks} <= FROM_ELSEWHERE


def check_schema(config: Any, schema: Schema, key: str = "", *, fill: bool = False) -> None:
    """Hold a config against a schema, more strictly than JSON Schema: 64.0 is no integer, infinity no number.

    Args:
        config: what is checked.
        schema: the schema.
        key: the key under which it stands in the whole config.
        fill: set the defaults of models and methods that are left out, in place.
    """
    checker = Draft202012Validator.TYPE_CHECKER.redefine_many(
        {
            "integer": lambda _, value: isinstance(value, int) and not isinstance(value, bool),
            "number": lambda _, value: (
                isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
            ),
        }
    )
    changes = {"properties": _filling} if fill else {}
    validator = validators.extend(Draft202012Validator, changes, type_checker=checker)(schema)
    # A typo makes two errors, an unknown key and a missing one; the one that names the right key comes first.
    errors = sorted(
        validator.iter_errors(config), key=lambda error: (nearest_keys(error) == {}, list(map(str, error.path)))
    )
    if errors:
        wrong, problem = explain(errors[0])
        refuse(".".join(part for part in (key, wrong) if part), problem)


def _filling(
    validator: Any, properties: Mapping[str, Schema], instance: Any, schema: Schema
) -> Iterator[ValidationError]:
    if isinstance(instance, dict):
        for name, inner in properties.items():
            if "default" in inner:
                instance.setdefault(name, copy.deepcopy(inner["default"]))
    check_properties: Callable[..., Iterator[ValidationError]] = Draft202012Validator.VALIDATORS["properties"]
    yield from check_properties(validator, properties, instance, schema)


def explain(error: ValidationError) -> tuple[str, str]:
    """Turn an error of the schema into the key and what is wrong with it."""
    path = list(error.absolute_path)
    key = spell_key(path)
    if "propertyNames" in error.absolute_schema_path:
        allowed = ", ".join(error.validator_value)
        return spell_key([*path, error.instance]), f"not allowed with the other keys. Allowed: {allowed}"
    if error.validator == "additionalProperties":
        unknown = unknown_keys(error)[0]
        near = nearest_keys(error).get(unknown)
        allowed = "" if near else f" Allowed: {', '.join(error.schema['properties'])}"
        return spell_key([*path, unknown]), f"unknown key{suggest(near)}{allowed}"
    if error.validator == "required":
        missing = next(name for name in error.validator_value if name not in error.instance)
        written = difflib.get_close_matches(missing, map(str, error.instance), n=1)
        if written:
            return spell_key([*path, *written]), f"unknown key{suggest(missing)}"
        return key, f"the key {missing!r} is missing."
    if error.validator == "uniqueItems":
        twice = next(value for i, value in enumerate(error.instance) if value in error.instance[:i])
        return key, f"{twice!r} is given twice. Allowed: {describe(error.schema)}"
    return key, f"{shorten(error.instance)} is not allowed{guess(error)} Allowed: {describe(error.schema)}"


def guess(error: ValidationError) -> str:
    """Say what a text was probably meant to be."""
    value = error.instance
    if isinstance(value, str) and error.validator == "enum":
        return suggest(next(iter(difflib.get_close_matches(value, map(str, error.validator_value), n=1)), None))
    if error.validator == "type" and error.schema["type"] == "array" and isinstance(value, str | int | float):
        return f"; for a list of one, write [{spell(value)}]."
    if error.validator == "type" and error.schema["type"] == "string" and isinstance(value, bool):
        return ", as YAML reads yes, no, on and off, too; for text, write it in quotes."
    # YAML reads 1e-3 as text, and Snakemake every number inside a list or a dictionary of --config.
    if isinstance(value, str) and error.validator == "type":
        try:
            return f", it is text; in a config file, write {float(value):.12g} without quotes."
        except ValueError:
            pass
    return f". {error.schema['description']}" if error.validator == "const" else "."


def suggest(name: str | None) -> str:
    """Ask whether a name was meant."""
    return f"; did you mean {name!r}?" if name else "."


def unknown_keys(error: ValidationError) -> list[str]:
    """Return the keys of a section that its schema does not know."""
    return [key for key in error.instance if key not in error.schema["properties"]]


def nearest_keys(error: ValidationError) -> dict[str, str]:
    """Map the unknown keys of an error to allowed ones that they resemble."""
    if error.validator != "additionalProperties":
        return {}
    near = {key: difflib.get_close_matches(str(key), error.schema["properties"], n=1) for key in unknown_keys(error)}
    return {key: matches[0] for key, matches in near.items() if matches}


def spell(value: Any) -> str:
    """Write a value as YAML does."""
    return str(value).lower() if isinstance(value, bool) else str(value)


def describe(schema: Schema) -> str:
    """Say in words what a schema allows."""
    if "anyOf" in schema:
        return " or ".join(describe(part) for part in schema["anyOf"])
    if "const" in schema:
        return spell(schema["const"])
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
    if kind == "object" and "required" in schema:
        return f"a section with {' and '.join(schema['required'])}"
    return "a section with keys of its own"


def spell_key(path: Sequence[str | int]) -> str:
    """Write the path of a key as in training.lr or models[0].widths."""
    return "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in path).lstrip(".")


def shorten(value: Any) -> str:
    """Write a value in at most 80 characters."""
    text = "an empty list" if value == [] else repr(value)
    return text if len(text) <= 80 else f"{text[:77]}..."


def check_names(key: str, items: Sequence[Mapping[str, Any]], reserved: Sequence[str] = ()) -> None:
    """Refuse names given twice, and names that mean something else."""
    names = [item["name"] for item in items]
    for index, name in enumerate(names):
        if name in names[:index]:
            refuse(f"{key}[{index}].name", f"{name!r} is given twice. Allowed: a name that no other item has")
        if name in reserved:
            refuse(f"{key}[{index}].name", f"{name!r} has a meaning of its own. Allowed: any other name")


def check_training(key: str, training: Mapping[str, Any], everything: Schema) -> None:
    """Refuse settings that contradict each other, those of a model together with those of the study."""
    rules = {**everything["$defs"]["consistent_training"], "$defs": everything["$defs"]}
    check_schema(dict(training), rules, key)
    epochs = training["epochs"]
    late = [epoch for epoch in training["checkpoints"] if epoch > epochs]
    if late:
        refuse(f"{key}.checkpoints", f"{late[0]} is not allowed. Allowed: epochs up to training.epochs, {epochs}")
    if training["milestones"] != sorted(training["milestones"]):
        refuse(f"{key}.milestones", f"{training['milestones']} is not allowed. Allowed: increasing epochs")


def check_text(config: Config) -> None:
    """Refuse what text cannot go through: families of models for images, and what is done to images in training."""
    name = config["data"]["name"]
    if isinstance(config["data"]["normalise"], Mapping):
        refuse("data.normalise", f"mean and std are of images, and {name!r} is text. Allowed: none")
    if config["data"]["label_noise"]:
        refuse("data.label_noise", f"wrong labels are of images, and {name!r} is text. Allowed: 0")
    by = config["data"]["parts"]["by"]
    if by not in ("none", "equal"):
        refuse("data.parts.by", f"{by!r} divides classes, and {name!r} is text. Allowed: none, equal")
    for index, model in enumerate(config["models"]):
        if "family" in model:
            family = model["family"]
            refuse(f"models[{index}].family", f"{family!r} is for images, and {name!r} is text. Allowed: a factory")
        for key, training in (("training", config["training"]), (f"models[{index}].training", model["training"])):
            for setting, allowed in (("augment", "none"), ("channels_last", False)):
                if training.get(setting, allowed) != allowed:
                    refuse(
                        f"{key}.{setting}",
                        f"{spell(training[setting])} is for images, and {name!r} is text. Allowed: {spell(allowed)}",
                    )


def check_matched(room: Room, needed: Set[Set[int]], matched: Sequence[tuple[int, int]]) -> None:
    """Refuse an experiment that was asked for by its name alone, and needs pairs that are not matched."""
    if needed - set(map(frozenset, matched)):
        refuse(
            "experiments",
            f"{room.name!r} needs permutations of pairs that no experiment in this list needs. Allowed: with "
            f"{room.name!r} in the list, or with paths.weak: all",
        )


def check_networks(key: str, networks: Sequence[Any], chosen: Sequence[Room]) -> None:
    """Refuse fewer networks than an experiment needs."""
    for room in chosen:
        needed, purpose = room.needs.networks, room.needs.purpose
        if len(networks) < needed:
            refuse(
                key,
                f"{networks} are too few for the experiment {room.name!r}. Allowed: at least {needed}, for {purpose}",
            )


def locate(path: str, folders: Sequence[Path]) -> str | None:
    """Return a file of the user's own, which is looked for where Snakemake runs, then beside the config files."""
    plain = os.path.expanduser(path)
    return next((file for file in [plain, *(str(folder / plain) for folder in folders)] if Path(file).is_file()), None)


def _missing(path: str, folders: Sequence[Path]) -> str:
    return f"{path!r} is no file in {' or '.join(map(str, folders))}. Allowed: files that exist"


def network_file(path: str, model: str, width: int | str) -> str:
    """Return what an item of `networks` says for a model and width."""
    return path.replace("{model}", model).replace("{width}", str(width))


def check_files(networks: Sequence[str], models: Sequence[Mapping[str, Any]], folders: Sequence[Path]) -> None:
    """Refuse files of networks that are missing, or that would stand for several networks."""
    owner: dict[str, tuple[int, str, int]] = {}
    for index, path in enumerate(networks):
        for model in models:
            for width in model["widths"]:
                named, network = network_file(path, model["name"], width), (index, model["name"], width)
                file = locate(named, folders)
                if file is None:
                    refuse(f"networks[{index}]", _missing(named, folders))
                if owner.setdefault(os.path.abspath(file), network) != network:
                    refuse(
                        f"networks[{index}]",
                        f"{file!r} would be several networks. Allowed: a file for each, by {{model}} and {{width}} in "
                        "its path where there are several models or widths",
                    )


def refuse_training(key: str, experiment: str) -> NoReturn:
    """Refuse an experiment for which files from elsewhere are not enough."""
    allowed = ", ".join(name for name, room in rooms().items() if not trains(room))
    refuse(
        key,
        f"{experiment!r} trains networks, or needs checkpoints from their training, and not files from elsewhere."
        f" Allowed: {allowed}",
    )


def check_widths(config: Config, section: str) -> None:
    """Refuse a width that no model has."""
    known = {width for model in config["models"] for width in model["widths"]}
    for index, width in enumerate(config[section]["widths"]):
        if width not in known:
            allowed = ", ".join(map(str, sorted(known)))
            key, problem = f"{section}.widths[{index}]", f"{width} is a width of no model. Allowed: {allowed}"
            refuse_setting(config, key, problem)


def check_folders(name: str, data_dir: str, results: Path) -> None:
    """Refuse files where folders are needed, and a data folder that is neither there nor can be made."""
    folder = Path(data_dir).expanduser()
    if name == "image_folder" and not folder.is_dir():
        refuse("data.data_dir", f"{data_dir!r} is no folder. Allowed: the folder that holds a folder for each class")
    if name == "text_folder" and not folder.is_dir():
        refuse("data.data_dir", f"{data_dir!r} is no folder. Allowed: the folder that holds the text, as .txt files")
    if folder.exists() and not folder.is_dir():
        refuse("data.data_dir", f"{data_dir!r} is a file. Allowed: a folder, or a new one in a folder that exists")
    if not folder.absolute().parent.is_dir():
        refuse("data.data_dir", f"{data_dir!r} does not exist. Allowed: a folder, or a new one in a folder that exists")
    parts = ("networks", "permutations", "frames", "measurements", "tables", "figures")
    for path in (results.parent, results, *(results / part for part in parts)):
        if path.exists() and not path.is_dir():
            refuse(
                "study", f"{str(path)!r} is a file, and results go into a folder of that name. Allowed: another name"
            )
