"""What every script does first: open the log of its job, and end with one line where the library says what is wrong."""

import gc
import logging
import os
import platform
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from typing import Any

from gpu import take_device


@contextmanager
def logged(snakemake: Any) -> Iterator[None]:
    """Send everything that is printed or logged to the log of the job, errors included."""
    # Importing torch makes a million objects that stay; looking through them for garbage takes a tenth of that time.
    gc.set_threshold(100_000)
    with open(snakemake.log[0], "w", encoding="utf-8", buffering=1) as log, redirect_stdout(log), redirect_stderr(log):
        logging.basicConfig(stream=log, level=logging.INFO, format="%(asctime)s %(message)s")
        try:
            if snakemake.resources.get("gpu"):
                take_device()
            visible = os.environ.get("CUDA_VISIBLE_DEVICES", "all") if snakemake.resources.get("gpu") else "none"
            place = (platform.node(), os.getpid(), snakemake.threads, visible)
            logging.info("begins on %s as process %d, CPU threads %d, GPUs %s", *place)
            yield
            logging.info("ends")
        except Exception as error:
            # The library's own errors name the file or the setting and what to do; others need their traceback.
            if type(error).__module__.startswith("onebasin"):
                print(f"error: {error}", file=log)
            else:
                traceback.print_exc(file=log)
            sys.exit(1)
        finally:
            # A second of a job is Python's walk through all modules at its end; nothing is left to be collected.
            gc.freeze()
