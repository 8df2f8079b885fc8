"""A job: what a script hands to the library, and what is done around it."""

from __future__ import annotations

import gc
import logging
import os
import platform
import signal
import sys
import threading
import time
import traceback
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from onebasin.study import record
from onebasin.study.device import device, take_device
from onebasin.study.store import Store


@dataclass(frozen=True)
class Job:
    """What a rule gave to a job.

    Attributes:
        input: its input files, by their names.
        output: its output files, by their names.
        params: what it must know of them, and its settings, by their names.
        wildcards: by their names, as text.
        threads: how many CPU threads it may use.
        config: the config of the study.
        gpu: whether it asked for a GPU.
        store: of finished pieces.
        sources: folders that it reads, which are no inputs of its rule, with the hashes of their contents and state.
    """

    input: Any
    output: Any
    params: Any
    wildcards: Any
    threads: int
    config: Any
    gpu: bool
    store: Store
    sources: dict[str, tuple[str, str]] = field(default_factory=dict)

    @property
    def model(self) -> str:
        """The name of the model of its networks."""
        return str(self.wildcards.model)

    @property
    def width(self) -> int:
        """The width of its networks."""
        return int(self.wildcards.width)

    @property
    def device(self) -> str:
        """The name of its device for PyTorch; the job ends here if it asked for a GPU and has none."""
        return device(self.config["resources"]["device"]) if self.gpu else "cpu"


def _shown(rule: str) -> logging.Handler:
    """Return what prints warnings where Snakemake runs, besides the log."""
    handler = logging.StreamHandler(sys.__stderr__)
    handler.setLevel(logging.WARNING)
    handler.setFormatter(logging.Formatter(f"{rule}: warning: %(message)s"))
    return handler


def _runner() -> int | None:
    """Return the process that runs this job's shell, and that another takes the place of when it is gone."""
    try:
        # The name of a process, in brackets, may hold anything.
        return int(Path(f"/proc/{os.getppid()}/stat").read_text().rpartition(")")[2].split()[1])
    except OSError:
        return None


def _end_with(runner: int | None) -> None:
    """End this process when its runner is gone: who is killed cannot end its jobs, and others will do their work."""
    while _runner() in (runner, None):
        time.sleep(1)
    logging.info("Snakemake is gone; ends")
    os._exit(1)


@contextmanager
def job(snakemake: Any) -> Iterator[Job]:
    """Send everything that is printed or logged to the log of the job, and end with one line where something is wrong.

    The library's own errors name the file or the setting and what to do; others need their traceback.

    Args:
        snakemake: what Snakemake gives to a script.

    Yields:
        The job.
    """
    # Importing torch makes a million objects that stay; looking through them for garbage takes a tenth of that time.
    gc.set_threshold(100_000)
    gpu = bool(snakemake.resources.get("gpu"))
    with open(snakemake.log[0], "w", encoding="utf-8", buffering=1) as log, redirect_stdout(log), redirect_stderr(log):
        logging.basicConfig(stream=log, level=logging.INFO, format="%(asctime)s %(message)s")
        logging.getLogger("fontTools").setLevel(logging.WARNING)
        logging.getLogger("onebasin").addHandler(_shown(snakemake.rule))
        try:
            if gpu:
                take_device()
            visible = os.environ.get("CUDA_VISIBLE_DEVICES", "all") if gpu else "none"
            place = (platform.node(), os.getpid(), snakemake.threads, visible)
            if (runner := _runner()) is not None:
                threading.Thread(target=_end_with, args=(runner,), daemon=True).start()
            logging.info("begins on %s as process %d, CPU threads %d, GPUs %s", *place)
            this = Job(
                snakemake.input,
                snakemake.output,
                snakemake.params,
                snakemake.wildcards,
                snakemake.threads,
                snakemake.config,
                gpu,
                Store(os.environ["ONEBASIN_STORE"], os.environ["ONEBASIN_RECORDS"]),
            )
            yield this
            record.write(snakemake.log[0], snakemake.output, this.store, this.sources)
            logging.info("made %s, found %s", this.store.made, this.store.found)
            logging.info("ends")
        except KeyboardInterrupt:
            # Whoever presses Ctrl-C twice sees no traceback of what ends meanwhile.
            signal.signal(signal.SIGINT, signal.SIG_IGN)
            logging.info("interrupted")
            sys.exit(130)
        except Exception as error:
            if type(error).__module__.startswith("onebasin"):
                print(f"error: {error}", file=log)
            else:
                traceback.print_exc(file=log)
            sys.exit(1)
        finally:
            # A second of a job is Python's walk through all modules at its end; nothing is left to be collected.
            gc.freeze()
