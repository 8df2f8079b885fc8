"""Linear mode connectivity of neural networks modulo permutation.

    symmetry = onebasin.discover(model, example)
    match = onebasin.match.weights(symmetry, state_a, state_b)
    aligned = symmetry.apply(match.permutation, state_b)
    curve = onebasin.barrier.curve(model, state_a, aligned, images, labels)
    onebasin.plot(curve)

Modules and functions are loaded when they are first used: `import onebasin` alone imports no PyTorch.
"""

from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from onebasin import (
        barrier,
        checkpoint,
        data,
        figures,
        foreign,
        match,
        models,
        networks,
        permutation,
        seeding,
        symmetry,
        tables,
        train,
    )
    from onebasin.figures.plot import plot
    from onebasin.landscape import claims, repair
    from onebasin.networks.align import align
    from onebasin.networks.diagnose import diagnose
    from onebasin.networks.merge import merge
    from onebasin.permutation import Permutation
    from onebasin.symmetry import discover

try:
    __version__ = version("onebasin")
except PackageNotFoundError:  # used from a source tree that was not installed
    __version__ = "0+unknown"

__all__ = [
    "Permutation",
    "align",
    "barrier",
    "checkpoint",
    "claims",
    "data",
    "diagnose",
    "discover",
    "figures",
    "foreign",
    "match",
    "merge",
    "models",
    "networks",
    "permutation",
    "plot",
    "repair",
    "seeding",
    "symmetry",
    "tables",
    "train",
]

_HOMES = {
    "Permutation": "permutation",
    "align": "networks",
    "claims": "landscape",
    "diagnose": "networks",
    "discover": "symmetry",
    "merge": "networks",
    "plot": "figures.plot",
    "repair": "landscape",
}


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        home = import_module(f"onebasin.{_HOMES[name]}")
        return getattr(home, name) if hasattr(home, name) else import_module(f"onebasin.{_HOMES[name]}.{name}")
    if name in __all__:
        return import_module(f"onebasin.{name}")
    raise AttributeError(f"module 'onebasin' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
