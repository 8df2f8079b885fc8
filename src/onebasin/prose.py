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


def estimate(value: float, low: float, high: float, *, least: int = 3) -> str:
    """Write a mean with its 95 % interval, where there is one, with at least so many decimals."""
    if not (math.isfinite(low) and math.isfinite(high)):
        return number(value, least)
    return f"{number(value, least)} [{number(low, least)}, {number(high, least)}]"


def width_of(at: float, low: float, high: float) -> str:
    """Write the width at which a law falls under the threshold: with two digits, and its interval.

    Args:
        at: the width; nan where the law does not fall so low within its reach.
        low: lower bound of its 95 % interval; nan in the same case, and where there is no interval.
        high: upper bound.
    """
    at_text, *ends = (f"{float(f'{value:.2g}'):,.0f}" if math.isfinite(value) else "" for value in (at, low, high))
    if not ends[0]:
        return f"{at_text} (no interval)" if at_text else "not reached"
    return f"{at_text or 'not reached'} [{ends[0]}, {ends[1] or 'no end'}]"


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
