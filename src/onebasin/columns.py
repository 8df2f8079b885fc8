"""Columns of tables: what each holds, in which unit, and the columns that many tables share."""

from __future__ import annotations

from dataclasses import dataclass, replace

TEXT, WHOLE, NUMBER = "text", "whole", "number"


@dataclass(frozen=True)
class Column:
    """A column of a table.

    Attributes:
        name: as in the header of the file.
        type: "text", "whole" (a whole number) or "number".
        meaning: what it holds, with its unit.
        optional: whether a cell may be empty.
    """

    name: str
    type: str
    meaning: str
    optional: bool = False

    def __post_init__(self) -> None:
        """Check the type."""
        if self.type not in (TEXT, WHOLE, NUMBER):
            raise ValueError(f"column {self.name}: type {self.type!r} is none of text, whole, number")

    def meant(self, meaning: str) -> Column:
        """Return the column with another meaning."""
        return replace(self, meaning=meaning)


Columns = tuple[Column, ...]

CONFIGURATION: Columns = (
    Column("model", TEXT, "name of the model in the config"),
    Column("width", WHOLE, "width of the network, in units of the model family"),
)
METHOD: Columns = (
    Column("method", TEXT, "name of the matching method or frame in the config; `none` without a permutation"),
    Column("algorithm", TEXT, "algorithm of the method; `none` without a permutation"),
    Column(
        "compared",
        TEXT,
        "what the algorithm compares: `weights`, `activations`, or the `loss` of mixtures; `none` for no permutation",
    ),
)
CLAIM: Columns = (
    Column(
        "claim",
        TEXT,
        "`none`, `weak` or `strong`: no permutation, b aligned to a, both in the frame of a third one or of all",
    ),
    Column(
        "reference",
        WHOLE,
        "seed of the third network; empty unless the claim is `strong`, and in the frame common to all",
        optional=True,
    ),
)
PAIR: Columns = (
    Column("a", WHOLE, "seed of the first network"),
    Column("b", WHOLE, "seed of the second network"),
)
SPLIT = Column("split", TEXT, "`train` or `test`: the data on which it is measured")
METRIC = Column(
    "metric",
    TEXT,
    "`loss` (cross-entropy, nats), `error` (fraction of labels missed, 0 to 1) or `loss_calibrated` (nats)",
)
VALUES: Columns = (
    Column("loss", NUMBER, "mean cross-entropy, nats"),
    Column(
        "error", NUMBER, "fraction of labels missed, 0 to 1: an image has one label, a piece of text one for each byte"
    ),
    Column(
        "loss_calibrated",
        NUMBER,
        "loss after division of the logits by a temperature fitted on held-out data; empty without",
        optional=True,
    ),
)
CURVE: Columns = (SPLIT, Column("alpha", NUMBER, "share of network b on the line from a (0) to b (1)"), *VALUES)
BARRIER: Columns = (
    SPLIT,
    METRIC,
    Column("barrier", NUMBER, "largest rise above the straight line between the ends, in the unit of the metric"),
    Column("alpha", NUMBER, "share of the last network where the rise is largest"),
    Column("end_a", NUMBER, "metric of the first network (alpha 0), in the unit of the metric"),
    Column("end_b", NUMBER, "metric of the last network (alpha 1), in the unit of the metric"),
)
VALUES_OF_SPLITS: Columns = (
    Column("train_loss", NUMBER, "mean cross-entropy of the network on the training data, nats"),
    Column("train_error", NUMBER, "fraction of the labels of the training data that the network misses, 0 to 1"),
    Column("test_loss", NUMBER, "mean cross-entropy of the network on the test data, nats"),
    Column("test_error", NUMBER, "fraction of the labels of the test data that the network misses, 0 to 1"),
)
LEVEL: Columns = (
    Column("level", WHOLE, "level of pruning; 0 is the trained network, of which nothing is pruned"),
    Column("density", NUMBER, "share of the weights that remain, of all that may be pruned, 0 to 1"),
)
REACHED: Columns = (
    Column("objective", NUMBER, "what the method maximises, at the permutation found; unit of the method"),
    Column("similarity", NUMBER, "cosine of all permutable parameters of a and b after the permutation, -1 to 1"),
)
MEMORY = Column(
    "memory",
    NUMBER,
    "most memory taken during the matching above what was taken before, MB; on a GPU, of its memory; "
    "empty where that cannot be read",
    optional=True,
)
