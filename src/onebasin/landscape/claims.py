"""The claims of growing strength: the frames in which paths and triangles between networks are measured.

Sharma et al. 2024 (arXiv 2404.06498): *weak* linear connectivity gives each pair of networks its own permutation;
*strong* linear connectivity gives each network one permutation, into the frame of a reference, which must connect it
with all others.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import reduce
from itertools import pairwise

from torch import Tensor

from onebasin.landscape.paths import Path
from onebasin.permutation import Permutation
from onebasin.symmetry import Symmetry

State = Mapping[str, Tensor]
Permutations = Mapping[tuple[int, int], Permutation]
CLAIMS = ("none", "weak", "strong")


@dataclass(frozen=True)
class Triangle:
    """All mixtures of three networks; claim and reference as for a path.

    In a weak triangle the second and third corner are aligned to the first, each by its own permutation: two edges
    are weak paths, and the one between them is a strong path. In a strong triangle the reference lies outside, or the
    frame is common to all networks.
    """

    claim: str
    reference: int | None
    corners: tuple[int, int, int]


def triangles(seeds: Sequence[int], matched: bool) -> list[Triangle]:
    """Return the triangles that are drawn: the first three networks, with the fourth as reference if there is one.

    Raises:
        ValueError: with fewer than three networks.
    """
    if len(seeds) < 3:
        raise ValueError("a triangle needs at least three seeds")
    corners = (seeds[0], seeds[1], seeds[2])
    if not matched:
        return [Triangle("none", None, corners)]
    weak = Triangle("weak", None, corners)
    return [weak, Triangle("strong", seeds[3], corners)] if len(seeds) > 3 else [weak]


def between(permutations: Permutations, frame: int, seed: int) -> Permutation:
    """Return the permutation that takes network ``seed`` into the frame of network ``frame``, another one.

    Args:
        permutations: for each unordered pair, in one of its orders (a, b), the permutation that takes b into the frame
            of a.
        frame: the network whose frame is meant.
        seed: the network to permute.

    Raises:
        KeyError: if the pair was not matched.
    """
    if (frame, seed) in permutations:
        return permutations[frame, seed]
    return permutations[seed, frame].inverse()


def along(matched: Permutations, networks: Sequence[int]) -> Permutation:
    """Compose the permutations of the steps of a path.

    Args:
        matched: as for ``between``.
        networks: the networks of the path, two or more, each another one than that before it.

    Returns:
        The permutation that takes the last network into the frame of the first.

    Raises:
        KeyError: if a step was not matched.
    """
    return reduce(Permutation.compose, (between(matched, a, b) for a, b in pairwise(networks)))


def into_common_frame(
    symmetry: Symmetry, permutations: Mapping[int, Permutation], states: Mapping[int, State]
) -> dict[int, State]:
    """Return the states of networks in the common frame into which their permutations, by their seeds, take them."""
    return {seed: symmetry.apply(permutations[seed], state) for seed, state in states.items()}


def into_frame(symmetry: Symmetry, permutations: Permutations, frame: int, seed: int, state: State) -> State:
    """Return the state of network ``seed`` in the frame of network ``frame``.

    Args:
        symmetry: the symmetry of the networks.
        permutations: as for ``between``.
        frame: the network whose frame is meant.
        seed: the network to permute.
        state: its state.

    Raises:
        KeyError: if the pair was not matched.
    """
    return state if frame == seed else symmetry.apply(between(permutations, frame, seed), state)


def into_frame_of(
    symmetry: Symmetry, permutations: Permutations, frame: int, states: Mapping[int, State]
) -> dict[int, State]:
    """Return the states of several networks in the frame of one, by their seeds; arguments as for ``into_frame``."""
    return {seed: into_frame(symmetry, permutations, frame, seed, state) for seed, state in states.items()}


def endpoints(
    path: Path, states: Mapping[int, State], permutations: Permutations, symmetry: Symmetry
) -> tuple[State, State]:
    """Return the states at the two ends of a path: the first network as it is, the second one permuted.

    In the frame of a third network both are permuted; the way between them is the same one, each point permuted, when
    the first stays as it is and the second takes the permutation from the one frame into the other. So each way has
    one form, whatever frame it was found in.

    Args:
        path: the path.
        states: the state of each network.
        permutations: as for ``between``; empty where nothing is permuted.
        symmetry: the symmetry of the networks.

    Raises:
        KeyError: if a pair that it needs was not matched.
    """
    first, second = states[path.a], states[path.b]
    if not permutations:
        return first, second
    way = [path.a, path.b] if path.reference is None else [path.a, path.reference, path.b]
    return first, symmetry.apply(along(permutations, way), second)


def corners(
    triangle: Triangle, states: Mapping[int, State], permutations: Permutations, symmetry: Symmetry
) -> list[State]:
    """Return the states at the corners of a triangle, permuted as its claim says; arguments as for ``endpoints``."""
    if triangle.claim == "none":
        return [states[seed] for seed in triangle.corners]
    frame = triangle.corners[0] if triangle.reference is None else triangle.reference
    return [into_frame(symmetry, permutations, frame, seed, states[seed]) for seed in triangle.corners]
