"""Weight matching: align two networks by their parameters (Ainsworth et al. 2023, arXiv 2209.04836)."""

from __future__ import annotations

import time
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from onebasin import seeding
from onebasin.match.coordinate_ascent import Search, as_real, is_small
from onebasin.match.decision import decide
from onebasin.match.moments import in_metric
from onebasin.match.result import Match, several
from onebasin.permutation import Permutation
from onebasin.symmetry import State, Symmetry, check_states, stack

KERNELS = ("linear", "cosine", "moments")


def weights(
    symmetry: Symmetry,
    state_a: State | Sequence[State],
    state_b: State | Sequence[State],
    *,
    seed: int = 0,
    kernel: str = "linear",
    biases: bool = True,
    restarts: int = 1,
    max_sweeps: int = 100,
    model: nn.Module | None = None,
    images: Tensor | None = None,
    n_images: int | None = 10_000,
) -> Match:
    """Find the permutation of network b that brings its parameters closest to those of network a.

    Args:
        symmetry: the symmetry of the two networks' model.
        state_a: the state dict of network a, on the device to compute on; or several, from different moments of its
            training, of which the objective is the sum.
        state_b: the state dict of network b, on the same device; or as many of the same moments.
        seed: seeds the order in which groups are first visited, and the starting points of restarts.
        kernel: "linear" compares units by the inner product of their parameters, which maximises ⟨a, π b⟩; "cosine"
            first scales each unit's parameters to unit length on every axis, so that all axes count alike; "moments"
            takes the inner product in the metric of the second moments of what each weight reads (see ``moments``).
        biases: whether parameters with one axis (biases, scales and shifts of norms) count.
        restarts: number of searches; the first starts from what is fixed, the others at random. The best objective
            wins. Small networks, whose searches take no time, are also searched from the identity.
        max_sweeps: the search stops after this many solutions of a group times the number of groups.
        model: the module of both networks; only "moments" needs it.
        images: unaugmented training images [N, …], on the device of the states; only "moments" needs them.
        n_images: use only the first so many images; None for all.

    Returns:
        The match. The objective is ⟨a, π b⟩ over the counted parameters for the linear kernel, the same of weights
        times the roots of their moments for "moments", and the mean cosine of matched units over all axes for the
        cosine kernel.

    Raises:
        ValueError: for an unknown kernel, one that lacks model or images, or states that do not fit the symmetry.
    """
    if kernel not in KERNELS:
        raise ValueError(f"kernel {kernel!r}: allowed are {', '.join(KERNELS)}")
    if restarts < 1 or max_sweeps < 1:
        raise ValueError("restarts and max_sweeps must be at least 1")
    check_states(symmetry, {"state_a": state_a, "state_b": state_b})
    start = time.perf_counter()
    states_a, states_b = several(state_a, state_b)
    if kernel == "moments":
        if model is None or images is None:
            raise ValueError("kernel 'moments' needs the model and images")
        for states in (states_a, states_b):
            states[:] = [in_metric(model, state, images[:n_images], biases=biases) for state in states]
    if len(states_a) > 1:
        symmetry, states_a, states_b = symmetry.stacked(len(states_a)), [stack(states_a)], [stack(states_b)]
    symmetry, (state_a, state_b) = as_real(symmetry, [states_a[0], states_b[0]])
    search = Search(symmetry, state_b, cosine=kernel == "cosine", biases=biases)
    search.aim(state_a)
    best: tuple[float, int, Permutation] | None = None
    for restart in (0, *([0] if is_small(symmetry) else []), *range(1, restarts)):
        generator = seeding.generator("weight matching", seed, restart)
        if best is None:
            search.reset(decide(symmetry, [state_a, state_b], cosine=search.cosine, biases=biases)[1])
        else:
            search.reset(symmetry.random(generator) if restart else symmetry.identity())
        sweeps = search.run(generator, max_sweeps)
        objective = search.objective()
        if best is None or objective > best[0]:
            best = objective, sweeps, Permutation(search.permutation)
    assert best is not None
    return Match(best[2], best[0], best[1], time.perf_counter() - start)


def improve(
    symmetry: Symmetry,
    target: State,
    state: State,
    start: Permutation,
    generator: torch.Generator,
    *,
    biases: bool = True,
    max_sweeps: int = 100,
) -> Permutation:
    """Bring a network closer to a target, from where it stands.

    Args:
        symmetry: the symmetry of the network's model.
        target: tensors like those of a state, such as a sum of networks; only the counted ones are needed.
        state: the state of the network.
        start: the permutation from which to search.
        generator: gives the order in which groups are first visited.
        biases: as for ``weights``.
        max_sweeps: as for ``weights``.

    Returns:
        A permutation π with ⟨target, π state⟩ no smaller than at the start; the start itself if none was better.
    """
    search = Search(symmetry, state, biases=biases)
    search.aim(target)
    search.reset(start)
    search.run(generator, max_sweeps)
    return Permutation(search.permutation)
