"""The files that commands write: networks as other programs read them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd
    from torch import Tensor

_PICKLED = (".pt", ".pth", ".bin", ".ckpt", ".tar")


def targets(paths: Sequence[Path], folder: Path) -> list[Path]:
    """Return where networks are written in a folder: under their own names, numbered where these are alike.

    Args:
        paths: of the files that the networks came from.
        folder: to write to.

    Raises:
        ValueError: if a file would be written over one of those that were read.
    """
    names = [
        path.name.removesuffix(".index.json") if path.name.endswith(".index.json") else path.name for path in paths
    ]
    alike = {name for name, count in Counter(names).items() if count > 1}
    found = [folder / (f"{index}-{name}" if name in alike else name) for index, name in enumerate(names)]
    for target in found:
        refuse_input(target, paths)
    return found


def refuse_input(target: Path, paths: Sequence[Path]) -> None:
    """Refuse to write over a file that was read.

    Raises:
        ValueError: if the target is one of the paths.
    """
    for path in paths:
        if target.resolve() == path.resolve():
            raise ValueError(f"{target} is a file that was read: give another place for what is written")


def write(path: Path, tensors: Mapping[str, Tensor], wrapping: Sequence[str] = ()) -> None:
    """Write a state dict, whole or not at all: by torch.save where the name says so, and as safetensors otherwise.

    Args:
        path: of the file.
        tensors: by name.
        wrapping: names of dictionaries to put around them, the outermost first; safetensors have none.

    Raises:
        FileError: if it cannot be written.
    """
    import torch
    from safetensors.torch import save

    from onebasin.files import atomic

    # Neither format keeps strange strides or shared storage as they are.
    plain = {
        name: tensor.detach().cpu().clone(memory_format=torch.contiguous_format) for name, tensor in tensors.items()
    }
    with atomic(path) as temporary:
        if path.suffix in _PICKLED:
            content: dict[str, Any] = plain
            for name in reversed(wrapping):
                content = {name: content}
            torch.save(content, temporary)
        else:
            temporary.write_bytes(save(plain, metadata={"format": "pt"}))


def write_table(path: Path, table: pd.DataFrame) -> None:
    """Write a table as CSV, whole or not at all.

    Raises:
        FileError: if it cannot be written.
    """
    from onebasin.files import atomic

    with atomic(path) as temporary:
        table.to_csv(temporary, index=False)
