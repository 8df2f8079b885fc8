"""What a table says: means with intervals, and whether networks are connected, by one mechanism for all experiments."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from onebasin.landscape.barrier import CONNECTED

if TYPE_CHECKING:
    import numpy as np
    from pandas import DataFrame

MEANING = (
    "Networks count as connected where the mean of their error barriers and the upper end of its 95 % interval lie "
    f"below {CONNECTED}, as not connected where the lower end does not, and else as not decided; on training and on "
    "test images apart. Brackets hold 95 % intervals."
)
VERDICTS = ("connected", "not connected", "not decided")
DIGITS = 6
SHARES = (
    "error train_error test_error guess accuracy train_accuracy test_accuracy fixed fixed_points agreement chance left "
    "dead share disagreement train_disagreement test_disagreement train_ensemble_error test_ensemble_error hard_share"
)
"""Columns of shares: of labels, of units or of weights."""
LENGTHS = "distance worst excess linear_error exponential_error seen stable_rank"
RANGES = {
    **dict.fromkeys(SHARES.split(), (0, 1)),
    **dict.fromkeys(LENGTHS.split(), (0, math.inf)),
    "angular_cka": (0, math.pi / 2),
}
"""Columns of which it is known where their values end."""
RANGES_OF_ERRORS = {
    **dict.fromkeys(["barrier", "change", "halfway"], (-1, 1)),
    **dict.fromkeys(["value", "baseline", "middle", "end_a", "end_b", "worst", "excess", "easy", "hard"], (0, 1)),
}
"""The same of columns in the unit of the metric, where that is the error; a mean of networks may err less than they."""


def _as_it_is(rows: DataFrame) -> DataFrame:
    return rows


@dataclass(frozen=True)
class Summary:
    """How a table is summarised: for each combination of its keys the means of its values.

    Attributes:
        keys: columns that tell the groups of rows apart, separated by spaces.
        values: columns of which the mean is kept.
        networks: columns that name the networks of a row, over which the intervals go; without them there are none.
        prepare: what is done to the rows before.
    """

    keys: str
    values: str
    networks: str = ""
    prepare: Callable[[DataFrame], DataFrame] = _as_it_is


def summarise(table: DataFrame, summary: Summary) -> DataFrame:
    """Summarise a table.

    Args:
        table: of an experiment.
        summary: of this experiment.

    Returns:
        One row for each combination of the keys, in the order of the table: the keys, rows (how many), networks (how
        many different ones), and for each value its mean, `<value>_low` and `<value>_high`, the 95 % interval of the
        mean by the jackknife over networks (empty with too few). Where error barriers are among the values and were
        measured: below, the share of them under 0.02, and verdict, one of ``VERDICTS`` (see ``MEANING``).
    """
    import pandas as pd

    keys, values, networks = summary.keys.split(), summary.values.split(), summary.networks.split()
    lines = []
    for key, group in summary.prepare(table).groupby(keys, sort=False, dropna=False) if len(table) else ():
        line: dict[str, Any] = {**dict(zip(keys, key, strict=True)), "rows": len(group)}
        members = _members(group, networks)
        if networks:
            line["networks"] = len({name for row in members for name in row})
        for value in values:
            line[value] = group[value].mean()
            if networks:
                line[f"{value}_low"], line[f"{value}_high"] = _interval(group, value, members)
        if "barrier" in values and line.get("metric", "error") == "error" and group["barrier"].notna().any():
            line["below"] = float((group["barrier"] < CONNECTED).mean())
            line["verdict"] = verdict(line["barrier"], line.get("barrier_low"), line.get("barrier_high"))
        lines.append(line)
    found = pd.DataFrame(lines, columns=None if lines else [*keys, "rows", *values])
    numbers = [*values, *(f"{value}_{end}" for value in values for end in ("low", "high") if networks)]
    for column in [column for column in (*numbers, "below") if column in found]:
        found[column] = [float(f"{value:.{DIGITS}g}") for value in found[column]]
    return found


def verdict(mean: float, low: float | None, high: float | None) -> str:
    """Say whether networks are connected (see ``MEANING``).

    Args:
        mean: of their error barriers.
        low: lower end of its interval; None or nan where there is none.
        high: upper end.
    """
    if low is None or high is None or math.isnan(low) or math.isnan(high):
        return VERDICTS[2]
    return VERDICTS[0] if max(mean, high) < CONNECTED else VERDICTS[1] if low >= CONNECTED else VERDICTS[2]


def _members(rows: DataFrame, networks: list[str]) -> list[list[int]]:
    """Return the networks of each row; a column may name several, joined by hyphens."""
    if not networks:
        return [[] for _ in range(len(rows))]
    named = rows[networks].dropna(axis="columns", how="all")
    return [
        [int(float(name)) for cell in row for name in str(cell).split("-")] for row in named.itertuples(index=False)
    ]


def _interval(rows: DataFrame, value: str, members: list[list[int]]) -> tuple[float, float]:
    import numpy as np

    if len({len(row) for row in members}) != 1:
        return math.nan, math.nan
    return interval(rows, value, np.array(members))


def interval(rows: DataFrame, value: str, networks: np.ndarray) -> tuple[float, float]:
    """Return the 95 % interval of the mean of a column, cut off where its values end (see ``RANGES``).

    Args:
        rows: of a table, of one metric where they have metrics.
        value: the column; `barrier` has the interval of barriers.
        networks: the networks of each row, [rows, k].

    Returns:
        The bounds; (nan, nan) where there are too few networks for them (see ``statistics.interval``).
    """
    import numpy as np

    from onebasin import statistics

    ranges = RANGES | (RANGES_OF_ERRORS if set(rows.get("metric", ["error"])) == {"error"} else {})
    bounds = statistics.interval(rows[value].to_numpy(dtype=float), networks, barriers=value == "barrier")
    low, high = np.clip(bounds, *ranges.get(value, (-np.inf, np.inf)))
    return float(low), float(high)
