"""What a matching method returns."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from onebasin.permutation import Permutation
from onebasin.symmetry import State, Symmetry


@dataclass(frozen=True)
class Match:
    """A permutation that takes network b into the frame of network a.

    Attributes:
        permutation: one index array per group; apply it to the state of b.
        objective: what the method maximised, at the end (see the method).
        sweeps: how often a group was solved, over the number of groups, rounded up; 1 where each is solved once.
        seconds: wall-clock time of the matching.
    """

    permutation: Permutation
    objective: float
    sweeps: int
    seconds: float


@dataclass(frozen=True)
class Frame:
    """One permutation per network, which takes it into a frame common to all.

    Attributes:
        permutations: for each network, by its seed, the permutation to apply to its state.
        objectives: for each pair of networks a < b, what the method maximised, at the end (see the method).
        iterations: steps of the method (see the method).
        seconds: wall-clock time of the matching.
    """

    permutations: Mapping[int, Permutation]
    objectives: Mapping[tuple[int, int], float]
    iterations: int
    seconds: float


def several(*networks: State | Sequence[State]) -> list[list[State]]:
    """Return the states of networks as lists, of one state each or of several from the same moments of training.

    Raises:
        ValueError: if the networks do not have the same number of states, or none.
    """
    found = [[states] if isinstance(states, Mapping) else list(states) for states in networks]
    counts = [len(states) for states in found]
    if len(set(counts)) != 1 or 0 in counts:
        raise ValueError(f"{' and '.join(map(str, counts))} states of the networks: give as many of each")
    return found


def similarity(symmetry: Symmetry, state_a: State, state_b: State) -> float:
    """Return the cosine of the angle between the permutable parameters of two networks.

    Args:
        symmetry: the symmetry of both.
        state_a: the state of the first.
        state_b: the state of the second, already permuted if it is to be.

    Returns:
        ⟨a, b⟩ / (‖a‖ ‖b‖) over all parameters that have a permutable axis; comparable between methods.
    """
    keys = {key for group in symmetry.groups.values() for key, _ in group.axes} & symmetry.parameters
    product = norm_a = norm_b = 0.0
    for key in sorted(keys):
        a, b = state_a[key].double(), state_b[key].double()
        product += float((a * b).sum())
        norm_a += float((a * a).sum())
        norm_b += float((b * b).sum())
    scale = (norm_a * norm_b) ** 0.5
    return product / scale if scale else 0.0
