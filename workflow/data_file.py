"""The shapes of what a file of images and labels holds, read from its headers alone: planning loads no PyTorch."""

from __future__ import annotations

import ast
import io
import json
import pickle
import zipfile
from pathlib import Path
from types import SimpleNamespace
from typing import Any

Shapes = dict[str, tuple[int, ...]]


def shapes(path: str | Path) -> Shapes:
    """Return the shape of each tensor of a file that ``onebasin.data.file`` reads; none where it is no such file.

    Args:
        path: of safetensors, ``torch.save`` or ``numpy.savez``.
    """
    try:
        if not zipfile.is_zipfile(path):
            with open(path, "rb") as file:
                header = json.loads(file.read(int.from_bytes(file.read(8), "little")))
            return {key: tuple(value["shape"]) for key, value in header.items() if key != "__metadata__"}
        with zipfile.ZipFile(path) as archive:
            pickled = next((name for name in archive.namelist() if name.endswith("/data.pkl")), None)
            if pickled is not None:
                return dict(_Shapes(io.BytesIO(archive.read(pickled))).load())
            return {name.removesuffix(".npy"): _of_array(archive, name) for name in archive.namelist()}
    except Exception:  # whatever a damaged file is; the job that reads it says so
        return {}


def _of_array(archive: zipfile.ZipFile, name: str) -> tuple[int, ...]:
    with archive.open(name) as file:
        major = file.read(8)[6]
        size = int.from_bytes(file.read(2 if major == 1 else 4), "little")
        return tuple(ast.literal_eval(file.read(size).decode("latin1"))["shape"])


class _Shapes(pickle.Unpickler):
    """Reads what ``torch.save`` wrote, and makes shapes of tensors; nothing that the file names is run."""

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) == ("torch._utils", "_rebuild_tensor_v2"):
            return lambda storage, offset, shape, *others: tuple(shape)
        return dict if (module, name) == ("collections", "OrderedDict") else lambda *_: SimpleNamespace()

    def persistent_load(self, pid: Any) -> None:
        return None
