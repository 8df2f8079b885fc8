"""What one job has in hand of what a rule makes: all of it, or what its wildcards name.

Starting a job costs two seconds, more than its work in a small study; large studies want more jobs at once. The results
do not depend on it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

Item = dict[str, Any]


class Batch:
    """Items that a rule makes for one model and width, and how they are dealt out to jobs.

    Args:
        items: each a dictionary; their order is that of a job's files.
        together: whether one job has all of them in hand.
        by: otherwise, the keys that are wildcards; a job has the items that agree in these.
    """

    def __init__(self, items: Iterable[Item], together: bool, by: Sequence[str]) -> None:
        self.items = list(items)
        self.by: Sequence[str] = () if together else by
        self._by_wildcards: dict[tuple[str | None, ...], list[Item]] = {}
        for item in self.items:
            self._by_wildcards.setdefault(tuple(str(item[key]) for key in self.by), []).append(item)

    @property
    def patterns(self) -> list[Item]:
        """The items of one job, as they stand in file names."""
        named = {key: f"{{{key}}}" for key in self.by}
        return unique({**item, **named} for item in self.items)

    @property
    def name(self) -> str:
        """What stands for the items of one job in the names of its log and benchmark."""
        return "-".join(f"{key}{{{key}}}" for key in self.by) or "all"

    def of(self, wildcards: Mapping[str, str]) -> list[Item]:
        """The items of one job."""
        return self._by_wildcards.get(tuple(wildcards.get(key) for key in self.by), [])


def unique(items: Iterable[Item]) -> list[Item]:
    """The different items, in order."""
    return list({str(item): item for item in items}.values())
