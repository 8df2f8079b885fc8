"""Files that are whole or absent: atomic writing, and tensors with metadata as safetensors."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import socket
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch
    from torch import Tensor

_KEY = "onebasin"


class FileError(ValueError):
    """A file that cannot be read or written; the message names it and says what to do."""


@contextmanager
def atomic(path: str | Path, *, durable: bool = True) -> Iterator[Path]:
    """Give a temporary path in the folder of `path`, which becomes `path` when the block ends without an error.

    Folders that are missing are made. The file is written out to the disk before it gets its name, so `path` is
    either what it was before or complete.

    Args:
        path: the file to be written.
        durable: whether it is written out to the disk; otherwise a crash of the machine may leave a part of it.

    Yields:
        The temporary path that the block must write.

    Raises:
        FileError: the file cannot be written (full disk, unwritable folder, a folder of that name).
    """
    path = Path(path)
    temporary = path.with_name(f".{path.name}.{socket.gethostname()}-{os.getpid()}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        _remove_abandoned(path)
        yield temporary
        if durable:
            with open(temporary, "rb+") as file:
                os.fsync(file.fileno())
        os.replace(temporary, path)
    except OSError as error:
        raise FileError(f"{path} could not be written: {error.strerror or error}; {_advice(error)}") from error
    finally:
        # An unwritable parent makes this fail too, and would hide the message above.
        with suppress(OSError):
            temporary.unlink(missing_ok=True)


def sha256(path: str | Path) -> str:
    """Return the SHA-256 of the contents of a file.

    Args:
        path: the file.

    Raises:
        OSError: it cannot be read.
    """
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def save_tensors(path: str | Path, tensors: Mapping[str, Tensor], metadata: Mapping[str, Any], kind: str) -> None:
    """Write tensors and metadata to a safetensors file, atomically; equal arguments give equal bytes.

    Args:
        path: the file to be written.
        tensors: tensors by name, on any device; they are stored contiguous and unshared.
        metadata: what JSON can hold.
        kind: what the file is ("checkpoint", "permutation", ...), checked by `load_tensors`.

    Raises:
        FileError: the file cannot be written.
    """
    # Loaded here, so that work on tables starts without it.
    import torch
    from safetensors.torch import save

    # One key: safetensors writes several in random order, and the bytes would differ from run to run.
    text = json.dumps({"kind": kind, "metadata": dict(metadata)}, sort_keys=True, allow_nan=False)
    plain = {
        name: torch.empty(tensor.shape, dtype=tensor.dtype).copy_(tensor.detach()) for name, tensor in tensors.items()
    }
    with atomic(path) as temporary:
        temporary.write_bytes(save(plain, metadata={_KEY: text}))


def load_tensors(
    path: str | Path, kind: str, device: str | torch.device = "cpu"
) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Read tensors and metadata that `save_tensors` wrote.

    Args:
        path: the file.
        kind: what the file must be.
        device: where the tensors go.

    Returns:
        The tensors by name, and the metadata.

    Raises:
        FileError: the file is missing, truncated, foreign, or of another kind.
    """
    with _opened(path, kind, device) as (file, metadata):
        names = file.keys()
        return {name: file.get_tensor(name) for name in names}, metadata


def load_metadata(path: str | Path, kind: str) -> dict[str, Any]:
    """Read the metadata alone, without the tensors, of a file that `save_tensors` wrote.

    Args:
        path: the file.
        kind: what the file must be.

    Returns:
        The metadata.

    Raises:
        FileError: the file is missing, truncated, foreign, or of another kind.
    """
    with _opened(path, kind, "cpu") as (_, metadata):
        return metadata


@contextmanager
def _opened(path: str | Path, kind: str, device: str | torch.device) -> Iterator[tuple[Any, dict[str, Any]]]:
    """Open a file, which compares its length with its header, and check that it is ours and of the right kind."""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="pt", device=str(device)) as file:
            text = (file.metadata() or {}).get(_KEY)
            try:
                content = json.loads(text or "")
                found, metadata = content["kind"], content["metadata"]
            except (ValueError, KeyError, TypeError):
                raise FileError(f"{path} was not written by onebasin; give a {kind} file, or make it again") from None
            if found != kind:
                raise FileError(f"{path} is a {found} file, not a {kind} file; give the right path")
            yield file, metadata
    except FileNotFoundError:
        raise FileError(f"{path} does not exist; run the step that makes it") from None
    except (OSError, SafetensorError) as error:
        raise FileError(f"{path} is no readable {kind} ({error}); delete it and make it again") from None


def _advice(error: OSError) -> str:
    if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
        return "free some space and run again"
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        return "make its folder writable and run again"
    if error.errno in (errno.ENOTDIR, errno.EEXIST):
        return "a file lies where a folder is needed: move it away and run again"
    if error.errno == errno.EISDIR:
        return "a folder of that name is in the way: move it away and run again"
    return "check its folder and run again"


def _remove_abandoned(path: Path) -> None:
    """Remove temporary files of `path` whose process on this machine was killed."""
    prefix = f".{path.name}.{socket.gethostname()}-"
    for entry in os.scandir(path.parent):
        number = entry.name.removeprefix(prefix).removesuffix(".tmp")
        if entry.name != f"{prefix}{number}.tmp" or not number.isdigit():
            continue
        try:
            os.kill(int(number), 0)
        except ProcessLookupError:
            Path(entry.path).unlink(missing_ok=True)
        except PermissionError:
            continue
