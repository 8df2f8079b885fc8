"""How several jobs share the work of one."""

from collections.abc import Sequence
from typing import TypeVar

Item = TypeVar("Item")


def share(items: Sequence[Item], number: int, jobs: int) -> Sequence[Item]:
    """Return the items of one of several jobs that share them: of three the second has the second third.

    Args:
        items: all of them.
        number: of the job, from 1.
        jobs: how many share them.
    """
    return items[len(items) * (number - 1) // jobs : len(items) * number // jobs]
