"""State dicts held against a model, and given back the keys and types of the file that they came from."""

from __future__ import annotations

import itertools
import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from onebasin.files import FileError
from onebasin.foreign.reading import dense


def fit(model: nn.Module, state: Mapping[str, Tensor], name: str | Path = "the state") -> dict[str, Tensor]:
    """Hold a state dict against a model, and return it as the model's own would be.

    A prefix that all keys have, such as DataParallel, ``torch.compile`` and Lightning put before them, is dropped where
    the model lacks it, and one that all keys of the model have is added. Tensors that the model shares may be given
    once, counters of batch norm may be missing, sparse tensors are made dense, and floating-point tensors are converted
    to the model's precision. ``restore`` is the way back.

    Args:
        model: the module; its parameters are not changed.
        state: tensors by name.
        name: what the message calls the state.

    Returns:
        The tensors by the keys of ``model.state_dict()``, in its order, with its shapes and types.

    Raises:
        FileError: if keys are missing or unknown, shapes or types differ, or tensors that the model shares have come
            apart; the message lists all of them.
    """
    own = _own(model)
    names = _match(state, own)
    given = dense({names.of[key]: value for key, value in state.items()}, name)
    problems = [f"missing {key}" for key in names.missing]
    problems += [f"unknown {key}" for key in names.unknown]
    found: dict[str, Tensor] = {}
    for key, value in own.items():
        first = names.first[key]
        tensor = given.get(key, given.get(first, value if _counts(key) else None))
        if tensor is None:
            continue
        if tensor.shape != value.shape:
            problems.append(f"{key} has shape {list(tensor.shape)}, the model's {list(value.shape)}")
            continue
        # What halves a whole state dict halves its counters, too.
        if not _counts(key) and _kind(tensor) != _kind(value):
            problems.append(f"{key} is {tensor.dtype}, the model's {value.dtype}")
            continue
        found[key] = tensor.detach().to(value)
        if not torch.isfinite(found[key]).all():
            problems.append(f"{key} holds numbers that are not finite")
        elif key != first and first in found and not torch.equal(found[key], found[first]):
            problems.append(f"{key} differs from {first}, and the model shares them")
    if problems:
        raise FileError(
            f"{name} does not fit the model{names.read}: {'; '.join(problems)}{names.advice or _of_shards(name)}"
        )
    return found


def restore(
    model: nn.Module, state: Mapping[str, Tensor], original: Mapping[str, Tensor], name: str | Path = "the original"
) -> dict[str, Tensor]:
    """Give a state of a model the keys and types of a file, so that what loads the file loads the state too.

    The inverse of ``fit``: ``restore(model, fit(model, original), original)`` has the values of ``original``, unless
    these are of a higher precision than the model's.

    Args:
        model: the module; its parameters are not changed.
        state: tensors by the keys of ``model.state_dict()``, as ``fit`` returns them: permuted, or a mixture.
        original: tensors by the keys of the file, as ``read`` returns them.
        name: what the message calls the original.

    Returns:
        The tensors of the state by the keys of ``original``, in its order, with its prefix, its counters and shared
        tensors where it has them, and its types; dense, and on the CPU.

    Raises:
        FileError: if the keys of the original do not fit the model, or the state lacks one of them.
    """
    names = _match(original, _own(model))
    lacking = [*names.missing, *names.unknown, *(key for key in names.of.values() if key not in state)]
    if lacking:
        raise FileError(f"{name} has other keys than the state or its model: {', '.join(dict.fromkeys(lacking))}")
    return {key: state[names.of[key]].detach().to("cpu", value.dtype) for key, value in original.items()}


@dataclass(frozen=True)
class _Names:
    """How the keys of a file and those of a model belong together.

    Attributes:
        of: the key in the model by the key in the file.
        first: by each key of the model, the first key of the file's that is the same tensor in the model.
        missing: keys of the model that no key of the file stands for.
        unknown: keys of the file, without what was dropped, that the model lacks.
        read: words on the prefix that was dropped or added.
        advice: words on how to go on.
    """

    of: dict[str, str]
    first: dict[str, str]
    missing: list[str]
    unknown: list[str]
    read: str = ""
    advice: str = ""


def _match(given: Iterable[str], own: Mapping[str, Tensor]) -> _Names:
    """Find the prefixes to be dropped and added with which the fewest keys are missing or unknown."""
    given = list(given)
    carriers = Counter(prefix for key in given for prefix in _prefixes(key))
    shared = Counter(prefix for key in own for prefix in _prefixes(key))
    # Of a prefix that only most keys have, a message can speak; it is dropped in no network that is accepted.
    dropped = ["", *(prefix for prefix, number in carriers.items() if 2 * number > len(given))]
    added = ["", *(prefix for prefix, number in shared.items() if number == len(own))]
    same: dict[int, list[str]] = {}
    for key, value in own.items():
        same.setdefault(id(value), []).append(key)

    def names(drop: str, add: str) -> _Names:
        of = {key: add + key.removeprefix(drop) if key.startswith(drop) else key for key in given}
        there = set(of.values())
        first = {key: next((other for other in same[id(value)] if other in there), key) for key, value in own.items()}
        missing = [key for key in own if first[key] not in there and not _counts(key)]
        outside = [key for key in given if not key.startswith(drop)]
        unknown = [key for key in of.values() if key not in own]
        words = [f"without the prefix {drop!r}"] * bool(drop) + [f"with the prefix {add!r}"] * bool(add)
        advice = ""
        if outside:
            unknown = list(dict.fromkeys([*outside, *unknown]))
            advice = (
                f"; not all keys have that prefix: keep those that do, {{key.removeprefix({drop!r}): value for key,"
                f" value in state.items() if key.startswith({drop!r})}}"
            )
        return _Names(of, first, missing, unknown, f" (read {' and '.join(words)})" if words else "", advice)

    found = (names(drop, add) for drop, add in itertools.product(dropped, added))
    return min(found, key=lambda names: len(names.missing) + len(names.unknown))


def _own(model: nn.Module) -> dict[str, Tensor]:
    return {key: value for key, value in model.state_dict(keep_vars=True).items() if torch.is_tensor(value)}


def _kind(tensor: Tensor) -> tuple[bool, bool]:
    return tensor.is_floating_point(), tensor.is_complex()


def _counts(key: str) -> bool:
    """Whether a key is a counter of batch norm, which older files lack."""
    return key.endswith("num_batches_tracked")


def _prefixes(key: str) -> list[str]:
    parts = key.split(".")[:-1]
    return [".".join(parts[:end]) + "." for end in range(1, len(parts) + 1)]


def _of_shards(name: str | Path) -> str:
    """Say what to give in place of a file that has, by its name, a part of the tensors alone."""
    shard = re.fullmatch(r"(.*)-\d+-of-0*(\d+)(\.\w+)", str(name))
    return f"; it is one shard of {shard[2]}: give {shard[1]}{shard[3]}.index.json, which reads all" if shard else ""
