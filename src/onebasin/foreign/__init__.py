"""Networks that were trained elsewhere: state dicts read without running code, and held against a model."""

from onebasin.foreign.fitting import fit, restore
from onebasin.foreign.reading import read, read_wrapped

__all__ = ["fit", "read", "read_wrapped", "restore"]
