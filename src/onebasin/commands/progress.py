"""Progress of what takes more than a few seconds, on standard error."""

from __future__ import annotations

import logging
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

QUIET_SECONDS = 3.0


class _Progress(logging.Handler):
    """Prints what is being done, with the seconds since the start, once these are more than a few."""

    def __init__(self) -> None:
        super().__init__(logging.INFO)
        self._start = time.monotonic()
        self._last: logging.LogRecord | None = None
        self._timer = threading.Timer(QUIET_SECONDS, self._print)
        self._timer.daemon = True
        self._timer.start()

    def emit(self, record: logging.LogRecord) -> None:
        self._last = record
        if record.levelno > logging.INFO or time.monotonic() - self._start > QUIET_SECONDS:
            self._print()

    def close(self) -> None:
        self._timer.cancel()
        super().close()

    def _print(self) -> None:
        record, self._last = self._last, None
        if record is not None:
            print(f"[{time.monotonic() - self._start:4.0f} s] {record.getMessage()}", file=sys.stderr, flush=True)


@contextmanager
def shown() -> Iterator[None]:
    """Show the progress of a block; its warnings are shown at once."""
    log = logging.getLogger("onebasin")
    level, handler = log.level, _Progress()
    log.addHandler(handler)
    log.setLevel(logging.INFO)
    try:
        yield
    finally:
        log.removeHandler(handler)
        log.setLevel(level)
        handler.close()
