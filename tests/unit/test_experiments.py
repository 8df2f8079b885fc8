"""What holds for every experiment."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from jsonschema import Draft202012Validator

from onebasin.columns import NUMBER, TEXT, WHOLE
from onebasin.experiments import SECTIONS, Counts, rooms

ROOT = Path(__file__).parents[2]
CONFIG = yaml.safe_load((ROOT / "config.yaml").read_text(encoding="utf-8"))
ROOMS = list(rooms().values())

every = pytest.mark.parametrize("room", ROOMS, ids=[room.name for room in ROOMS])


@every
def test_it_asks_a_question_and_explains_its_figure(room):
    assert room.question.endswith("?") and room.question.count("?") == 1 and len(room.question) <= 100
    caption = room.caption.format(**CONFIG)
    assert caption.endswith(".") and len(caption) > 100 and "{" not in caption
    assert room.category in SECTIONS


@every
def test_its_settings_stand_in_the_config_and_obey_their_schemas(room):
    section = CONFIG.get(room.name, {})
    # The section `pruning` is that of a stage which several experiments look at.
    assert section.keys() == room.settings.keys() or room.name == "pruning"
    for key, schema in room.settings.items():
        Draft202012Validator.check_schema(schema)
        assert schema["description"].endswith(".") and "default" not in schema
        if "$ref" not in json.dumps(schema):
            Draft202012Validator(schema).validate(section[key])


@every
def test_its_columns_have_types_and_meanings_and_no_name_twice(room):
    for columns in (*room.tables.values(), room.measured):
        names = [column.name for column in columns]
        assert len(names) == len(set(names))
        assert all(column.type in (TEXT, WHOLE, NUMBER) and column.meaning for column in columns)
        assert names[:2] == ["model", "width"] or room.name == "scaling"
        assert ("method" in names) == ("algorithm" in names) == ("compared" in names)


@every
def test_its_needs_name_keys_of_the_config(room):
    for key in filter(None, (room.needs.widths, room.needs.points)):
        section, _, name = key.partition(".")
        assert name in CONFIG[section]
    assert set(room.needs.unread) <= {"widths"} | CONFIG.get(room.name, {}).keys()
    for source in room.gathers:
        assert source.removeprefix("table ") in {*rooms(), "matching", "frame"}


@every
def test_its_work_grows_with_the_networks(room):
    if not room.measures:
        return
    few, many = (
        Counts(count, count * (count - 1) // 2, count * (count - 1) * (count - 2) // 2, 2, 1, 1, 4 * count, 4, 3)
        for count in (4, 10)
    )
    settings = {**CONFIG["barrier"], **CONFIG.get(room.name, {})}
    for key in (room.needs.widths, room.needs.points):
        section, _, name = (key or "").partition(".")
        settings |= {name: CONFIG[section][name]} if name else {}
    less, more = room.work(settings, few), room.work(settings, many)
    assert json.dumps(less) and less.keys() == more.keys()
    numbers = [key for key, value in less.items() if isinstance(value, (int, float))]
    assert all(0 <= less[key] <= more[key] for key in numbers)


def test_reading_all_of_them_imports_nothing_heavy():
    code = (
        "import sys; from onebasin.experiments import rooms; rooms();"
        "assert not {'torch', 'numpy', 'pandas', 'matplotlib', 'scipy'} & sys.modules.keys()"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
