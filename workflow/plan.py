"""The jobs of a study as Snakemake plans them, and what they cost together.

Run as a program, it prints the planned jobs as JSON, for a plan takes a Snakemake of its own.
"""

from __future__ import annotations

import json
import logging
import os
import subprocess
import sys
import tempfile
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from workflow.estimate import Work

# Tables, figures and targets have no estimate; the first two take this long.
SMALL = ("_table", "_figure", "gather_permutations")
SMALL_JOB_S = 4


class Planned(SimpleNamespace):
    """The wildcards of a planned job."""

    def keys(self) -> Any:
        """Return their names."""
        return vars(self).keys()

    def get(self, name: str) -> str | None:
        """Return the value of one, None where the job has no such wildcard."""
        return vars(self).get(name)


def planned_jobs(root: Path, config: Mapping[str, Any], shares: int) -> list[tuple[str, Planned]]:
    """Return the rule and the wildcards of every job of the whole study, finished or not.

    Args:
        root: the folder of the Snakefile.
        config: the config of the study.
        shares: jobs that share the pairs of a model and width.
    """
    with tempfile.NamedTemporaryFile("w", suffix=".json") as settings:
        json.dump(config, settings)
        settings.flush()
        done = subprocess.run(
            [sys.executable, "-m", "workflow.plan", str(root / "Snakefile"), settings.name, str(shares)],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            env={
                **os.environ,
                "PYTHONPATH": os.pathsep.join(filter(None, [str(root), os.environ.get("PYTHONPATH")])),
            },
        )
    if done.returncode:
        # Snakemake would wait for ever for a job that exits.
        raise RuntimeError(done.stderr)
    return [(rule, Planned(**wildcards)) for rule, wildcards in json.loads(done.stdout)]


def table_of_cost(jobs: Sequence[tuple[str, Planned]], work: Mapping[str, Work], threads: int, cores: int) -> str:
    """Return a line for each rule, their sum, and how long all takes.

    Args:
        jobs: the rule and the wildcards of each.
        work: by rule.
        threads: of a job that has a model.
        cores: of the machine.
    """
    costs = defaultdict(list)
    for rule, wildcards in jobs:
        if rule in work:
            seconds = work[rule].seconds(wildcards)
            used = threads if "model" in set(wildcards.keys()) else 1
            costs[rule].append((seconds, seconds * used, seconds * work[rule].gpu(wildcards)))
        elif rule.endswith(SMALL):
            costs[rule].append((SMALL_JOB_S, SMALL_JOB_S, 0))
    lines = []
    for rule, each in costs.items():
        seconds_of, cpu, gpu = zip(*each, strict=True)
        lines.append((rule, len(each), sum(cpu), sum(gpu), max(seconds_of)))
    _, numbers, cpus, gpus, longest = zip(*lines, strict=True)
    total = (sum(cpus), sum(gpus), max(longest))
    table = [f"{'rule':24}{'jobs':>8}{'CPU time':>12}{'GPU time':>12}{'longest job':>14}"]
    for name, number, *times in [*lines, ("all", sum(numbers), *total)]:
        table.append("{:24}{:8d}{:>12}{:>12}{:>14}".format(name, number, *map(spell_time, times)))
    if total[1]:
        return "\n".join([*table, f"about {spell_time(max(total[1:]))} on one GPU"])
    return "\n".join([*table, f"about {spell_time(max(total[0] / cores, total[2]))} on {cores} cores"])


def spell_time(seconds: float) -> str:
    """Write a time in the unit that suits it."""
    for unit, size in (("s", 1), ("min", 60)):
        if seconds < 100 * size:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds / 3600:.{1 if seconds < 360_000 else 0}f} h"


def print_cost(jobs: Sequence[tuple[str, Planned]], work: Mapping[str, Work], threads: int, log: str) -> None:
    """Print the table of costs on this machine, and write it to a log; arguments as for ``table_of_cost``."""
    table = table_of_cost(jobs, work, threads, len(os.sched_getaffinity(0)))
    Path(log).write_text(f"{table}\n", encoding="utf-8")
    print(table)


class _Jobs(logging.Handler):
    """Keeps what Snakemake says of each job."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str]]] = []

    def emit(self, record: logging.LogRecord) -> None:
        if getattr(record, "event", None) == "job_info":
            self.found.append((record.rule_name, dict(record.wildcards or {})))  # type: ignore[attr-defined]


def _plan(snakefile: str, configfile: str, shares: str) -> list[tuple[str, dict[str, str]]]:
    from snakemake.api import SnakemakeApi
    from snakemake.logging import logger
    from snakemake.settings.enums import Quietness
    from snakemake.settings.types import ConfigSettings, DAGSettings, OutputSettings, ResourceSettings

    jobs = _Jobs()
    with SnakemakeApi(OutputSettings(quiet={Quietness.ALL}, dryrun=True, stdout=False)) as api:
        workflow = api.workflow(
            resource_settings=ResourceSettings(cores=1, overwrite_scatter={"pairs": int(shares)}),
            config_settings=ConfigSettings(configfiles=[Path(configfile)]),
            snakefile=Path(snakefile),
        )
        logger.addHandler(jobs)
        workflow.dag(dag_settings=DAGSettings(forceall=True)).execute_workflow(executor="dryrun")
    return jobs.found


if __name__ == "__main__":
    print(json.dumps(_plan(*sys.argv[1:])))
