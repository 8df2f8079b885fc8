"""The permutation of a network's hidden units, as an immutable value; files of one and of several."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from onebasin import files

KIND = "permutation"
SEVERAL = "permutations"

Networks = tuple[int, ...]


class Permutation(Mapping[str, np.ndarray]):
    """One index array per permutation group: unit ``i`` of the permuted network is unit ``indices[i]`` of the original.

    Args:
        indices: for each group name an array of shape [units] that holds each of 0 … units-1 once.

    Raises:
        ValueError: if an array is not a permutation; the message names the group.
    """

    __slots__ = ("_indices",)

    def __init__(self, indices: Mapping[str, Any]) -> None:
        self._indices: dict[str, np.ndarray] = {}
        for name, values in indices.items():
            array = np.array(values, dtype=np.int64)
            if array.ndim != 1 or not np.array_equal(np.sort(array), np.arange(array.size)):
                raise ValueError(f"group {name!r}: not a permutation of 0 … {array.size - 1}")
            array.setflags(write=False)
            self._indices[name] = array

    @classmethod
    def identity(cls, sizes: Mapping[str, int]) -> Permutation:
        """Return the permutation that moves nothing.

        Args:
            sizes: the number of units of each group, by name.
        """
        return cls({name: np.arange(size) for name, size in sizes.items()})

    def __getitem__(self, name: str) -> np.ndarray:
        return self._indices[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._indices)

    def __len__(self) -> int:
        return len(self._indices)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Permutation):
            return NotImplemented
        return self.keys() == other.keys() and all(np.array_equal(self[name], other[name]) for name in self)

    def __hash__(self) -> int:
        return hash(tuple((name, self[name].tobytes()) for name in sorted(self)))

    def __repr__(self) -> str:
        return f"Permutation({', '.join(f'{name}: {array.size}' for name, array in self.items())})"

    @property
    def sizes(self) -> dict[str, int]:
        """The number of units of each group."""
        return {name: array.size for name, array in self.items()}

    def lists(self) -> dict[str, list[int]]:
        """Return the permutation as JSON can hold it."""
        return {name: array.tolist() for name, array in self.items()}

    def inverse(self) -> Permutation:
        """Return the permutation that undoes this one."""
        return Permutation({name: np.argsort(array) for name, array in self.items()})

    def compose(self, first: Permutation) -> Permutation:
        """Return the permutation that applies another one and then this one; ``@`` does the same.

        Args:
            first: a permutation of the same groups.

        Raises:
            ValueError: if the two do not have the same groups and sizes.
        """
        if self.sizes != first.sizes:
            raise ValueError(f"permutations of different groups: {self.sizes} and {first.sizes}")
        return Permutation({name: first[name][array] for name, array in self.items()})

    def __matmul__(self, first: Permutation) -> Permutation:
        return self.compose(first)

    def fixed_points(self) -> dict[str, float]:
        """Return, for each group, the fraction of units that stay in place (1 for the identity)."""
        return {name: float(np.mean(array == np.arange(array.size))) for name, array in self.items()}

    def save(self, path: str | Path, metadata: Mapping[str, Any] | None = None) -> None:
        """Write the permutation as safetensors, atomically.

        Args:
            path: the file to be written.
            metadata: what JSON can hold.

        Raises:
            FileError: if the file cannot be written.
        """
        tensors = {name: torch.tensor(array) for name, array in self.items()}
        files.save_tensors(path, tensors, metadata or {}, kind=KIND)

    @classmethod
    def load(cls, path: str | Path) -> Permutation:
        """Read a permutation.

        Args:
            path: a file that ``save`` wrote.

        Raises:
            FileError: if the file is missing, truncated, or not a permutation.
        """
        tensors, _ = files.load_tensors(path, kind=KIND)
        try:
            return cls({name: tensor.numpy() for name, tensor in tensors.items()})
        except ValueError as error:
            raise files.FileError(f"{path}: {error}; delete the file and run again") from error


def save(
    path: str | Path, permutations: Mapping[Networks, Permutation], metadata: Mapping[str, Any] | None = None
) -> None:
    """Write several permutations into one safetensors file, atomically.

    Args:
        path: the file to be written.
        permutations: by the networks that they belong to: (a, b) for one that takes b into the frame of a, (seed,) for
            one that takes a network into a common frame.
        metadata: what JSON can hold.

    Raises:
        FileError: if the file cannot be written.
    """
    tensors = {
        f"{_spell(networks)}/{name}": torch.tensor(array)
        for networks, permutation in permutations.items()
        for name, array in permutation.items()
    }
    about = {"networks": [list(networks) for networks in permutations], "about": dict(metadata or {})}
    files.save_tensors(path, tensors, about, kind=SEVERAL)


def load(path: str | Path) -> dict[Networks, Permutation]:
    """Read the permutations of a file, by the networks that they belong to, in the order in which they were saved.

    Args:
        path: a file that ``save`` wrote.

    Raises:
        FileError: if the file is missing, truncated, or holds no permutations.
    """
    tensors, metadata = files.load_tensors(path, kind=SEVERAL)
    arrays: dict[str, dict[str, np.ndarray]] = {_spell(networks): {} for networks in metadata["networks"]}
    for key, tensor in tensors.items():
        networks, _, group = key.partition("/")
        arrays[networks][group] = tensor.numpy()
    try:
        return {tuple(networks): Permutation(arrays[_spell(networks)]) for networks in metadata["networks"]}
    except ValueError as error:
        raise files.FileError(f"{path}: {error}; delete the file and run again") from error


def load_metadata(path: str | Path) -> dict[str, Any]:
    """Read what was saved with several permutations, or with a single one.

    Args:
        path: a file that ``save`` or ``Permutation.save`` wrote.

    Raises:
        FileError: if the file is missing, truncated, or holds no permutation.
    """
    try:
        return files.load_metadata(path, kind=SEVERAL)["about"]
    except files.FileError:
        return files.load_metadata(path, kind=KIND)


def _spell(networks: Sequence[int]) -> str:
    return "-".join(map(str, networks))
