"""State dicts from files of others: what a file is, told by its first bytes, and its tensors, without running code."""

from __future__ import annotations

import logging
import pickle
import re
import warnings
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from onebasin.files import FileError
from onebasin.shards import index_of, is_safetensors, start_of

log = logging.getLogger(__name__)

# Where training scripts keep the state dict, among optimisers, counters and averages.
WRAPPINGS = ("state_dict", "model_state_dict", "model_state", "model", "net", "network")

# What else lies under the name of a network, by its first bytes.
OTHERS = (
    (rb"$", "is empty", "copy or write it anew"),
    (rb"version https://git-lfs", "is a pointer of Git LFS in place of the file", "fetch that by `git lfs pull`"),
    (rb"\s*<", "is a page of the web, or other text in <>", "download the file itself"),
    (rb"\x1f\x8b|BZh|\xfd7zXZ|\x28\xb5\x2f\xfd|7z\xbc\xaf|Rar!", "is compressed", "unpack it"),
    (rb"(?s:.{257}ustar)", "is a tar archive", "unpack it, or write it anew by a newer PyTorch"),
    (rb"\x93NUMPY", "is an array of NumPy", "write a state dict of tensors"),
    (rb"\x89HDF", "is HDF5, as Keras writes it", "write a state dict of PyTorch"),
    (rb"[\x81-\x8f][\xa0-\xbf\xd9]", "is MessagePack, as Flax writes it", "write a state dict of PyTorch"),
    (rb"GGUF", "is GGUF", "give the file from which it was made"),
    (rb"\x08[\x01-\x1f]\x12", "is ONNX", "give the state dict of the model from which it was made"),
)

# The same for archives, by the names in them.
ARCHIVES = (
    (r"[^/]*/constants\.pkl", "is TorchScript, a program with its tensors", "model.state_dict() alone"),
    (r"(.*/)?archive_format|serialized_exported_program\.json", "is a program of torch.export", "model.state_dict()"),
    (r"[^/]*\.npy", "is an archive of NumPy arrays", "a state dict of tensors"),
    (r"model\.weights\.h5", "is a model of Keras", "a state dict of PyTorch"),
)


def read(path: str | Path) -> dict[str, Tensor]:
    """Read a state dict: safetensors, or what ``torch.save`` wrote, if it holds no more than tensors and plain values.

    Args:
        path: the file; what it is, is told by its first bytes, and not by its name. An ``index.json`` is read with the
            shards that it names.

    Returns:
        Tensors by name, dense, on the CPU. A state dict inside a dictionary is taken from under the first of
        ``WRAPPINGS``, or from under the one key that has one.

    Raises:
        FileError: if the file is missing or unreadable, would run code when read, or holds no state dict.
    """
    return read_wrapped(path)[0]


def read_wrapped(path: str | Path) -> tuple[dict[str, Tensor], tuple[str, ...]]:
    """Read a state dict, as ``read`` does, and say where in the file it lies.

    Args:
        path: as for ``read``.

    Returns:
        The tensors, and the names of the dictionaries around them, the outermost first; none for a bare state dict.

    Raises:
        FileError: as for ``read``.
    """
    path = Path(path)
    index = index_of(path)
    if index is None:
        return _unwrap(_content(path), path)
    shards = {shard: _unwrap(_content(shard), shard)[0] for shard in dict.fromkeys(index.values())}
    for key, shard in index.items():
        if key not in shards[shard]:
            raise FileError(f"{path}: its shard {shard.name} lacks {key}; fetch all files of one version")
    return {key: shards[shard][key] for key, shard in index.items()}, ()


def dense(tensors: Mapping[str, Tensor], name: str | Path) -> dict[str, Tensor]:
    """Make sparse tensors dense, and refuse those that have no plain values.

    Args:
        tensors: by name.
        name: what the message calls them.

    Raises:
        FileError: if one is quantised, nested, or without values.
    """
    for key, value in tensors.items():
        odd = {"quantised": value.is_quantized, "nested": value.is_nested, "without values": value.is_meta}
        for kind in (kind for kind, holds in odd.items() if holds):
            raise FileError(f"{name}: {key} is {kind} ({value.dtype}); write a state dict of plain tensors")
    return {key: value if value.layout == torch.strided else value.to_dense() for key, value in tensors.items()}


def _content(path: Path) -> Any:
    start = start_of(path)
    if is_safetensors(start):
        return _safetensors(path)
    for pattern, what, advice in OTHERS:
        if re.match(pattern, start):
            raise FileError(f"{path} {what}; {advice}")
    if start.startswith(b"PK\x03\x04"):
        _refuse_archives(path)
        return _unpickle(path)
    if start.startswith(b"\x80"):  # a pickle of the time before archives
        return _unpickle(path)
    raise FileError(f"{path} is neither safetensors nor a file of torch.save; write model.state_dict() anew")


def _refuse_archives(path: Path) -> None:
    try:
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
    except (zipfile.BadZipFile, OSError):
        return  # PyTorch says more
    for pattern, what, advice in ARCHIVES:
        if any(re.fullmatch(pattern, name) for name in names):
            raise FileError(f"{path} {what}; write {advice}, in the program that made it")
    if not any(name.endswith("data.pkl") for name in names):
        raise FileError(f"{path} is an archive of other files ({', '.join(names[:3])}); unpack it")


def _safetensors(path: Path) -> dict[str, Tensor]:
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        return load_file(path)
    except SafetensorError as error:
        raise FileError(f"{path} is no whole file of safetensors ({error}); copy or write it anew") from None


def _unpickle(path: Path) -> Any:
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
    except Exception as error:  # truncated, or of something else
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise FileError(f"{path} is no readable file of torch.save ({reason}); write it anew") from None


def _unwrap(content: Any, path: Path) -> tuple[dict[str, Tensor], tuple[str, ...]]:
    if not isinstance(content, Mapping):
        found = f"a {type(content).__name__}"
    elif _is_state(content):
        return dense(content, path), ()
    else:
        states = [name for name, value in content.items() if _is_state(value)]
        taken = next((name for name in WRAPPINGS if isinstance(content.get(name), Mapping)), None)
        if taken is None and len(states) == 1:
            taken = states[0]
        if taken is not None:
            others = [repr(name) for name in states if name != taken]
            if others:
                log.warning("%s: the network under %r is read, not that under %s", path, taken, " or ".join(others))
            state, names = _unwrap(content[taken], path)
            return state, (taken, *names)
        if states:
            raise FileError(
                f"{path} holds several state dicts, under {', '.join(map(str, states))}; save that of the network alone"
            )
        keys = [str(key) for key, value in content.items() if not torch.is_tensor(value)]
        keys = [*keys[:10], "..."] if len(keys) > 10 else keys
        plain = "besides tensors " if any(map(torch.is_tensor, content.values())) else ""
        found = f"a dictionary with {plain}the keys {', '.join(keys)}" if keys else "an empty dictionary"
    raise FileError(
        f"{path} holds no state dict but {found}; expected tensors by name, or these under {', '.join(WRAPPINGS)}"
    )


def _is_state(content: Any) -> bool:
    return (
        isinstance(content, Mapping)
        and bool(content)
        and all(isinstance(key, str) and torch.is_tensor(value) for key, value in content.items())
    )
