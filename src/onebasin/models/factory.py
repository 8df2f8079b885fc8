"""Models that are not of this package: a function that builds one, named as ``package.module:function``."""

from __future__ import annotations

import importlib
import inspect
import sys
from collections.abc import Callable, Mapping, Sequence
from functools import reduce
from pathlib import Path
from typing import Any

from torch import nn


class FactoryError(ValueError):
    """A function that builds a model cannot be found, or does not build one; the message is one line."""


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


def build(
    spec: str,
    *,
    width: int,
    classes: int,
    image_shape: Sequence[int] | None = None,
    context: int | None = None,
    options: Mapping[str, Any] | None = None,
    folder: str | Path | None = None,
) -> nn.Module:
    """Build a network by a function that is not of this package.

    The function gets those of `width`, `classes`, `image_shape` and `context` that its parameters name and that there
    are, and all options. One that takes no width builds networks of one size, and is called for width 1 alone.

    Args:
        spec: ``package.module:function``, as for ``load``.
        width: unit of the layer sizes, at least 1.
        classes: number of outputs.
        image_shape: channels, height, width of an image; None for text.
        context: bytes of a piece of text; None for images.
        options: further arguments, by name.
        folder: as for ``load``.

    Returns:
        What the function returned: images float32 [n, channels, height, width] to logits [n, classes]; or bytes of text
        int64 [n, context] to logits [n, classes, context].

    Raises:
        FactoryError: if there is no such function, it does not take these arguments, or it returns no module. What
            the function itself raises goes through.
    """
    function = load(spec, folder)
    signature = inspect.signature(function)
    given = {"width": width, "image_shape": image_shape and tuple(image_shape), "classes": classes, "context": context}
    arguments = {
        name: value for name, value in given.items() if value is not None and name in signature.parameters
    } | dict(options or {})
    if "width" not in arguments and width != 1:
        raise FactoryError(f"factory {spec!r}: it takes no width, so that its only width is 1, not {width}")
    try:
        signature.bind(**arguments)
    except TypeError as error:
        raise FactoryError(f"factory {spec!r}: called with {', '.join(arguments)}: {error}") from error
    model = function(**arguments)
    if not isinstance(model, nn.Module):
        raise FactoryError(f"factory {spec!r}: it returned a {type(model).__name__}, not a torch.nn.Module")
    return model
