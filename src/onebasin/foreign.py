"""Networks that were trained elsewhere: state dicts read without running code, and held against a model."""

from __future__ import annotations

import itertools
import pickle
import re
import warnings
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from onebasin.files import FileError

# Where training scripts keep the state dict, among optimisers and counters.
WRAPPINGS = ("state_dict", "model_state_dict", "model", "net", "network")


def read(path: str | Path) -> dict[str, Tensor]:
    """Read a state dict: safetensors, or what ``torch.save`` wrote, if it holds no more than tensors and plain values.

    Args:
        path: the file; what it is, is told by its first bytes, and not by its name.

    Returns:
        Tensors by name, on the CPU. A state dict inside a dictionary is taken from under the first of ``WRAPPINGS``.

    Raises:
        FileError: if the file is missing or unreadable, would run code when read, or holds no state dict.
    """
    try:
        with open(path, "rb") as file:
            start = file.read(4)
        # Zip archives, and pickles of the time before.
        pickled = start.startswith((b"PK\x03\x04", b"\x80"))
        content = _unpickle(path) if pickled else _safetensors(path)
    except OSError as error:
        raise FileError(f"{path} cannot be read: {error.strerror or error}") from None
    return _unwrap(content, path)


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
    given = _dense({names.of[key]: value for key, value in state.items()}, name)
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
        raise FileError(f"{name} does not fit the model{names.read}: {'; '.join(problems)}{names.advice}")
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


def _dense(tensors: Mapping[str, Tensor], name: str | Path) -> dict[str, Tensor]:
    """Make sparse tensors dense, and refuse those that have no plain values."""
    for key, value in tensors.items():
        odd = {"quantised": value.is_quantized, "nested": value.is_nested, "without values": value.is_meta}
        for kind in (kind for kind, holds in odd.items() if holds):
            raise FileError(f"{name}: {key} is {kind} ({value.dtype}); write a state dict of plain tensors")
    return {key: value if value.layout == torch.strided else value.to_dense() for key, value in tensors.items()}


def _safetensors(path: str | Path) -> dict[str, Tensor]:
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        return load_file(path)
    except SafetensorError as error:
        raise FileError(
            f"{path} is neither safetensors nor a file of torch.save ({error}); write model.state_dict() anew"
        ) from None


def _unpickle(path: str | Path) -> Any:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of pickles that are not torch's own
            return torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        needed = re.search(r"GLOBAL ([\w.]+)", str(error))
        what = f"needs {needed[1]}" if needed else "holds more than tensors and plain values"
        raise FileError(
            f"{path} is a pickle that {what} and could run any code when read; save model.state_dict() alone, best as"
            " safetensors"
        ) from None
    except OSError:
        raise
    except Exception as error:  # truncated, or of something else
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise FileError(f"{path} is no readable file of torch.save ({reason}); write it anew") from None


def _unwrap(content: Any, path: str | Path) -> dict[str, Tensor]:
    if isinstance(content, Mapping):
        for name in WRAPPINGS:
            if isinstance(content.get(name), Mapping):
                return _unwrap(content[name], path)
        if content and all(isinstance(key, str) and torch.is_tensor(value) for key, value in content.items()):
            return _dense(content, path)
        found = f"a dictionary with the keys {', '.join(map(str, content))}" if content else "an empty dictionary"
    else:
        found = f"a {type(content).__name__}"
    raise FileError(
        f"{path} holds no state dict but {found}; expected tensors by name, or these under {', '.join(WRAPPINGS)}"
    )
