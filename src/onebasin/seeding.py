"""Randomness by address: every random choice has a generator seeded by what it is for, never global state."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch


def derive(*address: str | int) -> int:
    """Derive a seed from an address such as `(study_seed, "network", 3, "order", epoch)`.

    Args:
        address: strings and integers; `3` and `"3"` are different, and so are `("ab",)` and `("a", "b")`.

    Returns:
        A number in [0, 2^63), from SHA-256.

    Raises:
        TypeError: a part is neither a string nor an integer.
    """
    for part in address:
        if isinstance(part, bool) or not isinstance(part, str | int):
            raise TypeError(f"a seed address holds strings and integers, not {part!r}")
    digest = hashlib.sha256(json.dumps(address).encode()).digest()
    return int.from_bytes(digest[:8], "big") >> 1


def generator(*address: str | int, device: str | torch.device = "cpu") -> torch.Generator:
    """Make a generator seeded by an address.

    Args:
        address: as in `derive`.
        device: where the generator draws; draws differ between devices.

    Returns:
        A new generator.

    Raises:
        TypeError: a part of the address is neither a string nor an integer.
    """
    import torch

    return torch.Generator(device).manual_seed(derive(*address))


@contextmanager
def seeded(*address: str | int, device: str | torch.device = "cpu") -> Iterator[None]:
    """Seed PyTorch's global generators by an address during a block, for code that draws from nothing else.

    Args:
        address: as in `derive`.
        device: where else than on the CPU the block draws; at its end the generators are put back.

    Raises:
        TypeError: a part of the address is neither a string nor an integer.
    """
    import torch

    device = torch.device(device)
    with torch.random.fork_rng([device] if device.type == "cuda" else []):
        torch.manual_seed(derive(*address))
        yield
