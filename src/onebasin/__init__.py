"""Linear mode connectivity of neural networks modulo permutation."""

from importlib.metadata import PackageNotFoundError, version

try:
    __version__ = version("onebasin")
except PackageNotFoundError:  # used from a source tree that was not installed
    __version__ = "0+unknown"
