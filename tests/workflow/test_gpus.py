"""Local jobs on a machine with several GPUs have a device each; the devices are pretended."""

import re
import signal
import subprocess
import sys
import time
from datetime import datetime
from itertools import combinations
from pathlib import Path

from onebasin.study import device as gpu

LIBRARY = Path(__file__).parents[2] / "src"

# Takes a device, says so, and holds it until its input ends.
HOLD = """
import os, sys
from onebasin.study.device import take_device
take_device()
print(os.environ["CUDA_VISIBLE_DEVICES"], flush=True)
sys.stdin.read()
"""


def holder(tmp_path, devices="0,1,GPU-8f3a"):
    """Start a process that takes a device."""
    environment = {"PYTHONPATH": str(LIBRARY), "CUDA_VISIBLE_DEVICES": devices, "TMPDIR": str(tmp_path)}
    return subprocess.Popen(
        [sys.executable, "-c", HOLD], env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )


def end(process):
    process.communicate(timeout=60)


def test_each_process_has_a_device_in_whatever_order_they_end(tmp_path):
    first, second, third = (holder(tmp_path) for _ in range(3))
    devices = {process: process.stdout.readline().strip() for process in (first, second, third)}
    assert set(devices.values()) == {"0", "1", "GPU-8f3a"}
    end(second)
    fourth = holder(tmp_path)
    assert fourth.stdout.readline().strip() == devices[second]
    third.send_signal(signal.SIGKILL)
    third.communicate()
    end(first)
    fifth, sixth = holder(tmp_path), holder(tmp_path)
    assert {process.stdout.readline().strip() for process in (fifth, sixth)} == {devices[first], devices[third]}
    for process in (fourth, fifth, sixth):
        end(process)


def test_a_process_waits_while_no_device_is_free(tmp_path):
    first, second = holder(tmp_path, "0,1"), holder(tmp_path, "0,1")
    taken = {process.stdout.readline().strip(): process for process in (first, second)}
    third = holder(tmp_path, "0,1")
    time.sleep(1)
    assert third.poll() is None
    end(taken["1"])
    assert third.stdout.readline().strip() == "1"
    end(third)
    end(taken["0"])


def test_a_single_device_and_those_of_a_batch_system_are_left_alone(tmp_path, monkeypatch):
    monkeypatch.setattr(gpu.tempfile, "gettempdir", lambda: str(tmp_path))
    for devices, batch in (("3", {}), ("", {}), ("0,1", {"SLURM_JOB_ID": "7"})):
        for name, value in {"CUDA_VISIBLE_DEVICES": devices, **batch}.items():
            monkeypatch.setenv(name, value)
        gpu.take_device()
        assert gpu.os.environ["CUDA_VISIBLE_DEVICES"] == devices
    assert not list(tmp_path.iterdir())


def held(log):
    """The device of a job and the times between which it held it, from its log."""
    moment = r"^([\d-]+ [\d:]+,\d+) "
    began = re.search(moment + r"begins on .*, GPUs (\S+)$", log, re.M)
    ended = re.search(moment + r"ends$", log, re.M)
    times = [datetime.strptime(match[1], "%Y-%m-%d %H:%M:%S,%f") for match in (began, ended)]
    return began[2], *times


def test_jobs_of_a_study_have_a_device_each(workplace, tiny, monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "4,5")
    monkeypatch.setenv("TMPDIR", str(workplace.folder))
    tiny |= {"resources": {"gpu": 1, "device": "cpu"}, "seeds_together": False}
    targets = [f"results/tiny/networks/mlp/width4/seed{seed}/training.csv" for seed in range(4)]
    workplace.snakemake(*targets, "--profile", "profiles/gpus", "--cores", 4, *workplace.configure(tiny))
    jobs = [held(log.read_text()) for log in (workplace.results / "logs/train").rglob("*.log")]
    assert len(jobs) == 4 and {device for device, *_ in jobs} == {"4", "5"}
    for (device, begun, ended), (other, other_begun, other_ended) in combinations(jobs, 2):
        assert device != other or ended <= other_begun or other_ended <= begun
    assert held((workplace.results / "logs/data.log").read_text())[0] == "none"


def test_a_job_that_has_no_gpu_says_so(workplace, tiny, monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    tiny["resources"] = {"gpu": 1}
    target = "results/tiny/networks/mlp/width4/seed0/training.csv"
    output = workplace.snakemake(target, *workplace.configure(tiny), fails=True)
    line = next(line for line in output.splitlines() if line.startswith("error: "))
    assert "resources.gpu" in line and "Traceback" not in output
