"""Summaries of a study's tables, as `onebasin.summaries` makes them, small enough to be kept beside the documents.

They lie in docs/<study>/tables, and are what the numbers of the pages come from, since the tables themselves are not
in the repository. `docs/quoted.py` writes them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pandas as pd

from onebasin import tables
from onebasin.experiments import rooms
from onebasin.summaries import DIGITS, Summary, summarise


@dataclass(frozen=True)
class Kept:
    """What is kept of a table.

    Attributes:
        where: the rows that are kept, by column.
        changes: what differs from the summary of the experiment.
    """

    where: Mapping[str, Any] = field(default_factory=dict)
    changes: Mapping[str, Any] = field(default_factory=dict)

    def of(self, table: pd.DataFrame, summary: Summary) -> pd.DataFrame:
        """Summarise a table."""
        for column, value in self.where.items():
            table = table[table[column] == value]
        keys = " ".join(key for key in summary.keys.split() if key not in self.where)
        found = summarise(table, replace(summary, **{"keys": keys, **self.changes}))
        kept = [] if "networks" in self.changes.get("values", "") else ["networks"]
        return found.drop(columns=[*kept, "below", "verdict", "simultaneous"], errors="ignore")


def _remaining(rows: pd.DataFrame) -> pd.DataFrame:
    """Give means over all widths the width 0, and say as a number which differences Holm's correction leaves."""
    return rows.assign(width=rows["width"].fillna(0), remains=(rows["holm"] == "yes").astype(float))


ERROR = {"metric": "error"}
TRAIN = {"metric": "error", "split": "train"}
KEPT = {
    "errors": Kept(changes={"values": "error"}),
    "width": Kept(ERROR),
    "scaling": Kept(ERROR),
    "differences": Kept(ERROR, {"values": "difference low high networks remains", "prepare": _remaining}),
    "consensus": Kept(ERROR, {"networks": ""}),
    "control": Kept(ERROR),
    "star": Kept(ERROR, {"values": "barrier excess end_a"}),
    "butterfly": Kept(ERROR, {"values": "barrier change distance fixed_points disagreement angular_cka"}),
    "layerwise": Kept(ERROR, {"values": "barrier halfway"}),
    "transience": Kept(ERROR, {"values": "value gain gain_easy gain_hard barrier"}),
    "splits": Kept({**ERROR, "split": "test"}, {"values": "value"}),
    "nonlocal": Kept({**ERROR, "split": "test"}, {"values": "value excess change"}),
    "linear": Kept({**ERROR, "split": "test"}, {"values": "value excess"}),
    "mechanism": Kept(),
    "mechanism_share": Kept(changes={"values": "share low high from_none none matched networks"}),
    "mechanism_layers": Kept({"split": "test"}),
    "methods": Kept(TRAIN, {"values": "barrier objective"}),
    "trajectory": Kept(TRAIN),
    "stability": Kept(),
    "layers": Kept(TRAIN),
    "superposition": Kept(TRAIN),
    "sparsity": Kept(TRAIN),
    "tickets": Kept(),
    "cycles": Kept(TRAIN),
    "embedding": Kept(TRAIN),
    "transfer": Kept(TRAIN),
    "transfer_masks": Kept(),
}


def summarise_study(results: Path) -> dict[str, pd.DataFrame]:
    """Return the summaries of the tables that a study has, by name.

    Args:
        results: the folder of the study.
    """
    found = {name: results / f"tables/{name}.csv" for name in KEPT}
    return {
        name: KEPT[name].of(tables.read(path, name), rooms()[name].module.SUMMARY)
        for name, path in found.items()
        if path.exists()
    }


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
