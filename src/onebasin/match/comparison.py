"""What the methods for n networks maximise: the sum, over all pairs, of how alike two permuted networks are."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from itertools import combinations
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from onebasin import seeding
from onebasin.landscape.interpolate import interpolate
from onebasin.match import activation_matching, frank_wolfe, weight_matching
from onebasin.match.coordinate_ascent import as_real, counted_keys, is_small
from onebasin.match.decision import decide
from onebasin.match.result import several
from onebasin.permutation import Permutation
from onebasin.symmetry import State, Symmetry, check_states

SIMILARITIES = ("weights", "activations")
Pair = tuple[int, int]


class Comparison(ABC):
    """How alike n networks are under given permutations, and how to improve one permutation with the others held."""

    def __init__(self, symmetry: Symmetry, states: Mapping[int, State], seed: int) -> None:
        self.symmetry, self.states, self.seed = symmetry, states, seed
        self.networks = list(states)
        self.device = next(iter(states[self.networks[0]].values())).device
        self.pairs: list[Pair] = list(combinations(sorted(states), 2))
        self._matches: dict[Pair, tuple[Permutation, int]] = {}

    def match(self, a: int, b: int) -> tuple[Permutation, int]:
        """Return the permutation that takes network b into the frame of a, and the sweeps of the search."""
        if (a, b) not in self._matches:
            self._matches[a, b] = self._match(a, b)
        return self._matches[a, b]

    @abstractmethod
    def _match(self, a: int, b: int) -> tuple[Permutation, int]: ...

    def starts(self) -> list[dict[int, Permutation]]:
        """Return frames from which to search: the best reference's."""
        return [self.best_reference()[0]]

    @abstractmethod
    def align(self, network: int, permutations: Mapping[int, Permutation], round_: int) -> Permutation:
        """Align one network to the sum of the others; return its permutation as it is if that cannot be improved."""

    @abstractmethod
    def join(self, first: Sequence[int], second: Sequence[int], permutations: Mapping[int, Permutation]) -> Permutation:
        """Return the permutation that aligns the mean of some permuted networks to the mean of others."""

    @abstractmethod
    def objective(self, a: int, b: int, permutations: Mapping[int, Permutation]) -> float:
        """Return how alike two permuted networks are."""

    def to_reference(self, to: int) -> tuple[dict[int, Permutation], int]:
        """Return the permutations that align all networks to one, and the sweeps of the longest search."""
        permutations, longest = {to: self.symmetry.identity()}, 1
        for other in self.networks:
            if other != to:
                found, sweeps = self.match(min(to, other), max(to, other))
                permutations[other] = found if to < other else found.inverse()
                longest = max(longest, sweeps)
        return {network: permutations[network] for network in self.networks}, longest

    def best_reference(self) -> tuple[dict[int, Permutation], int]:
        """Return what ``to_reference`` does for the reference with the largest total."""
        return max((self.to_reference(to) for to in self.networks), key=lambda found: self.total(found[0]))

    def matrices(self, permutations: Mapping[int, Permutation]) -> dict[str, Tensor]:
        """Return, for each group without blocks, the matrices of the permutations, [networks, units, units]."""
        found = {}
        for name, group in self.symmetry.groups.items():
            if group.blocks == 1 and not self.symmetry.nested[name]:
                orders = torch.tensor(np.stack([permutations[network][name] for network in self.networks]))
                found[name] = nn.functional.one_hot(orders, group.size).to(self.device, torch.float32)
        return found

    @abstractmethod
    def soften(self, permutations: Mapping[int, Permutation]) -> dict[str, Tensor]:
        """Return doubly stochastic matrices near permutations, from which to climb, as ``matrices`` does."""

    @abstractmethod
    def relaxations(self, start: Mapping[str, Tensor], held: Mapping[int, Permutation]) -> list[frank_wolfe.Relaxation]:
        """Return the objective of doubly stochastic matrices, in parts that do not depend on each other.

        Args:
            start: for each group to be relaxed [networks, units, units], networks in their order here.
            held: permutations that give the order of all other groups.
        """

    def objectives(self, permutations: Mapping[int, Permutation]) -> dict[Pair, float]:
        """Return how alike the permuted networks of each pair a < b are."""
        return {(a, b): self.objective(a, b, permutations) for a, b in self.pairs}

    def total(self, permutations: Mapping[int, Permutation]) -> float:
        """Return the sum over all pairs, which the methods maximise."""
        return sum(self.objectives(permutations).values())


class Weights(Comparison):
    """Networks are as alike as the inner product of their parameters, which weight matching maximises."""

    def __init__(self, symmetry: Symmetry, states: Mapping[int, State], seed: int, *, biases: bool = True) -> None:
        symmetry, real = as_real(symmetry, list(states.values()))
        super().__init__(symmetry, dict(zip(states, real, strict=True)), seed)
        self.biases = biases
        first = states[self.networks[0]]
        self.keys = counted_keys(symmetry, first, biases)
        self._permuted: dict[int, tuple[Permutation, dict[str, Tensor]]] = {}

    def _match(self, a: int, b: int) -> tuple[Permutation, int]:
        found = weight_matching.weights(
            self.symmetry, self.states[a], self.states[b], seed=self.seed, biases=self.biases
        )
        return found.permutation, found.sweeps

    def starts(self) -> list[dict[int, Permutation]]:
        """Return frames from which to search: the best reference's, and that in which all are decided together.

        Of networks that take no time both, of others the better one.
        """
        together = decide(self.symmetry, [self.states[network] for network in self.networks], biases=self.biases)
        found = [*super().starts(), dict(zip(self.networks, together, strict=True))]
        return found if is_small(self.symmetry) else [max(found, key=self.total)]

    def align(self, network: int, permutations: Mapping[int, Permutation], round_: int) -> Permutation:
        """Search for a better permutation by weight matching, from the present one."""
        others = [self.permuted(other, permutations[other]) for other in self.networks if other != network]
        target = {key: torch.stack([tensors[key] for tensors in others]).sum(0) for key in self.keys}
        generator = seeding.generator("frame", self.seed, network, round_)
        start = permutations[network]
        return weight_matching.improve(
            self.symmetry, target, self.states[network], start, generator, biases=self.biases
        )

    def join(self, first: Sequence[int], second: Sequence[int], permutations: Mapping[int, Permutation]) -> Permutation:
        """Match the two means by their weights."""
        means = []
        for side in (first, second):
            permuted = [self.symmetry.apply(permutations[network], self.states[network]) for network in side]
            means.append(interpolate(permuted, [1 / len(side)] * len(side)))
        return weight_matching.weights(self.symmetry, *means, seed=self.seed, biases=self.biases).permutation

    def objective(self, a: int, b: int, permutations: Mapping[int, Permutation]) -> float:
        """Return the inner product of the compared parameters."""
        first, second = (self.permuted(network, permutations[network]) for network in (a, b))
        return sum(float((first[key] * second[key]).sum(dtype=torch.float64)) for key in self.keys)

    def soften(self, permutations: Mapping[int, Permutation]) -> dict[str, Tensor]:
        """Mix with the uniform matrix, .3 to .7: trials on digits and MNIST ended higher than with other mixtures."""
        return {name: 0.3 * matrix + 0.7 / matrix.shape[1] for name, matrix in self.matrices(permutations).items()}

    def relaxations(self, start: Mapping[str, Tensor], held: Mapping[int, Permutation]) -> list[frank_wolfe.Relaxation]:
        """Relax all groups jointly."""
        unmoved = {name: np.arange(matrices.shape[1]) for name, matrices in start.items()}
        permuted = {network: Permutation({**held[network], **unmoved}) for network in self.networks}
        tensors = {
            key: torch.stack(
                [
                    self.symmetry.apply_to(key, self.states[network][key].detach().float(), permuted[network])
                    for network in self.networks
                ]
            )
            for key in self.keys
        }
        return [frank_wolfe.Tensors(self.symmetry, tensors, start)]

    def permuted(self, network: int, permutation: Permutation) -> dict[str, Tensor]:
        """Return the compared parameters of one network, permuted."""
        kept = self._permuted.get(network)
        if kept is None or kept[0] is not permutation:
            state = self.states[network]
            tensors = {key: self.symmetry.apply_to(key, state[key].detach().float(), permutation) for key in self.keys}
            self._permuted[network] = kept = permutation, tensors
        return kept[1]


class Activations(Comparison):
    """Networks are as alike as the mean kernel of their matched units, which activation matching maximises."""

    def __init__(
        self,
        symmetry: Symmetry,
        model: nn.Module,
        states: Mapping[int, State],
        images: Tensor,
        seed: int,
        **options: Any,
    ) -> None:
        super().__init__(symmetry, states, seed)
        ordered = sorted(states)
        found = activation_matching.correlations(symmetry, model, [states[n] for n in ordered], images, **options)
        self.gains: dict[Pair, dict[str, Tensor]] = {}
        for (a, b), plain in found.items():
            ends = [several(states[ordered[place]])[0][-1] for place in (a, b)]
            gains = activation_matching.without_ties(symmetry, plain, *ends)
            self.gains[ordered[a], ordered[b]] = dict(gains)
            self.gains[ordered[b], ordered[a]] = {name: gain.T for name, gain in gains.items()}
        self.read = [name for name, nested in symmetry.nested.items() if not nested]

    def _match(self, a: int, b: int) -> tuple[Permutation, int]:
        return activation_matching.best_order(self.symmetry, self.gains[a, b]), 1

    def align(self, network: int, permutations: Mapping[int, Permutation], round_: int) -> Permutation:
        """Solve every group against the sum of the other networks' units."""
        total = {}
        for name in self.read:
            parts = [
                self.gains[other, network][name][torch.tensor(permutations[other][name])]
                for other in self.networks
                if other != network
            ]
            total[name] = torch.stack(parts).sum(0)
        current = permutations[network]
        found = activation_matching.best_order(self.symmetry, total)
        before, after = (activation_matching.mean_gain(total, choice) for choice in (current, found))
        return found if after - before > 1e-9 * abs(after) else current

    def join(self, first: Sequence[int], second: Sequence[int], permutations: Mapping[int, Permutation]) -> Permutation:
        """Solve every group for the units of all pairs between the two sides together."""
        orders = {n: {name: torch.tensor(permutations[n][name]) for name in self.read} for n in (*first, *second)}
        total = {
            name: torch.stack(
                [self.gains[a, b][name][orders[a][name]][:, orders[b][name]] for a in first for b in second]
            ).sum(0)
            for name in self.read
        }
        return activation_matching.best_order(self.symmetry, total)

    def objective(self, a: int, b: int, permutations: Mapping[int, Permutation]) -> float:
        """Return the mean kernel of matched units."""
        relative = permutations[a].inverse() @ permutations[b]
        return activation_matching.mean_gain(self.gains[a, b], relative)

    def soften(self, permutations: Mapping[int, Permutation]) -> dict[str, Tensor]:
        """Mix half with the permutations to each reference; a uniform matrix would not change the best assignment."""
        first = self.networks[0]
        softened = {name: matrix / 2 for name, matrix in self.matrices(permutations).items()}
        for to in self.networks:
            aligned, _ = self.to_reference(to)
            back = permutations[first] @ aligned[first].inverse()
            brought = {network: back @ permutation for network, permutation in aligned.items()}
            for name, matrix in self.matrices(brought).items():
                softened[name] += matrix / (2 * len(self.networks))
        return softened

    def relaxations(self, start: Mapping[str, Tensor], held: Mapping[int, Permutation]) -> list[frank_wolfe.Relaxation]:
        """Relax each group by itself."""
        positions = {network: position for position, network in enumerate(self.networks)}
        return [
            frank_wolfe.Gains(
                name,
                {(positions[a], positions[b]): gains[name].to(matrices) for (a, b), gains in self.gains.items()},
                matrices,
            )
            for name, matrices in start.items()
        ]


def compare(
    similarity: str,
    symmetry: Symmetry,
    states: Mapping[int, State],
    model: nn.Module | None,
    images: Tensor | None,
    seed: int,
    **options: Any,
) -> Comparison:
    """Return how networks are compared.

    Args:
        similarity: "weights" (inner product of parameters) or "activations" (correlation of activations).
        symmetry: the symmetry of the networks' model.
        states: the networks by their seeds, at least two, on the device to compute on.
        model: the module of the networks; needed by "activations".
        images: unaugmented training images, on the same device; needed by "activations".
        seed: seeds the order in which things are visited.
        options: for "weights": biases, as for ``match.weights``; for "activations": kernel, n_images, intermediate and
            batch_size, as for ``match.activations``.

    Raises:
        ValueError: for an unknown similarity, fewer than two networks, states that do not fit the symmetry, or no model
            or images where they are needed.
    """
    if similarity not in SIMILARITIES:
        raise ValueError(f"similarity {similarity!r}: allowed are {', '.join(SIMILARITIES)}")
    if len(states) < 2:
        raise ValueError(f"a common frame needs at least 2 networks, not {len(states)}")
    check_states(symmetry, {f"network {number}": state for number, state in states.items()})
    if similarity == "weights":
        return Weights(symmetry, states, seed, **options)
    if model is None or images is None:
        raise ValueError("similarity 'activations' needs the model and images")
    return Activations(symmetry, model, states, images, seed, **options)
