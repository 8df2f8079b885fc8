"""Methods for n networks: one permutation per network into a frame common to all.

What they maximise is the sum over all pairs of networks of what a matching of two maximises: the inner product of the
permuted parameters, or the mean correlation of matched units. The permutation between two networks goes through the
frame, π_b→a = π_a⁻¹ π_b, so that the permutations around any closed path compose to the identity.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from onebasin import seeding
from onebasin.match.comparison import Comparison, compare
from onebasin.match.coordinate_ascent import is_small
from onebasin.match.frank_wolfe import maximise
from onebasin.match.result import Frame
from onebasin.permutation import Permutation
from onebasin.symmetry import State, Symmetry

Permutations = dict[int, Permutation]


def reference(
    symmetry: Symmetry,
    states: Mapping[int, State],
    *,
    similarity: str = "weights",
    model: nn.Module | None = None,
    images: Tensor | None = None,
    to: int | None = None,
    seed: int = 0,
    **options: Any,
) -> Frame:
    """Align every network to one of them, which gives its own order to the frame.

    Args:
        symmetry: the symmetry of the networks' model.
        states: the networks by their seeds, at least two, on the device to compute on.
        similarity: "weights" or "activations".
        model: the module of all networks; only "activations" needs it.
        images: unaugmented training images [N, …], on the same device; only "activations" needs them.
        to: the network to which all others are aligned; None for the one that gives the largest objective.
        seed: seeds the searches.
        options: of the similarity, see ``comparison.compare``.

    Returns:
        The frame. The objective of a pair is that of ``match.weights`` or ``match.activations``; iterations are the
        sweeps of the longest search.

    Raises:
        ValueError: for a bad argument.
    """
    start = time.perf_counter()
    if to is not None and to not in states:
        raise ValueError(f"to {to!r}: not one of the networks {', '.join(map(str, states))}")
    comparison = compare(similarity, symmetry, states, model, images, seed, **options)
    found = comparison.best_reference() if to is None else comparison.to_reference(to)
    return _frame(comparison, *found, start)


def merge_many(
    symmetry: Symmetry,
    states: Mapping[int, State],
    *,
    similarity: str = "weights",
    model: nn.Module | None = None,
    images: Tensor | None = None,
    max_rounds: int = 100,
    seed: int = 0,
    **options: Any,
) -> Frame:
    """Align each network in turn to the mean of the others, until no network can be improved.

    Ainsworth et al. 2023 (arXiv 2209.04836), algorithm 3. The start is the best reference instead of the networks as
    they are or, with "weights", the frame in which all networks were decided together (see ``decision``) if that is
    better; and no step lowers the objective: the result is at least as good as any reference.

    Args:
        symmetry: as for ``reference``.
        states: as for ``reference``.
        similarity: as for ``reference``.
        model: as for ``reference``.
        images: as for ``reference``.
        max_rounds: the search stops after this many rounds over all networks.
        seed: seeds the searches and the order of the networks in each round.
        options: as for ``reference``.

    Returns:
        The frame, with the objectives of ``reference``; iterations are rounds.

    Raises:
        ValueError: for a bad argument.
    """
    start = time.perf_counter()
    comparison = compare(similarity, symmetry, states, model, images, seed, **options)
    found = [_ascend(comparison, permutations, max_rounds) for permutations in comparison.starts()]
    return _frame(comparison, *max(found, key=lambda one: comparison.total(one[0])), start)


def hierarchical(
    symmetry: Symmetry,
    states: Mapping[int, State],
    *,
    similarity: str = "weights",
    model: nn.Module | None = None,
    images: Tensor | None = None,
    seed: int = 0,
    **options: Any,
) -> Frame:
    """Align each second network to the one before, then the means of pairs, and so on until one frame is left.

    Hierarchical merging (arXiv 2510.09174). Networks are paired in the order in which they are given, and one that is
    left over waits for the next round. A mean is of permuted networks: with "activations" it is judged by how its
    networks' units go with those of the other side, all pairs together. Nothing is revised once it is aligned, so that
    the objective may lie below that of a reference.

    Args:
        symmetry: as for ``reference``.
        states: as for ``reference``.
        similarity: as for ``reference``.
        model: as for ``reference``.
        images: as for ``reference``.
        seed: seeds the searches.
        options: as for ``reference``.

    Returns:
        The frame, in the order of the first network, with the objectives of ``reference``; iterations are rounds.

    Raises:
        ValueError: for a bad argument.
    """
    start = time.perf_counter()
    comparison = compare(similarity, symmetry, states, model, images, seed, **options)
    permutations = dict.fromkeys(comparison.networks, symmetry.identity())
    merged, rounds = [[network] for network in comparison.networks], 0
    while len(merged) > 1:
        for first, second in zip(merged[::2], merged[1::2], strict=False):
            found = comparison.join(first, second, permutations)
            permutations |= {network: found @ permutations[network] for network in second}
            first += second
        merged, rounds = merged[::2], rounds + 1
    return _frame(comparison, permutations, rounds, start)


def universe(
    symmetry: Symmetry,
    states: Mapping[int, State],
    *,
    similarity: str = "weights",
    model: nn.Module | None = None,
    images: Tensor | None = None,
    climbs: int = 5,
    max_steps: int = 100,
    max_rounds: int = 100,
    seed: int = 0,
    **options: Any,
) -> Frame:
    """Find the permutations of all networks and layers jointly, by Frank-Wolfe over doubly stochastic matrices.

    Crisostomi et al. 2024 (arXiv 2405.17897). The first start is what ``merge_many`` finds, softened: each permutation
    is mixed with others, for from a permutation alone no group of one network leads up.
    What is found is projected to permutations, each network is aligned to the others in turn as in ``merge_many``, and
    the next climb starts from that, softened again. The best of all is returned, ``merge_many`` included, so that the
    result is at least as good as it and as any reference. Groups in blocks (heads of attention) are not relaxed: they
    move only while networks are aligned in turn.

    Args:
        symmetry: as for ``reference``.
        states: as for ``reference``.
        similarity: as for ``reference``.
        model: as for ``reference``.
        images: as for ``reference``.
        climbs: how often Frank-Wolfe climbs from a softened start; large networks stop where a climb gains less than a
            thousandth.
        max_steps: a climb stops after this many steps.
        max_rounds: as for ``merge_many``.
        seed: as for ``merge_many``.
        options: as for ``reference``.

    Returns:
        The frame, with the objectives of ``reference``; iterations are steps of Frank-Wolfe in all
        climbs, of the longest where groups climb apart.

    Raises:
        ValueError: for a bad argument.
    """
    start = time.perf_counter()
    comparison = compare(similarity, symmetry, states, model, images, seed, **options)
    small = is_small(symmetry)
    found, steps = [], 0
    for permutations in comparison.starts():
        current, _ = _ascend(comparison, permutations, max_rounds)
        found.append(current)
        for _ in range(climbs):
            projected, count = _climb(comparison, current, max_steps)
            current, _ = _ascend(comparison, projected, max_rounds)
            steps += count
            before = max(map(comparison.total, found))
            found.append(current)
            if not small and comparison.total(current) - before < 1e-3 * abs(before):
                break
    return _frame(comparison, max(found, key=comparison.total), steps, start)


def _climb(comparison: Comparison, held: Permutations, max_steps: int) -> tuple[Permutations, int]:
    """Climb from a softened frame; return the permutations nearest to where that ends, and the number of steps."""
    relaxations = comparison.relaxations(comparison.soften(held), held)
    steps = max((maximise(relaxation, max_steps=max_steps) for relaxation in relaxations), default=0)
    projected = {name: orders for relaxation in relaxations for name, orders in relaxation.projected().items()}
    found = {
        network: Permutation({**held[network], **{name: orders[place] for name, orders in projected.items()}})
        for place, network in enumerate(comparison.networks)
    }
    return found, steps


def _ascend(comparison: Comparison, start: Permutations, max_rounds: int) -> tuple[Permutations, int]:
    """Align each network to the others in turn; return the permutations and the number of rounds."""
    permutations = dict(start)
    stale = set(permutations)  # networks around which something changed since they were aligned
    rounds = 0
    while stale and rounds < max_rounds:
        generator = seeding.generator("frame", comparison.seed, "round", rounds)
        rounds += 1
        for index in torch.randperm(len(permutations), generator=generator).tolist():
            network = comparison.networks[index]
            if network not in stale:
                continue
            stale.discard(network)
            found = comparison.align(network, permutations, rounds)
            if found != permutations[network]:
                permutations[network] = found
                stale |= permutations.keys() - {network}
    return permutations, rounds


def _frame(comparison: Comparison, permutations: Permutations, iterations: int, start: float) -> Frame:
    objectives = comparison.objectives(permutations)
    return Frame(permutations, objectives, iterations, time.perf_counter() - start)
