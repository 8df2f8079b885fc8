"""Networks that were trained elsewhere: state dicts read without running code, and held against a model."""

from onebasin.foreign.fitting import fit, restore
from onebasin.foreign.reading import parts, read

__all__ = ["fit", "parts", "read", "restore"]
