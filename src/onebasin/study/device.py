"""The device of a job, and one of its own for each local job where a machine has several.

Snakemake counts the GPUs of local jobs but hands out no numbers. So a job takes one that no other holds: the lock of a
file for each device, which the system gives back when the process ends, in whatever way and order.
"""

from __future__ import annotations

import fcntl
import logging
import os
import re
import sys
import tempfile
import time
from pathlib import Path

# A batch system shows a job the devices that it may use, and numbers them itself.
BATCH_SYSTEMS = ("SLURM_JOB_ID", "PBS_JOBID", "LSB_JOBID", "FLUX_JOB_ID")

# Between two looks for a device that has become free.
PAUSE_S = 0.5


def device(name: str) -> str:
    """Return the device of a job that asked for a GPU, by its PyTorch name; end the job if there is none.

    Args:
        name: resources.device of the config, "cuda" or "cpu".
    """
    if name == "cuda":
        import torch

        if not torch.cuda.is_available():
            visible = os.environ.get("CUDA_VISIBLE_DEVICES", "all")
            print(
                f"error: resources.gpu is 1, but PyTorch finds no GPU here (CUDA_VISIBLE_DEVICES: {visible}); "
                "run on a machine with one, or set resources.gpu to 0"
            )
            sys.exit(1)
    return name


def visible_devices() -> list[str]:
    """List the devices that this process may use, as CUDA_VISIBLE_DEVICES names them."""
    given = os.environ.get("CUDA_VISIBLE_DEVICES")
    if given is not None:
        return [name.strip() for name in given.split(",") if name.strip()]
    return [str(number) for number in range(len(list(Path("/dev").glob("nvidia[0-9]*"))))]


def take_device() -> None:
    """Leave this process one of several visible devices, which no other has while it lives; wait until one is free.

    It must come before PyTorch first looks for devices. With one device, or none, or under a batch system, nothing
    changes.
    """
    devices = visible_devices()
    if len(devices) < 2 or any(name in os.environ for name in BATCH_SYSTEMS):
        return
    folder = Path(tempfile.gettempdir(), f"onebasin-gpus-{os.getuid()}")
    folder.mkdir(exist_ok=True)
    files = {name: os.open(folder / re.sub(r"[^\w-]", "_", name), os.O_RDWR | os.O_CREAT, 0o600) for name in devices}
    waiting = False
    while True:
        for name, file in files.items():
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                continue
            os.environ["CUDA_VISIBLE_DEVICES"] = name
            for other in files.values():
                if other != file:
                    os.close(other)
            return
        if not waiting:
            logging.info("every one of the devices %s has a job; waiting for one", ", ".join(devices))
            waiting = True
        time.sleep(PAUSE_S)
