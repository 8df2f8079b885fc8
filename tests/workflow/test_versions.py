"""What each experiment measures and tabulates, held against its version: whoever changes the one raises the other.

`ONEBASIN_GOLDEN=write pytest tests/workflow/test_versions.py` writes the results anew, after a version was raised.
"""

import json
import math
import os
from pathlib import Path

import pytest

from onebasin import tables
from onebasin.experiments import rooms

GOLDEN = Path(__file__).with_name("versions.json")
# What differs from run to run.
UNSTEADY = ("seconds", "memory")


def summary(path, name):
    """The number of rows of a table, and the mean of each column of numbers."""
    columns = {}
    for row in tables.rows(path, name):
        for column, value in row.items():
            if isinstance(value, float) and math.isfinite(value) and column not in UNSTEADY:
                columns.setdefault(column, []).append(value)
    rows = sum(1 for _ in tables.rows(path, name))
    return {"rows": rows, "means": {column: sum(values) / len(values) for column, values in columns.items()}}


@pytest.fixture(scope="module")
def today(study, history, pruned, transport):
    places = [place.results for place in (study, history[0], pruned, transport[0])]
    found = {}
    for name, room in rooms().items():
        path = next(place / f"tables/{name}.csv" for place in places if (place / f"tables/{name}.csv").exists())
        found[name] = {"version": room.version, **summary(path, name)}
    if os.environ.get("ONEBASIN_GOLDEN") == "write":
        GOLDEN.write_text(json.dumps(found, indent=1) + "\n")
    return found


@pytest.mark.parametrize("name", rooms())
def test_an_experiment_measures_what_its_version_says(today, name):
    now, then = today[name], json.loads(GOLDEN.read_text())[name]
    assert now["version"] == then["version"], "after raising a version, write the results anew"
    assert now["rows"] == then["rows"] and now["means"].keys() == then["means"].keys()
    for column, mean in then["means"].items():
        # Other processors round otherwise, and training magnifies that.
        same = now["means"][column] == pytest.approx(mean, rel=0.02, abs=2e-3)
        assert same, f"the mean of {column} was {mean} and is {now['means'][column]}: raise VERSION of {name}"
