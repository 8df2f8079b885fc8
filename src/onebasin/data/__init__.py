"""Data sets of images to classify, or of text to go on with, held in memory as one tensor per split."""

from onebasin.data import file
from onebasin.data.dataset import NORMALISATIONS, DataError, Dataset, normalised, open_, save
from onebasin.data.sources import CONTEXT, DATASETS, IMAGE_SIZE, load
from onebasin.data.splits import DIVISIONS, TEST_FRACTION, VARIANTS, divide, hold_out, mislabel, stratified_split, vary

__all__ = [
    "CONTEXT",
    "DATASETS",
    "DIVISIONS",
    "IMAGE_SIZE",
    "NORMALISATIONS",
    "TEST_FRACTION",
    "VARIANTS",
    "DataError",
    "Dataset",
    "divide",
    "file",
    "hold_out",
    "load",
    "mislabel",
    "normalised",
    "open_",
    "save",
    "stratified_split",
    "vary",
]
