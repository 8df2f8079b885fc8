"""The tiny study through the Slurm profile, on a real Slurm: while jobs, servers and Snakemake are killed, too."""

import json
import os
import re
import signal
import subprocess
import time
from datetime import datetime
from itertools import combinations

import psutil
from servers import end_with_parent, wait_until

# Looks often, because the jobs are short; everything else is as in the profile.
PROFILE = ["--profile", "slurm", "--jobs", "8", "--slurm-init-seconds-before-status-checks", "2"]
SEEDS = (0, 1, 2, 3)


def tables(place):
    """The bytes of all tables."""
    return {path.name: path.read_bytes() for path in (place.results / "tables").glob("*.csv")}


def begin(place, configfile, *arguments):
    """Start a study through the profile."""
    with open(place.folder / "snakemake.log", "a") as log:
        return subprocess.Popen(
            place.command(*PROFILE, *configfile, *arguments),
            cwd=place.folder,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            preexec_fn=end_with_parent,
        )


def finish(place, process, patience_s=900):
    try:
        code = process.wait(patience_s)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        code = None
    assert code == 0, (place.folder / "snakemake.log").read_text()


def networks(place):
    """The bytes and times of all networks."""
    return {path: (path.read_bytes(), path.stat().st_mtime_ns) for path in place.results.glob("networks/**/*.*")}


def pieces_made(place, job):
    """The pieces that a job made, by kind."""
    return json.loads((place.results / "logs" / f"{job}.json").read_text())["made"]


def log_of(place, job):
    return (place.results / "logs" / f"{job}.log").read_text()


def span(text):
    """The GPUs of a job and the times between which it held them, from its log."""
    moment = r"^([\d-]+ [\d:]+,\d+) "
    began = re.search(moment + r"begins on .*, GPUs (\S+)$", text, re.M)
    ended = re.search(moment + r"ends$", text, re.M)
    times = [datetime.strptime(match[1], "%Y-%m-%d %H:%M:%S,%f") for match in (began, ended)]
    return began[2], *times


def test_it_completes_with_the_bytes_of_a_local_run_and_a_gpu_for_each_job(slurm, study, workplace, tiny):
    tiny |= {"models": tiny["models"][:1], "frames": [], "experiments": ["width"]}
    tiny["resources"] = {"gpu": 1, "device": "cpu"}
    finish(workplace, begin(workplace, workplace.configure(tiny)))
    made = {path.relative_to(workplace.results) for path in workplace.results.rglob("*.safetensors")}
    made |= {path.relative_to(workplace.results) for path in (workplace.results / "measurements").rglob("*.csv")}
    assert len(made) > len(SEEDS) + 2 + 3
    for name in made:
        assert (workplace.results / name).read_bytes() == (study.results / name).read_bytes(), name
    # The local study has more models and methods; the rows that both have are the same to the byte.
    ours, theirs = ((place.results / "tables/width.csv").read_bytes().splitlines() for place in (workplace, study))
    assert ours[0] == theirs[0] and len(ours) > 1 and set(ours) <= set(theirs)
    jobs = {path: span(path.read_text()) for path in (workplace.results / "logs").rglob("*.log")}
    on_gpus = {path: held for path, held in jobs.items() if held[0] != "none"}
    rules = {path.relative_to(workplace.results / "logs").parts[0] for path in on_gpus}
    # The data, the matching of small networks, tables and figures do without.
    assert rules == {"train", "width_measure"}
    assert {held[0] for held in on_gpus.values()} == {"0", "1"}
    for (device, begun, ended), (other, other_begun, other_ended) in combinations(on_gpus.values(), 2):
        assert device != other or ended <= other_begun or other_ended <= begun
    overlaps = [a for a, b in combinations(on_gpus.values(), 2) if a[1] < b[2] and b[1] < a[2]]
    assert overlaps, "no two GPU jobs ran at once"

    # One seed more: the other networks stay as they are, to their times, and no pair of them is matched again.
    before = networks(workplace)
    tiny["seeds"] = [*SEEDS, len(SEEDS)]
    finish(workplace, begin(workplace, workplace.configure(tiny)))
    assert before.items() <= networks(workplace).items()
    assert pieces_made(workplace, "train/mlp/width4/all") == {"network": 1}
    assert pieces_made(workplace, "align/mlp/width4/all") == {"matching": len(SEEDS) * 2}


def hold_trainings(place):
    """Stop the process of each training in its middle, when it has saved how far it is."""
    held = {}

    def all_are_held():
        for seed in set(SEEDS) - held.keys():
            if (place.results / f"networks/mlp/width4/seed{seed}/unfinished/resume.safetensors").exists():
                number = re.search(r" as process (\d+)", log_of(place, f"train/mlp/width4/seed{seed}"))[1]
                held[seed] = psutil.Process(int(number))
                held[seed].suspend()
        return len(held) == len(SEEDS)

    wait_until(all_are_held, "a process in the middle of each training", 600)
    return [held[seed] for seed in SEEDS]


def number_of(process):
    return int(process.environ()["SLURM_JOB_ID"])


def test_jobs_that_are_cancelled_killed_requeued_or_too_slow_and_a_controller_that_is_away(
    slurm, undisturbed, workplace, longer
):
    process = begin(workplace, workplace.configure(longer))
    cancelled, killed, requeued, hangs = hold_trainings(workplace)
    number = number_of(requeued)
    # A minute is the least that Slurm knows.
    slurm.run("scontrol", "update", f"JobId={number_of(hangs)}", "TimeLimit=1")
    slurm.run("scancel", str(number_of(cancelled)))
    killed.kill()
    slurm.run("scontrol", "requeue", str(number))

    slurm.stop_controller()
    time.sleep(5)
    slurm.start_controller()

    finish(workplace, process)
    assert tables(workplace) == tables(undisturbed)
    for seed in SEEDS:
        assert "continues at epoch" in log_of(workplace, f"train/mlp/width4/seed{seed}"), seed
    said = (workplace.folder / "snakemake.log").read_text()
    assert {"CANCELLED", "FAILED", "TIMEOUT"} == set(re.findall(r"SLURM status is: '(\w+)'", said))
    assert "Restarts=1" in slurm.run("scontrol", "show", "job", str(number))


def test_snakemake_killed_and_the_same_command_again(slurm, undisturbed, workplace, longer):
    configfile = workplace.configure(longer)
    process = begin(workplace, configfile)
    orphans = hold_trainings(workplace)
    process.kill()
    process.wait()
    # What Snakemake sent to Slurm goes on without it: two of the jobs at once, two beside those of the second command.
    for orphan in orphans[:2]:
        orphan.resume()

    assert "--unlock" in workplace.snakemake(*PROFILE, *configfile, fails=True)
    workplace.snakemake("--unlock", *configfile)
    again = begin(workplace, configfile)
    for orphan in orphans[2:]:
        orphan.resume()
    finish(workplace, again)
    assert tables(workplace) == tables(undisturbed)
