"""How much memory a piece of work takes beyond what was taken before it."""

import ctypes
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch


class Peak:
    """The most memory that was taken, in MB; None where it cannot be read."""

    megabytes: float | None = None


@contextmanager
def peak(device: str) -> Iterator[Peak]:
    """Find the peak of memory inside the block, above what was taken at its beginning.

    On a GPU it is what PyTorch allocated there; on a CPU, under Linux, the high-water mark of the resident set, which
    is set back first. Without that, a method would be charged with what an earlier one in the same process took.
    """
    found = Peak()
    if device != "cpu":
        torch.cuda.reset_peak_memory_stats(device)
        before = torch.cuda.memory_allocated(device)
        yield found
        found.megabytes = (torch.cuda.max_memory_allocated(device) - before) / 1e6
        return
    start = _reset()
    yield found
    if start is not None:
        found.megabytes = max(0, _status("VmHWM") - start) / 1e6


def _reset() -> int | None:
    """Set the high-water mark back to the resident set; return its size in bytes."""
    try:
        if hasattr(libc := ctypes.CDLL(None), "malloc_trim"):
            libc.malloc_trim(0)  # what was freed is still resident, and would be used again unseen
        Path("/proc/self/clear_refs").write_text("5")
        return _status("VmRSS")
    except (OSError, ValueError, StopIteration):
        return None


def _status(key: str) -> int:
    """Read a size of this process, in bytes."""
    lines = Path(f"/proc/{os.getpid()}/status").read_text().splitlines()
    return int(next(line.split()[1] for line in lines if line.startswith(f"{key}:"))) * 1024
