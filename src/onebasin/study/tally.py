"""How far a long job is, in its log."""

from __future__ import annotations

import logging
import time

log = logging.getLogger(__name__)


class Tally:
    """Counts what a job has done, and says so now and then.

    Args:
        what: is counted.
        expected: how many there are about, as they were counted while planning.
        every_s: least seconds between two lines.
    """

    def __init__(self, what: str, expected: int, every_s: float = 10) -> None:
        self.what, self.expected, self.every_s = what, expected, every_s
        self.done = 0
        self._said = time.monotonic()

    def add(self, number: int) -> None:
        """Count more of them."""
        self.done += number
        if time.monotonic() - self._said >= self.every_s:
            log.info("%d of about %d %s", self.done, max(self.done, self.expected), self.what)
            self._said = time.monotonic()
