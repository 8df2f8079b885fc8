"""What each experiment measures and tabulates, held against its version: whoever changes the one raises the other.

Processors round otherwise, and training magnifies that until a unit is matched to another one. So results are kept as
they came on several, and those of today are near one of them. `ONEBASIN_GOLDEN=write pytest
tests/workflow/test_versions.py` writes those of experiments whose version was raised, and of new ones;
`ONEBASIN_GOLDEN=add` adds all others of a processor that is new, after the same commit passed on another one.
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
    if how := os.environ.get("ONEBASIN_GOLDEN"):
        known = json.loads(GOLDEN.read_text())
        for name, now in found.items():
            if name not in known or known[name]["version"] != now["version"]:
                known[name] = {**now, "means": [now["means"]]}
            elif how == "add" and not any(near(now["means"], means) for means in known[name]["means"]):
                known[name]["means"].append(now["means"])
        GOLDEN.write_text(json.dumps(known, indent=1) + "\n")
    return found


def near(now, then):
    """Whether the means of all columns are those of then, but for rounding."""
    return now == {column: pytest.approx(mean, rel=0.02, abs=2e-3) for column, mean in then.items()}


@pytest.mark.parametrize("name", rooms())
def test_an_experiment_measures_what_its_version_says(today, name):
    now, then = today[name], json.loads(GOLDEN.read_text())[name]
    assert now["version"] == then["version"], "after raising a version, write the results anew"
    assert now["rows"] == then["rows"]
    seen = "\n".join(str(means) for means in then["means"])
    assert any(near(now["means"], means) for means in then["means"]), (
        f"the means are {now['means']} and were\n{seen}\nraise VERSION of {name}"
    )
