"""Numbers in prose: never rounded onto the threshold that decides what they mean."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

from onebasin.landscape.barrier import CONNECTED


def places(value: float, count: int) -> str:
    """Write a number with so many decimals, halves away from zero, and without the zero before them."""
    rounded = str(Decimal(str(value)).quantize(Decimal(1).scaleb(-count), ROUND_HALF_UP))
    return re.sub(r"^(-?)0\.", r"\1.", rounded)


def number(value: float, least: int = 2) -> str:
    """Write a number with two decimals, a small one with three, and never one that is not the threshold like it.

    Args:
        value: the number.
        least: decimals at least.
    """
    if not math.isfinite(value):
        return "unknown"
    count = max(least, 2 if abs(value) >= 0.025 else 3)
    while abs(value) != CONNECTED == abs(float(places(value, count))):
        count += 1
    return places(value, count)


def estimate(value: float, low: float, high: float) -> str:
    """Write a mean with its 95 % interval, where there is one."""
    if not (math.isfinite(low) and math.isfinite(high)):
        return number(value, 3)
    return f"{number(value, 3)} [{number(low, 3)}, {number(high, 3)}]"


def percent(share: float) -> str:
    """Write a share as a percentage."""
    return f"{100 * share:.0f} %"


def listed(items: Iterable[Any]) -> str:
    """Join items as a sentence does."""
    *most, last = map(str, items)
    return f"{', '.join(most)} and {last}" if most else last


def counted(count: int, noun: str) -> str:
    """Write a number of things."""
    return f"{count} {noun}{'' if count == 1 else 's'}"
