"""What a table says: means with intervals, and whether networks are connected, by one mechanism for all experiments."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from itertools import compress
from typing import TYPE_CHECKING, Any

from onebasin.landscape.barrier import CONNECTED

if TYPE_CHECKING:
    import numpy as np
    from pandas import DataFrame, Series

LEARNED = 0.8
"""Error of networks above which a low barrier says nothing: there is little room for the error to rise."""
MEANING = (
    "Networks count as connected where the mean of their error barriers and the upper end of its 95 % interval lie "
    f"below {CONNECTED}, as not connected where the lower end does not, and else as not decided; on training and on "
    "test images apart. There is no verdict on networks as they were initialised, on a network and itself, nor, unless "
    "they are not connected, on networks that miss more than four fifths of the labels, for there the error can hardly "
    "rise. Brackets hold 95 % intervals; there is none where leaving out one network leaves nothing."
)
VERDICTS = ("connected", "not connected", "not decided")
DIGITS = 6
SHARES = (
    "error train_error test_error guess accuracy train_accuracy test_accuracy fixed fixed_points agreement chance left "
    "dead share disagreement train_disagreement test_disagreement train_ensemble_error test_ensemble_error hard_share"
)
"""Columns of shares: of labels, of units or of weights."""
LENGTHS = "seconds distance worst excess linear_error exponential_error seen stable_rank"
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


def _none(rows: DataFrame) -> Series:
    import pandas as pd

    return pd.Series(False, index=rows.index)


@dataclass(frozen=True)
class Summary:
    """How a table is summarised: for each combination of its keys the means of its values.

    Attributes:
        keys: columns that tell the groups of rows apart, separated by spaces.
        values: columns of which the mean is kept.
        networks: columns that name the networks of a row, over which the intervals go; without them there are none.
        prepare: what is done to the rows before.
        trivial: which rows say nothing of connectivity: networks as they were initialised, or a network and itself.
        moments: keys that name the moments at which one permutation is measured, separated by spaces.
        several: which rows of the summary are measured under another permutation at each moment.
    """

    keys: str
    values: str
    networks: str = ""
    prepare: Callable[[DataFrame], DataFrame] = _as_it_is
    trivial: Callable[[DataFrame], Series] = _none
    moments: str = ""
    several: Callable[[DataFrame], Series] = _none


def summarise(table: DataFrame, summary: Summary) -> DataFrame:
    """Summarise a table.

    Args:
        table: of an experiment.
        summary: of this experiment.

    Returns:
        One row for each combination of the keys, in the order of the table: the keys, rows (how many), networks (how
        many different ones), and for each value its mean, `<value>_low` and `<value>_high`, the 95 % interval of the
        mean by the jackknife over networks (empty with too few). Where error barriers are among the values and were
        measured: below, the share of them under 0.02, and verdict, one of ``VERDICTS`` or none (see ``MEANING``). Where
        one permutation is measured at several moments: simultaneous, its verdict over all of them (see
        ``simultaneous``).
    """
    import numpy as np
    import pandas as pd

    keys, values, networks = summary.keys.split(), summary.values.split(), summary.networks.split()
    rows = summary.prepare(table) if len(table) else table
    if not len(rows):
        return pd.DataFrame(columns=[*keys, "rows", *values])
    number = rows.groupby(keys, sort=False, dropna=False).ngroup().to_numpy()
    groups = np.split(np.argsort(number, kind="stable"), np.bincount(number).cumsum()[:-1])
    columns = {value: rows[value].to_numpy(dtype=float) for value in values}
    metrics = rows["metric"].to_numpy() if "metric" in rows else np.full(len(rows), "error")
    members, trivial = _members(rows, networks), summary.trivial(rows).to_numpy()
    ends = rows[["end_a", "end_b"]].to_numpy(dtype=float) if "end_a" in rows else np.zeros((len(rows), 2))
    lines = []
    for group in groups:
        line: dict[str, Any] = {"rows": len(group)}
        named, of_errors = [members[row] for row in group], set(metrics[group]) == {"error"}
        if networks:
            line["networks"] = len({name for names in named for name in names})
        for value, measured in columns.items():
            part = measured[group]
            known = part[~np.isnan(part)]
            line[value] = known.sum() / len(known) if len(known) else math.nan
            if networks:
                line[f"{value}_low"], line[f"{value}_high"] = _interval(part, value, named, of_errors)
        if "barrier" in columns and of_errors and not math.isnan(line["barrier"]):
            line["below"] = float((columns["barrier"][group] < CONNECTED).mean())
            line["verdict"] = None
            if not trivial[group].all():
                estimate = line["barrier"], line.get("barrier_low"), line.get("barrier_high")
                line["verdict"] = verdict(*estimate, float(ends[group].mean(axis=0).max()))
        lines.append(line)
    firsts = rows[keys].iloc[[group[0] for group in groups]].reset_index(drop=True)
    found = firsts.join(pd.DataFrame(lines))
    numbers = [*values, *(f"{value}_{end}" for value in values for end in ("low", "high") if networks)]
    for column in [column for column in (*numbers, "below") if column in found]:
        found[column] = [float(f"{value:.{DIGITS}g}") for value in found[column]]
    if summary.moments and "verdict" in found:
        others = [key for key in keys if key not in summary.moments.split()]
        one = found[~summary.several(found)]
        for _, moments in one.groupby(others, sort=False, dropna=False):
            found.loc[moments.index, "simultaneous"] = simultaneous(moments["verdict"])[0]
    return found


def frames(rows: DataFrame) -> Series:
    """Say in whose frame two networks are: `none`, the `first` of them, a `third` network, or the one `common` to all.

    Args:
        rows: of a table with claims; where no third network is named, strong barriers by what matches pairs have one.
    """
    weak = rows["claim"] == "weak"
    through = rows["reference"].notna() if "reference" in rows else rows["method"].isin(rows.loc[weak, "method"])
    found = rows["claim"].where(~weak, "first")
    return found.mask(rows["claim"] == "strong", through.map({True: "third", False: "common"}))


def framed(rows: DataFrame) -> DataFrame:
    """Add the column `frame` (see ``frames``)."""
    return rows.assign(frame=frames(rows))


def verdict(mean: float, low: float | None, high: float | None, error: float = 0.0) -> str | None:
    """Say whether networks are connected (see ``MEANING``).

    Args:
        mean: of their error barriers.
        low: lower end of its interval; None or nan where there is none.
        high: upper end.
        error: the mean error of the networks themselves, of the end that errs more.
    """
    if low is not None and low >= CONNECTED:
        return VERDICTS[1]
    if error > LEARNED:
        return None
    known = low is not None and high is not None and not math.isnan(low + high)
    return VERDICTS[0] if known and max(mean, high or 0.0) < CONNECTED else VERDICTS[2]


def simultaneous(verdicts: Series) -> tuple[str | None, Series]:
    """Say whether networks are connected at every moment by one permutation.

    Args:
        verdicts: of the moments.

    Returns:
        The verdict: connected where all are, not connected where one is not, and else not decided; None where no moment
        has one. And which moments have this verdict.
    """
    is_connected, not_connected, not_decided = VERDICTS
    for said in (not_connected, not_decided, is_connected):
        if (verdicts == said).any():
            return said, verdicts == said
    return None, verdicts == not_connected


def _members(rows: DataFrame, networks: list[str]) -> list[list[int]]:
    """Return the networks of each row; a column may name several, joined by hyphens, or none."""
    cells = rows[networks].astype(object).itertuples(index=False)
    named = rows[networks].notna().itertuples(index=False)
    return [
        [int(float(name)) for cell in compress(row, there) for name in str(cell).split("-")]
        for row, there in zip(cells, named, strict=True)
    ]


def _interval(values: np.ndarray, name: str, members: list[list[int]], of_errors: bool) -> tuple[float, float]:
    import numpy as np

    if len({len(row) for row in members}) != 1:
        return math.nan, math.nan
    return _bounded(values, name, np.array(members), of_errors)


def interval(rows: DataFrame, value: str, networks: np.ndarray) -> tuple[float, float]:
    """Return the 95 % interval of the mean of a column, cut off where its values end (see ``RANGES``).

    Args:
        rows: of a table, of one metric where they have metrics.
        value: the column; `barrier` has the interval of barriers.
        networks: the networks of each row, [rows, k].

    Returns:
        The bounds; (nan, nan) where there are too few networks for them (see ``statistics.interval``).
    """
    of_errors = set(rows.get("metric", ["error"])) == {"error"}
    return _bounded(rows[value].to_numpy(dtype=float), value, networks, of_errors)


def _bounded(values: np.ndarray, name: str, networks: np.ndarray, of_errors: bool) -> tuple[float, float]:
    from onebasin import statistics

    low, high = statistics.interval(values, networks, barriers=name == "barrier")
    least, most = {**RANGES, **(RANGES_OF_ERRORS if of_errors else {})}.get(name, (-math.inf, math.inf))
    return min(max(low, least), most), min(max(high, least), most)
