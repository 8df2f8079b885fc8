"""What only the first matching of a process does is in the time and memory of none."""

import json
import subprocess
import sys

import pytest

MATCHING = """
import json, sys
import torch
from onebasin import match, symmetry
from onebasin.models import MLP

model = MLP(width=300, hidden=[1], image_shape=(1, 4, 4), classes=3).eval()
images = torch.rand(64, 1, 4, 4)
groups = symmetry.discover(model, images[:2])
states = [symmetry.random_state(model, torch.Generator().manual_seed(seed)) for seed in range(3)]
if "warm" in sys.argv:
    match.warm_up("cpu")
found = {}
for name in ("weights", "activations", "merge_many"):
    before = set(sys.modules)
    if name == "merge_many":
        match.merge_many(groups, dict(enumerate(states)))
    elif name == "weights":
        match.weights(groups, *states[:2])
    else:
        match.activations(groups, *states[:2], model=model, images=images)
    found[name] = sorted(module for module in set(sys.modules) - before if module.startswith("scipy"))
print(json.dumps(found))
"""


@pytest.mark.parametrize("warm", [True, False])
def test_no_solver_is_imported_during_a_matching(warm):
    arguments = [sys.executable, "-c", MATCHING, *(["warm"] if warm else [])]
    out = subprocess.run(arguments, check=True, capture_output=True, text=True).stdout
    found = json.loads(out.splitlines()[-1])
    assert found["activations"] == found["merge_many"] == []
    assert bool(found["weights"]) is not warm, "without it, the first matching imports the solvers"
