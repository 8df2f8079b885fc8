"""Checkpoints: the state of a network with the metadata that says where it comes from."""

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from onebasin.files import load_tensors, save_tensors


def save(path: str | Path, state: Mapping[str, Tensor], metadata: Mapping[str, Any]) -> None:
    """Write a state and its metadata, atomically.

    Args:
        path: the file to be written.
        state: parameters and buffers by name, as `model.state_dict()` gives them.
        metadata: what JSON can hold.

    Raises:
        FileError: the file cannot be written.
    """
    save_tensors(path, state, metadata, "checkpoint")


def load(path: str | Path, device: str | torch.device = "cpu") -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Read a state and its metadata.

    Args:
        path: the file.
        device: where the tensors go.

    Returns:
        The state, for `model.load_state_dict`, and the metadata.

    Raises:
        FileError: the file is missing, truncated, foreign, or no checkpoint.
    """
    return load_tensors(path, "checkpoint", device)


def digest(state: Mapping[str, Tensor]) -> str:
    """Return the SHA-256 of the names, shapes, types and values of a state."""
    found = hashlib.sha256()
    for name, tensor in state.items():
        found.update(f"{name} {tuple(tensor.shape)} {tensor.dtype}".encode())
        found.update(tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().data)
    return found.hexdigest()
