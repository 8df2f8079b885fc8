"""Where in the user's code an evaluation is: the path of the module, the file, the line."""

from __future__ import annotations

import linecache
import traceback
from collections.abc import Iterable, Mapping
from pathlib import Path
from types import FrameType, TracebackType

import torch
from torch import nn

from onebasin.symmetry.network import Network

_FOREIGN = (str(Path(torch.__file__).parent), str(Path(__file__).parent))


def here(names: Mapping[nn.Module, str], frame: FrameType | None) -> str:
    """Describe where a frame lies, from the innermost code outwards; empty if that is in no module.

    Args:
        names: the paths of the modules of a network.
        frame: the innermost frame.
    """
    return _describe(names, list(traceback.walk_stack(frame)))


def origin(names: Mapping[nn.Module, str], trace: TracebackType | None) -> str:
    """Describe where an exception comes from.

    Args:
        names: the paths of the modules of a network.
        trace: its traceback.
    """
    return _describe(names, reversed(list(traceback.walk_tb(trace))))


def _describe(names: Mapping[nn.Module, str], frames: Iterable[tuple[FrameType, int]]) -> str:
    module, line = None, ""
    for frame, number in frames:
        if frame.f_code is Network.__call__.__code__:
            break
        owner, file = frame.f_locals.get("self"), frame.f_code.co_filename
        if module is None and isinstance(owner, nn.Module) and owner in names:
            module = names[owner]
        if not line and not file.startswith((*_FOREIGN, "<")):
            line = f"{file}, line {number}: {linecache.getline(file, number).strip()}"
    parts = [f"module {module!r}" if module else "", line]
    return ", ".join(part for part in parts if part)
