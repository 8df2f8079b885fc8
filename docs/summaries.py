"""Summaries of a study's tables: means over paths or networks, small enough to be kept beside the documents.

They lie in docs/<study>/tables, and are what the numbers of the pages come from, since the tables themselves are not
in the repository. `docs/quoted.py` writes them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from onebasin import statistics, tables


@dataclass(frozen=True)
class Summary:
    """What is kept of a table: for each combination of its keys the means of its values.

    Attributes:
        keys: columns that tell the groups of rows apart, separated by spaces.
        values: columns of which the mean is kept, with its interval.
        networks: columns that name the networks of a row; without them there are no intervals.
        where: the rows that are kept, by column.
        prepare: what is done to the rows before.
    """

    keys: str
    values: str
    networks: str = ""
    where: Mapping[str, Any] = field(default_factory=dict)
    prepare: Callable[[pd.DataFrame], pd.DataFrame] = lambda rows: rows


def _weighted(rows: pd.DataFrame) -> pd.DataFrame:
    """Weight the shares of the groups of a network, so that their mean is the share of all its units."""
    units = rows["units"]
    every = units.groupby([rows[key] for key in ("model", "width", "method", "first", "second", "a", "b")])
    return rows.assign(fixed=rows["fixed"] * units / every.transform("mean"))


def _apart(rows: pd.DataFrame) -> pd.DataFrame:
    """Name the padded networks otherwise than the wide ones, which may have the same seeds."""
    return rows.assign(b=rows["b"] + rows["a"].max() + 1)


def _gained(rows: pd.DataFrame) -> pd.DataFrame:
    """Add what a mask leaves more, or less, than the same one as it is."""
    place = ["model", "width", "level", "seed", "source"]
    plain = rows[rows["mask"] == "unpermuted"].set_index(place)["test_error"]
    return rows.assign(more=rows["test_error"] - plain.reindex(pd.MultiIndex.from_frame(rows[place])).to_numpy())


def _seeds(rows: pd.DataFrame) -> pd.DataFrame:
    """Tell pairs of one seed, trained on two data sets, from pairs of two."""
    return rows.assign(seeds=(rows["a"] != rows["b"]).map({False: "one", True: "two"}))


def _remaining(rows: pd.DataFrame) -> pd.DataFrame:
    """Give means over all widths the width 0, and say as a number which differences Holm's correction leaves."""
    return rows.assign(width=rows["width"].fillna(0), remains=(rows["holm"] == "yes").astype(float))


DIGITS = 6
ERROR = {"metric": "error"}
TRAIN = {"metric": "error", "split": "train"}
SUMMARIES = {
    "width": Summary("model width method claim split", "barrier", "reference a b", ERROR),
    "scaling": Summary(
        "model method claim split",
        "narrowest widest beta beta_low beta_high crossing crossing_low crossing_high deviation deviation_low "
        "deviation_high",
        "", ERROR,
    ),
    "differences": Summary(
        "model width split kind first_claim first second_claim second", "difference low high networks remains", "",
        ERROR, _remaining,
    ),
    "consensus": Summary("model width method correction count over split", "value baseline barrier", "", ERROR),
    "control": Summary("model width kind method split", "middle end_a end_b", "a b", ERROR),
    "methods": Summary("model width method claim", "barrier objective", "a b", TRAIN),
    "trajectory": Summary("model width method found epoch", "barrier", "a b", TRAIN),
    "stability": Summary("model width method first second", "fixed", "a b", {}, _weighted),
    "layers": Summary("model width method kind rewound place", "barrier", "a b", TRAIN),
    "superposition": Summary("model width method matched epoch", "barrier", "a b", TRAIN),
    "sparsity": Summary("model width level density permutation method", "barrier", "a b", TRAIN),
    "tickets": Summary("model width level density mask method", "test_error more", "seed source", {}, _gained),
    "cycles": Summary("model width method kind length", "barrier fixed_points chance", "networks", TRAIN),
    "embedding": Summary("model width narrow method", "barrier", "a b", TRAIN, _apart),
    "transfer": Summary(
        "model width method trained_a trained_b seeds permutation data", "barrier agreement fixed_points chance",
        "a b", TRAIN, _seeds,
    ),
    "transfer_masks": Summary("model width level density mask method", "test_error more", "seed source", {}, _gained),
}  # fmt: skip


def summarise(results: Path) -> dict[str, pd.DataFrame]:
    """Return the summaries of the tables that a study has, by name.

    Args:
        results: the folder of the study.
    """
    found = {name: results / f"tables/{name}.csv" for name in SUMMARIES}
    return {name: _means(tables.read(path, name), SUMMARIES[name]) for name, path in found.items() if path.exists()}


def write(folder: Path, summaries: Mapping[str, pd.DataFrame]) -> None:
    """Write summaries, and nothing of those that are not among them."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, rows in summaries.items():
        rows.to_csv(folder / f"{name}.csv", index=False, float_format=f"%.{DIGITS}g", lineterminator="\n")


def read(folder: Path) -> dict[str, pd.DataFrame]:
    """Read the summaries of a folder."""
    return {
        path.stem: pd.read_csv(path, keep_default_na=False, na_values=[""]) for path in sorted(folder.glob("*.csv"))
    }


def interval(rows: pd.DataFrame, value: str, networks: list[str]) -> tuple[float, float]:
    """Return the 95 % interval of the mean of a column over rows that share networks."""
    names = rows[networks].dropna(axis="columns", how="all").astype(str).agg("-".join, axis="columns")
    members = np.array([list(map(int, name.split("-"))) for name in names])
    return statistics.interval(rows[value].to_numpy(dtype=float), members, barriers=value == "barrier")


def _means(rows: pd.DataFrame, summary: Summary) -> pd.DataFrame:
    keys, values, networks = summary.keys.split(), summary.values.split(), summary.networks.split()
    for column, value in summary.where.items():
        rows = rows[rows[column] == value]
    lines = []
    for key, group in summary.prepare(rows).groupby(keys, sort=False, dropna=False):
        line = {**dict(zip(keys, key, strict=True)), "rows": len(group)}
        for value in values:
            line[value] = group[value].mean()
            if networks:
                line[f"{value}_low"], line[f"{value}_high"] = interval(group, value, networks)
        lines.append(line)
    means = pd.DataFrame(lines)
    for column in values + [f"{value}_{end}" for value in values for end in ("low", "high") if networks]:
        means[column] = [float(f"{value:.{DIGITS}g}") for value in means[column]]
    return means
