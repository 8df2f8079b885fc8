"""The code of a user's own function that builds a model, and its hash.

A module is looked for where Snakemake runs, then beside the config files, then among what is installed. What is
installed is not hashed: it has a version, and is not edited.
"""

from __future__ import annotations

import functools
import hashlib
import importlib.util
from collections.abc import Mapping, Sequence
from modulefinder import ModuleFinder
from pathlib import Path
from typing import Any

from workflow.validation import refuse


class _Finder(ModuleFinder):
    """The modules that a module imports from its own folder, found without running them."""

    def find_module(self, name: str, path: Any, parent: Any = None) -> Any:
        try:
            return super().find_module(name, path, parent)
        except AttributeError as error:  # a folder that is no package
            raise ImportError(name) from error


def folder(factory: str, folders: Sequence[Path]) -> Path | None:
    """Return the folder from which the module of a factory is imported; None where it is none of the user's own."""
    *packages, module = factory.partition(":")[0].split(".")
    for candidate in folders:
        place = candidate
        for package in packages:
            place /= package
            if not (place / "__init__.py").is_file():
                break
        else:
            if (place / f"{module}.py").is_file() or (place / module / "__init__.py").is_file():
                return candidate
    return None


def digest(factory: str, folders: Sequence[Path]) -> str | None:
    """Return the hash of the module of a factory and of what it imports from its folder; None where it is installed."""
    place = folder(factory, folders)
    return None if place is None else _digest(factory, place)


@functools.cache
def _digest(factory: str, place: Path) -> str:
    code = _Finder(path=[str(place)])
    code.import_hook(factory.partition(":")[0])
    found = hashlib.sha256()
    for name, module in sorted(code.modules.items()):
        if file := getattr(module, "__file__", None):
            found.update(f"{name}\0{hashlib.sha256(Path(file).read_bytes()).hexdigest()}\0".encode())
    return found.hexdigest()


def check(models: Sequence[Mapping[str, Any]], folders: Sequence[Path], *, installed: bool = True) -> None:
    """Refuse functions whose module is not there, or cannot be read.

    Args:
        models: the section `models` of the config.
        folders: where modules of the user's own are looked for.
        installed: whether jobs see what is installed here, and not what an environment of their own has.
    """
    for index, model in enumerate(models):
        if "factory" not in model:
            continue
        key, factory = f"models[{index}].factory", model["factory"]
        package = factory.partition(":")[0].partition(".")[0]
        if folder(factory, folders) is None:
            if installed and importlib.util.find_spec(package) is None:
                places = " or ".join(map(str, folders))
                refuse(key, f"there is no module of {factory!r} in {places}, and none is installed")
            continue
        try:
            digest(factory, folders)
        except (SyntaxError, ValueError, OSError) as error:
            refuse(key, f"{factory!r} cannot be read: {error}")
