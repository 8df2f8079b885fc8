"""Training of one network: data on the device, resumable after every epoch, the same bytes whether stopped or not.

Work happens in a folder of its own, beside the files that are promised. After an epoch the whole state (parameters,
optimiser, history) is saved there with the identity of the run: everything that shapes its result. A later start with
the same identity continues from it; with another it starts afresh. Files get their promised names at the end, when all
of them are complete.
"""

from onebasin.train.course import KINDS, Branch
from onebasin.train.loop import Outputs, train
from onebasin.train.resume import COLUMNS
from onebasin.train.settings import (
    AUGMENTATIONS,
    OPTIMIZERS,
    PRECISIONS,
    SCHEDULES,
    WARMUP_UNITS,
    Settings,
    TrainingError,
    rate,
)

__all__ = [
    "AUGMENTATIONS",
    "COLUMNS",
    "KINDS",
    "OPTIMIZERS",
    "PRECISIONS",
    "SCHEDULES",
    "WARMUP_UNITS",
    "Branch",
    "Outputs",
    "Settings",
    "TrainingError",
    "rate",
    "train",
]
