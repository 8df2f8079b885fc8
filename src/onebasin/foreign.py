"""Networks that were trained elsewhere: state dicts read without running code, and held against a model."""

from __future__ import annotations

import pickle
import re
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from onebasin.files import FileError

# Where training scripts keep the state dict, among optimisers and counters.
WRAPPINGS = ("state_dict", "model_state_dict", "model", "net", "network")

# What DataParallel, torch.compile and Lightning put before every key.
PREFIXES = ("module.", "_orig_mod.", "model.", "net.", "network.")


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

    A prefix that all keys have (see ``PREFIXES``) is dropped, tensors that the model shares may be given once, counters
    of batch norm may be missing, and floating-point tensors are converted to the model's precision.

    Args:
        model: the module; its parameters are not changed.
        state: tensors by name.
        name: what the message calls the state.

    Returns:
        The tensors by the keys of ``model.state_dict()``, in its order, with its shapes and types.

    Raises:
        FileError: if keys are missing or unknown, or shapes or types differ; the message lists all of them.
    """
    own = {key: value for key, value in model.state_dict(keep_vars=True).items() if torch.is_tensor(value)}
    given = _without_prefix(dict(state), own)
    for key, value in own.items():
        if key not in given:
            shared = next((other for other in given if own.get(other) is value), None)
            if shared is not None:
                given[key] = given[shared]
            elif key.endswith("num_batches_tracked"):
                given[key] = value.detach()
    problems = [f"missing {key}" for key in own if key not in given]
    problems += [f"unknown {key}" for key in given if key not in own]
    for key in (key for key in own if key in given):
        wanted, found = own[key], given[key]
        if wanted.shape != found.shape:
            problems.append(f"{key} has shape {list(found.shape)}, the model's {list(wanted.shape)}")
        elif wanted.is_floating_point() != found.is_floating_point():
            problems.append(f"{key} is {found.dtype}, the model's {wanted.dtype}")
        elif found.is_floating_point() and not torch.isfinite(found).all():
            problems.append(f"{key} holds numbers that are not finite")
    if problems:
        raise FileError(f"{name} does not fit the model: {'; '.join(problems)}")
    return {key: given[key].detach().to(value) for key, value in own.items()}


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
            return dict(content)
        found = f"a dictionary with the keys {', '.join(map(str, content))}" if content else "an empty dictionary"
    else:
        found = f"a {type(content).__name__}"
    raise FileError(
        f"{path} holds no state dict but {found}; expected tensors by name, or these under {', '.join(WRAPPINGS)}"
    )


def _without_prefix(state: dict[str, Tensor], own: Mapping[str, Tensor]) -> dict[str, Tensor]:
    for prefix in PREFIXES:
        if state and all(key.startswith(prefix) for key in state) and not any(key.startswith(prefix) for key in own):
            return _without_prefix({key.removeprefix(prefix): value for key, value in state.items()}, own)
    return state
