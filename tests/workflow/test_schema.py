"""The schema says the same as the library, the default study and the environments."""

import dataclasses
import re
from pathlib import Path

import yaml

from onebasin import data, match, models, prune, repair, train
from onebasin.experiments import rooms
from onebasin.match import activation_matching, weight_matching
from workflow import validation
from workflow.validation import TEXTS

ROOT = Path(__file__).parents[2]
SCHEMA = validation.schema(ROOT)
DEFS = SCHEMA["$defs"]
CONFIG = yaml.safe_load((ROOT / "config.yaml").read_text())


def resolved(schema):
    if schema.get("$ref", "").startswith("#/$defs/"):
        return {**DEFS[schema["$ref"].removeprefix("#/$defs/")], **schema}
    return schema


def leaves(schema, path=()):
    """Every key with its schema, down to those that have none below them."""
    for name, inner in schema.get("properties", {}).items():
        inner = resolved(inner)
        yield (*path, name), inner
        yield from leaves(inner, (*path, name))


def sections():
    yield (), SCHEMA
    yield from leaves(SCHEMA)
    for name in ("mlp", "cnn", "fixed_plan", "own", "weights", "activations", "frame"):
        yield (name,), DEFS[name]
        yield from leaves(DEFS[name], (name,))


def test_every_key_is_described_and_bounded():
    for path, schema in sections():
        if path == () or len(path) == 1 and path[0] in DEFS:
            continue
        assert schema.get("description"), path
        for one in schema.get("anyOf", [schema]):
            kind = "string" if "enum" in one else one["type"]
            if kind in ("integer", "number"):
                assert {"minimum", "exclusiveMinimum"} & one.keys(), path
            elif kind == "string":
                assert {"enum", "pattern", "minLength"} & one.keys(), path
            else:
                assert kind in ("array", "object", "boolean"), path


def test_no_section_takes_unknown_keys():
    # What the user's own function takes is not known here; other sections of the config are looked at by themselves.
    objects = [
        (path, schema)
        for path, schema in sections()
        if schema.get("type") == "object" and path[-1:] != ("options",) and "$ref" not in schema
    ]
    assert len(objects) > 5
    for path, schema in objects:
        assert schema.get("additionalProperties") is False, path


def test_config_yaml_has_a_default_for_every_key_and_the_schema_for_those_of_models_and_methods():
    needed = {"name", "family", "factory", "widths", "algorithm"}
    for path, schema in leaves(SCHEMA):
        value = CONFIG
        for name in path:
            value = value[name]
        assert "default" not in schema, path
    for name in ("mlp", "cnn", "fixed_plan", "own", "weights", "activations", "frame"):
        for key, schema in DEFS[name]["properties"].items():
            assert ("default" in schema) == (key not in needed), (name, key)


def test_config_yaml_has_no_key_that_the_schema_does_not_know():
    known = {path for path, _ in leaves(SCHEMA)}
    for section, value in CONFIG.items():
        assert (section,) in known
        assert not isinstance(value, dict) or all((section, key) in known for key in value)


def test_models_and_methods_of_config_yaml_name_every_option():
    for model in CONFIG["models"]:
        assert model.keys() | {"training", "asymmetric"} == DEFS[model["family"]]["properties"].keys()
    for frame in CONFIG["frames"]:
        assert frame.keys() == DEFS["frame"]["properties"].keys()
    for method in CONFIG["matching"]:
        assert method.keys() == DEFS[method["algorithm"]]["properties"].keys()


def test_enumerations_are_those_of_the_library():
    training = SCHEMA["properties"]["training"]["properties"]
    assert set(DEFS["family"]["enum"]) == set(models.FAMILIES)
    assert set(DEFS["norm"]["enum"]) == set(models.NORMS)
    assert set(SCHEMA["properties"]["data"]["properties"]["name"]["enum"]) == set(data.DATASETS)
    assert set(DEFS["algorithm"]["enum"]) == set(match.METHODS)
    assert set(DEFS["frame"]["properties"]["algorithm"]["enum"]) == set(match.FRAMES)
    assert set(DEFS["weights"]["properties"]["kernel"]["enum"]) == set(weight_matching.KERNELS)
    assert set(DEFS["activations_kernel"]["enum"]) == set(activation_matching.KERNELS)
    assert set(DEFS["intermediate"]["enum"]) == set(activation_matching.INTERMEDIATES)
    assert SCHEMA["properties"]["pruning"]["properties"]["strategy"]["enum"] == list(prune.STRATEGIES)
    barrier, correction = (SCHEMA["properties"][name]["properties"] for name in ("barrier", "correction"))
    of_tasks = SCHEMA["properties"]["nonlocal"]["properties"]["corrections"]["items"]["enum"]
    assert of_tasks == list(repair.CORRECTIONS)
    # Networks of one task have no other expert than themselves.
    without = [name for name in of_tasks if name != "task"]
    assert barrier["correction"]["enum"] == correction["corrections"]["items"]["enum"] == without
    parts = SCHEMA["properties"]["data"]["properties"]["parts"]["properties"]["by"]["enum"]
    assert parts == ["none", *data.DIVISIONS] and DEFS["parts"]["properties"]["by"]["enum"] == ["whole", *parts[1:]]
    second = SCHEMA["properties"]["transfer"]["properties"]["data"]["properties"]
    assert set(resolved(second["name"])["enum"]) == {"same", *data.DATASETS} - {*TEXTS, "file"}
    assert second["variant"]["enum"] == list(data.VARIANTS)
    assert set(resolved(training["optimizer"])["enum"]) == set(train.OPTIMIZERS)
    assert set(resolved(training["schedule"])["enum"]) == set(train.SCHEDULES)
    assert set(resolved(training["augment"])["enum"]) == set(train.AUGMENTATIONS)
    assert set(resolved(training["warmup_unit"])["enum"]) == set(train.WARMUP_UNITS)
    assert set(resolved(training["precision"])["enum"]) == set(train.PRECISIONS)


def test_experiments_and_their_sections_are_those_of_their_modules():
    assert SCHEMA["properties"]["experiments"]["items"]["enum"] == list(rooms())
    for name, room in rooms().items():
        assert (name in SCHEMA["properties"]) == bool(room.settings or name == "pruning")


def test_training_keys_are_the_settings_of_the_library():
    keys = SCHEMA["properties"]["training"]["properties"]
    fields = {field.name: field.default for field in dataclasses.fields(train.Settings)}
    assert keys.keys() - {"checkpoints"} == fields.keys()
    assert DEFS["training_of_one_model"]["properties"].keys() == fields.keys() - {"epochs"}
    # What a study must choose has the values of the default study; everything else does nothing unless asked for.
    for name, default in fields.items() - {("epochs", 30), ("lr", 0.001)}:
        assert CONFIG["training"][name] == (list(default) if isinstance(default, tuple) else default), name


def pins(lines):
    return dict(re.findall(r"^[ -]*([A-Za-z][\w.-]*)==(\S+)$", lines, re.M))


def test_the_environment_is_in_step_with_the_requirements():
    requirements = pins((ROOT / "requirements.txt").read_text())
    constraints = pins((ROOT / "constraints.txt").read_text())
    environment = pins((ROOT / "envs/onebasin.yaml").read_text())
    assert requirements.items() <= constraints.items()
    assert environment.items() <= requirements.items()
    needed = re.findall(r'^ {4}"([\w-]+)', (ROOT / "pyproject.toml").read_text(), re.M)
    assert environment.keys() == set(needed)
