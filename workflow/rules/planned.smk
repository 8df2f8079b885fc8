"""The jobs of the study as they are planned, and what they cost together."""

import re
import subprocess
import tempfile
from collections import defaultdict
from types import SimpleNamespace

# Jobs that have no estimate, and the seconds of each.
SMALL = ("_table", "_figure", "_gather")
SMALL_JOB_S = 4


class Planned(SimpleNamespace):
    """The wildcards of a planned job."""

    def keys(self):
        return vars(self).keys()


def planned_jobs():
    """The rule and the wildcards of every job of the whole study, finished or not."""
    with tempfile.NamedTemporaryFile("w", suffix=".yaml") as settings:
        yaml.safe_dump(config, settings)
        settings.flush()
        plan = subprocess.run(
            [sys.executable, "-m", "snakemake", "--snakefile", LIBRARY.parent / "Snakefile", "--dry-run", "--forceall"]
            + ["--configfile", settings.name, "--set-scatter", f"pairs={PARTS}"],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
    if plan.returncode:
        sys.exit(plan.stdout)
    for job in re.findall(r"^(?:local)?rule\s(\w+):\n((?: +.*\n)*)", plan.stdout, re.M):
        named = re.search(r"^ +wildcards: (.*)$", job[1], re.M)
        yield job[0], Planned(**dict(item.split("=", 1) for item in named[1].split(", ")) if named else {})


def table_of_cost():
    """A line for each rule, and their sum."""
    work = {name.removesuffix("_WORK").lower(): value for name, value in globals().items() if isinstance(value, Work)}
    jobs = defaultdict(list)
    for name, wildcards in planned_jobs():
        if name in work:
            seconds = work[name].seconds(wildcards)
            threads = config["resources"]["threads"] if "model" in wildcards.keys() else 1
            jobs[name].append((seconds, seconds * threads, seconds * work[name].gpu(wildcards)))
        elif name.endswith(SMALL):
            jobs[name].append((SMALL_JOB_S, SMALL_JOB_S, 0))
        # What remains is a target, of the name of an experiment or `all`, and does nothing itself.
    lines = []
    for name, each in jobs.items():
        seconds, cpu, gpu = zip(*each, strict=True)
        lines.append((name, len(each), sum(cpu) / 3600, sum(gpu) / 3600, max(seconds) / 3600))
    _, number, cpu, gpu, longest = zip(*lines, strict=True)
    table = [f"{'rule':24}{'jobs':>8}{'CPU-hours':>12}{'GPU-hours':>12}{'longest job, h':>16}"]
    for name, *columns in [*lines, ("all", sum(number), sum(cpu), sum(gpu), max(longest))]:
        table.append("{:24}{:8d}{:12.2f}{:12.2f}{:16.2f}".format(name, *columns))
    return "\n".join(table)
