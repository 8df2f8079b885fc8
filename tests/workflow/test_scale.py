"""Large studies, planned and not run: the jobs, the time and the memory that planning takes."""

import re
import subprocess
import sys
from pathlib import Path

import yaml

from onebasin.experiments import rooms

ROOT = Path(__file__).parents[2]

# All experiments, those with trainings of their own at the width at which the study has them.
PAPER = {
    "experiments": list(rooms()),
    "instability": {"widths": [64], "epochs": [0, 1, 2, 5, 10, 20, 40, 80]},
    "correction": {"widths": [64]},
}

# Prints the processor's seconds and the megabytes of a planning, which the load of the machine does not change.
MEASURE = """
import resource, subprocess, sys
done = subprocess.run([sys.executable, "-m", "snakemake", *sys.argv[1:]], stdin=subprocess.DEVNULL)
used = resource.getrusage(resource.RUSAGE_CHILDREN)
print("took", used.ru_utime + used.ru_stime, used.ru_maxrss / 1024)
sys.exit(done.returncode)
"""


def planning(place, config):
    """The jobs of the study of the paper, and the seconds and megabytes of planning it, with changes."""
    changes = place.configure(config)[1]
    command = ["--dry-run", "--quiet", "rules", "--configfile", "studies/cifar10.yaml", changes]
    done = subprocess.run(
        [sys.executable, "-c", MEASURE, *command], cwd=place.folder, capture_output=True, text=True, check=True
    )
    output = done.stdout + done.stderr
    seconds, megabytes = map(float, re.search(r"^took (\S+) (\S+)$", output, re.M).groups())
    return int(re.search(r"^total +(\d+)$", output, re.M)[1]), seconds, megabytes


def test_planning_grows_with_the_jobs_and_no_faster(plain):
    study = yaml.safe_load((plain.folder / "studies/cifar10.yaml").read_text())
    models = [{**model, "name": f"{model['name']}-{copy}"} for copy in range(10) for model in study["models"]]
    jobs, seconds, megabytes = planning(plain, PAPER)
    more_jobs, more_seconds, more_megabytes = planning(plain, {**PAPER, "models": models})
    assert jobs > 900 and more_jobs > 9000
    assert megabytes < 250 and more_megabytes < 1200
    # How long a job takes depends on the machine; that it takes as long in a large study does not.
    assert more_seconds / more_jobs < 1.5 * seconds / jobs
