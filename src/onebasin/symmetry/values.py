"""What a model is called with and what it returns: tensors, wherever they lie inside other values."""

from __future__ import annotations

import copy
import types
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any

import numpy as np
import torch
from torch import Tensor


class SymmetryError(ValueError):
    """The permutation groups of a model cannot be found, or a permutation changes its function."""


_ATOMIC = (type(None), bool, int, float, complex, str, bytes)
# Values without parts, which are compared as they are.
_PLAIN = (
    *_ATOMIC,
    Enum,
    type,
    np.generic,
    torch.dtype,
    torch.device,
    torch.Size,
    types.FunctionType,
    types.BuiltinFunctionType,
    types.MethodType,
    types.ModuleType,
)


@dataclass(frozen=True)
class Call:
    """The arguments of one call of a model."""

    positional: tuple[Any, ...]
    named: Mapping[str, Any]

    @classmethod
    def of(cls, example_input: Any) -> Call:
        """Read an example input: a tuple holds positional arguments, a mapping keyword arguments."""
        if isinstance(example_input, tuple):
            return cls(example_input, {})
        if isinstance(example_input, Mapping):
            return cls((), {str(key): value for key, value in example_input.items()})
        return cls((example_input,), {})

    def tensors(self) -> list[Tensor]:
        """Return the tensors among the arguments, in order, each once."""
        found = {id(leaf): leaf for leaf in leaves((self.positional, dict(self.named))) if torch.is_tensor(leaf)}
        return list(found.values())

    def map(self, function: Callable[[Tensor], Tensor]) -> Call:
        """Return a copy of the arguments in which ``function`` has replaced every tensor."""
        return duplicate(self, {id(tensor): function(tensor) for tensor in self.tensors()})


def duplicate(value: Any, known: dict[int, Any]) -> Any:
    """Return a deep copy of a value; what cannot be copied, such as a lock or a file, is shared.

    Args:
        value: any value.
        known: copies that are there already, by the identity of what they are copies of; more are added.
    """
    if id(value) in known or isinstance(value, _ATOMIC):
        return known.get(id(value), value)
    if type(value) in (dict, OrderedDict):
        known[id(value)] = twin = type(value)()
        twin.update((key, duplicate(item, known)) for key, item in value.items())
        return twin
    for leaf in leaves(value):
        if torch.is_tensor(leaf) and id(leaf) not in known:
            # A tensor that remembers how it was computed refuses to be copied.
            known[id(leaf)] = like(leaf.detach().clone(), leaf)
    try:
        return copy.deepcopy(value, known)
    except Exception:  # whatever a foreign object raises
        return value


def like(value: Tensor, original: Tensor) -> Tensor:
    """Return ``value`` as a parameter if the original is one, with the attributes that were given to the original."""
    if isinstance(original, torch.nn.Parameter):
        value = torch.nn.Parameter(value, requires_grad=False)
    value.__dict__.update(vars(original))
    return value


def leaves(value: Any) -> Iterator[Any]:
    """Yield the tensors and the plain values inside containers, dataclasses and other objects, in order.

    An object of which Python shows no parts, as an iterator, is yielded itself.
    """
    seen: set[int] = set()
    waiting = [value]
    while waiting:
        item = waiting.pop()
        if torch.is_tensor(item) or isinstance(item, _PLAIN):
            yield item
            continue
        if id(item) in seen:
            continue
        seen.add(id(item))
        parts = _parts(item)
        if parts is None:
            yield item
        else:
            waiting.extend(reversed(parts))


def _parts(item: Any) -> list[Any] | None:
    if isinstance(item, torch.nn.Module):
        return None
    if isinstance(item, Mapping):
        return list(item.values())
    if isinstance(item, list | tuple | set | frozenset):
        return list(item)
    return list(vars(item).values()) if hasattr(item, "__dict__") else None


def outputs(value: Any) -> list[Any]:
    """Return the tensors and numbers that a model returned.

    Raises:
        SymmetryError: if there is no tensor among them, or an object in which none can be found.
    """
    found = list(leaves(value))
    for leaf in found:
        if not (torch.is_tensor(leaf) or isinstance(leaf, _PLAIN)):
            raise SymmetryError(
                f"the model returns a {type(leaf).__name__}, whose tensors cannot be found: "
                "wrap it in a module that returns tensors"
            )
    if not any(torch.is_tensor(leaf) for leaf in found):
        raise SymmetryError(f"the model returns a {type(value).__name__} that holds no tensor")
    return [leaf for leaf in found if torch.is_tensor(leaf) or isinstance(leaf, int | float | complex)]
