"""Pruning: which weights of a network remain, as masks that are nested from level to level.

A level removes a fraction of the weights that remain, rounded up; what is left is trained again from an early epoch
(iterative magnitude pruning with rewinding, Frankle et al. 2020, arXiv 1912.05671; settings of Sharma et al. 2024,
arXiv 2404.06498). Only weights are pruned: neither biases nor parameters of norms, and the output layer where asked.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterator, Mapping
from contextlib import suppress
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from onebasin import files
from onebasin.models.layers import weights
from onebasin.permutation import Permutation
from onebasin.symmetry import Network, Operations, State, Symmetry, SymmetryError, TracedSymmetry, Units, discover

KIND = "mask"
STRATEGIES = ("global", "layer", "random")


class Mask(Mapping[str, Tensor]):
    """Which weights of a network remain: for each parameter that may be pruned a tensor of truth values.

    Args:
        kept: by state key, tensors of the parameter's shape; True where a weight remains. They are copied to the CPU.
    """

    __slots__ = ("_kept",)

    def __init__(self, kept: Mapping[str, Tensor]) -> None:
        self._kept = {key: tensor.detach().to("cpu", torch.bool, copy=True) for key, tensor in kept.items()}

    def __getitem__(self, key: str) -> Tensor:
        return self._kept[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self._kept)

    def __len__(self) -> int:
        return len(self._kept)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Mask):
            return NotImplemented
        return self.keys() == other.keys() and all(torch.equal(self[key], other[key]) for key in self)

    def __hash__(self) -> int:
        return hash(self.digest)

    def __repr__(self) -> str:
        return f"Mask({self.remaining} of {self.weights} weights in {len(self)} layers)"

    @property
    def weights(self) -> int:
        """The number of weights that may be pruned."""
        return sum(tensor.numel() for tensor in self.values())

    @property
    def remaining(self) -> int:
        """The number of weights that remain."""
        return sum(int(tensor.sum()) for tensor in self.values())

    @property
    def density(self) -> float:
        """The share of the weights that remain, of all that may be pruned."""
        return self.remaining / self.weights

    def counts(self) -> dict[str, tuple[int, int]]:
        """Return for each layer how many weights remain, and how many there are."""
        return {key: (int(tensor.sum()), tensor.numel()) for key, tensor in self.items()}

    @property
    def digest(self) -> str:
        """SHA-256 of names, shapes and values."""
        digest = hashlib.sha256()
        for key, tensor in sorted(self.items()):
            digest.update(f"{key} {tuple(tensor.shape)}".encode())
            digest.update(_pack(tensor).tobytes())
        return digest.hexdigest()

    def apply(self, state: State) -> dict[str, Tensor]:
        """Return a state in which the pruned weights are 0; what has no mask is shared with `state`.

        Raises:
            ValueError: if a masked parameter is missing or has another shape.
        """
        for key, tensor in self.items():
            if key not in state or state[key].shape != tensor.shape:
                raise ValueError(f"the mask does not fit the network: {key!r} has another shape, or is missing")
        return {
            key: tensor.masked_fill(~self[key].to(tensor.device), 0) if key in self else tensor
            for key, tensor in state.items()
        }

    def permuted(self, symmetry: Symmetry, permutation: Permutation) -> Mask:
        """Return the mask of the permuted network: permuting and masking may change places.

        Raises:
            ValueError: if the permutation does not belong to this model.
        """
        symmetry.check_shape(permutation)
        return Mask({key: symmetry.apply_to(key, tensor, permutation) for key, tensor in self.items()})

    def shuffled(self, generator: torch.Generator) -> Mask:
        """Return a random mask with as many weights in every layer; it depends on their number alone.

        Args:
            generator: on the CPU.
        """
        found = {}
        for key, tensor in self.items():
            flat = torch.zeros(tensor.numel(), dtype=torch.bool)
            flat[torch.randperm(len(flat), generator=generator)[: int(tensor.sum())]] = True
            found[key] = flat.reshape(tensor.shape)
        return Mask(found)

    def save(self, path: str | Path, metadata: Mapping[str, Any] | None = None) -> None:
        """Write the mask, one bit for each weight, with `metadata` (any JSON values) beside it, atomically.

        Raises:
            FileError: the file cannot be written.
        """
        packed = {key: torch.from_numpy(_pack(tensor)) for key, tensor in self.items()}
        shapes = {key: list(tensor.shape) for key, tensor in self.items()}
        files.save_tensors(path, packed, {**(metadata or {}), "shapes": shapes}, KIND)

    @classmethod
    def load(cls, path: str | Path) -> Mask:
        """Read a mask.

        Raises:
            FileError: if the file is missing, truncated, or not a mask.
        """
        packed, metadata = files.load_tensors(path, KIND)
        try:
            return cls({key: _unpack(packed[key].numpy(), shape) for key, shape in metadata["shapes"].items()})
        except (KeyError, ValueError) as error:
            raise files.FileError(f"{path} is no readable mask ({error}); delete it and make it again") from error


def full(model: nn.Module, symmetry: Symmetry, output_layer: bool = False) -> Mask:
    """Return the mask with which nothing is pruned yet; it says what may be pruned.

    These are the weights of the model (``models.layers.weights``). The output layer is what the traced graph shows to
    make the outputs of the model: a weight with an axis of outputs.

    Args:
        model: any module whose symmetry is known.
        symmetry: its symmetry.
        output_layer: whether the output layer may be pruned too.

    Raises:
        ValueError: if nothing may be pruned.
    """
    outputs = {key for (key, _), reason in symmetry.fixed.items() if reason == "model output"}
    kept = {
        key: torch.ones(parameter.shape, dtype=torch.bool)
        for key, parameter in weights(model)
        if output_layer or key not in outputs
    }
    if not kept:
        raise ValueError("the model has no weights to prune besides its output layer")
    return Mask(kept)


def prune(
    mask: Mask, state: State, fraction: float, strategy: str = "global", generator: torch.Generator | None = None
) -> Mask:
    """Remove a fraction of the weights that remain, rounded up.

    Args:
        mask: what remains so far.
        state: the trained network, pruned by `mask`.
        fraction: share of the remaining weights to remove, in (0, 1); those of layers that are never pruned do not
            count.
        strategy: "global" removes the smallest magnitudes of all layers together, "layer" the same share of every
            layer, its smallest magnitudes, and "random" draws evenly from all that remain, whatever their magnitude:
            the levels of a random chain are nested in each other, and in no other mask.
        generator: of the draws of "random", on the CPU.

    Returns:
        The mask of the next level: all that it keeps, `mask` kept. Among equal magnitudes the first ones go.

    Raises:
        ValueError: an unknown strategy, a fraction out of range, or "random" without a generator.
    """
    if strategy not in STRATEGIES:
        raise ValueError(f"unknown pruning strategy {strategy!r}: give one of {', '.join(STRATEGIES)}")
    if not 0 < fraction < 1:
        raise ValueError(f"the fraction to prune must lie between 0 and 1, not {fraction!r}")
    if strategy == "layer":
        return Mask({key: _smallest_removed({key: mask[key]}, state, fraction)[key] for key in mask})
    if strategy == "global":
        return Mask(_smallest_removed(mask, state, fraction))
    if generator is None:
        raise ValueError("random pruning needs a generator")
    draws = {key: torch.rand(tensor.shape, generator=generator) for key, tensor in mask.items()}
    return Mask(_smallest_removed(mask, draws, fraction))


def rounded_up(fraction: float, remaining: int) -> int:
    """Return how many of the remaining weights a level removes: `fraction` as it is written, not as it is stored."""
    return math.ceil(Fraction(repr(fraction)) * remaining)


def dead_units(symmetry: Symmetry, model: nn.Module, state: State, images: Tensor) -> dict[str, int]:
    """Count the hidden units that do nothing, for each permutation group.

    A unit is dead when its activation (where activation matching reads it: after the nonlinearity, or the last residual
    sum) is the same for all images and positions, or when every weight that reads it is 0.

    Args:
        symmetry: the symmetry of the model.
        model: the network's module.
        state: the network's state, on the device of the images.
        images: unaugmented training images [N, …].

    Returns:
        The number of dead units by the name of the group; groups whose units no intermediate shows are judged by the
        weights alone.
    """
    unread = {name: _unread(symmetry, name, state) for name in symmetry.groups}
    constant = _constant(model, state, images)
    return {name: int((gone | constant[name] if name in constant else gone).sum()) for name, gone in unread.items()}


def _smallest_removed(mask: Mapping[str, Tensor], values: State, fraction: float) -> dict[str, Tensor]:
    """Remove what has the smallest magnitude among `values`, of all layers given."""
    flat = torch.cat([tensor.flatten() for tensor in mask.values()])
    magnitudes = torch.cat([values[key].detach().cpu().flatten().abs() for key in mask])
    places = torch.nonzero(flat).flatten()
    order = torch.sort(magnitudes[places], stable=True).indices
    flat[places[order[: rounded_up(fraction, len(places))]]] = False
    parts = flat.split([tensor.numel() for tensor in mask.values()])
    return {key: part.reshape(tensor.shape) for (key, tensor), part in zip(mask.items(), parts, strict=True)}


def _unread(symmetry: Symmetry, name: str, state: State) -> Tensor:
    """For each unit of a group whether all weights that read it are 0."""
    group = symmetry.groups[name]
    used = torch.zeros(group.size, dtype=torch.bool)
    read = False
    for place in symmetry.places(name):
        # The output axis of a weight comes first, as everywhere in PyTorch; the others read.
        if place.axis > 0 and place.key in symmetry.parameters:
            used |= (place.units(state[place.key]) != 0).any(1).cpu()
            read = True
    return ~used if read else used


def _constant(model: nn.Module, state: State, images: Tensor) -> dict[str, Tensor]:
    """For each unit of each group that an intermediate shows, whether its activation never changes."""
    traced: TracedSymmetry = discover(model, images, verify=False)
    taps: dict[int, list[tuple[str, Units]]] = {}
    for name in traced.groups:
        with suppress(SymmetryError):
            index, units = traced.intermediates(name)[0]
            taps.setdefault(index, []).append((name, units))
    found: dict[str, Tensor] = {}

    def visit(index: int, func: object, call: dict[str, object], outs: list[Tensor]) -> None:
        for name, units in taps.get(index, []):
            values = units.of(outs[0])
            found[name] = (values.amax(0) == values.amin(0)).cpu()

    network = Network(model, state)
    with Operations(visit):
        network(images)
    return found


def _pack(tensor: Tensor) -> np.ndarray:
    return np.packbits(tensor.flatten().numpy())


def _unpack(bits: np.ndarray, shape: list[int]) -> Tensor:
    count = math.prod(shape)
    if len(bits) != (count + 7) // 8:
        raise ValueError(f"{len(bits)} bytes cannot hold {count} weights")
    return torch.from_numpy(np.unpackbits(bits, count=count).astype(bool).reshape(shape))
