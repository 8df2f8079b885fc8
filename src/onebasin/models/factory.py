"""Models that are not of this package: a function that builds one, named as ``package.module:function``."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable
from functools import reduce
from pathlib import Path
from typing import Any


class FactoryError(ValueError):
    """A function that builds a model cannot be found; the message is one line."""


def load(spec: str, folder: str | Path | None = None) -> Callable[..., Any]:
    """Return the function that ``package.module:function`` names.

    Args:
        spec: the module as it would be imported, a colon, and the function or class in it.
        folder: where modules are looked for before the installed ones; the current directory by default.

    Raises:
        FactoryError: if there is no such module or function, or the module cannot be imported.
    """
    module_name, _, function_name = spec.partition(":")
    if not all(part.isidentifier() for name in (module_name, function_name) for part in name.split(".")):
        raise FactoryError(f"factory {spec!r}: give package.module:function")
    where = str(Path(folder if folder is not None else ".").resolve())
    if where not in sys.path:
        sys.path.insert(0, where)
        importlib.invalidate_caches()
    try:
        module = importlib.import_module(module_name)
    except Exception as error:  # whatever a foreign file does when it is run
        if isinstance(error, ModuleNotFoundError) and error.name and f"{module_name}.".startswith(f"{error.name}."):
            raise FactoryError(f"factory {spec!r}: there is no module {error.name!r} here or in {where}") from error
        reason = " ".join(str(error).split())
        raise FactoryError(
            f"factory {spec!r}: importing {module_name} failed: {type(error).__name__}: {reason}"
        ) from error
    try:
        function = reduce(getattr, function_name.split("."), module)
    except AttributeError as error:
        raise FactoryError(f"factory {spec!r}: {module_name} has no {function_name!r}") from error
    if not callable(function):
        raise FactoryError(f"factory {spec!r}: {function_name} is a {type(function).__name__}, not a function")
    return function
