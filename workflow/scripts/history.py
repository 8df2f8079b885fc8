"""The history of the networks of a cell: their states at several epochs, and the ways between them."""

from collections.abc import Hashable, Iterator, Mapping, Sequence
from itertools import product
from typing import Any

from cell import Cell, Measurement, State

from onebasin import checkpoint, tables
from onebasin.permutation import Permutation

Pair = tuple[int, int]


def open_states(cell: Cell, snakemake: Any) -> dict[str, dict[int, State]]:
    """Read what a job names as its input `history`, one network for each of its params `stages` and `seeds`."""
    states: dict[str, dict[int, State]] = {}
    names = product(snakemake.params.stages, snakemake.params.seeds)
    for (stage, seed), path in zip(names, snakemake.input.history, strict=True):
        states.setdefault(stage, {})[seed] = checkpoint.load(path, cell.device)[0]
    return states


def pairs_of(snakemake: Any) -> list[Pair]:
    """Read the param `pairs`, such as 0-1."""
    return [(int(a), int(b)) for a, b in (pair.split("-") for pair in snakemake.params.pairs)]


def open_permutations(snakemake: Any, methods: Sequence[str]) -> dict[tuple[str, str, Pair], Permutation]:
    """Read the input `permutations` of a job, one for each method and each of its params `stages` and `pairs`.

    Returns the permutations by method, stage and pair.
    """
    names = product(methods, snakemake.params.stages, pairs_of(snakemake))
    return {name: Permutation.load(path) for name, path in zip(names, snakemake.input.permutations, strict=True)}


def barriers(
    cell: Cell,
    measurement: Measurement,
    states: tuple[State, State],
    permutations: Mapping[Hashable, Permutation],
) -> Iterator[tuple[Hashable, dict[str, Any]]]:
    """Measure the barriers between network a and network b under several permutations.

    Equal permutations are measured once, and the two ends once for all: a permutation leaves the function unchanged.

    Args:
        cell: the model.
        measurement: how it is measured.
        states: the networks a and b.
        permutations: those that take b into the frame of a, each under a name.

    Yields:
        A name, and the columns split, metric, barrier, alpha, end_a and end_b.
    """
    different = list(dict.fromkeys(permutations.values()))
    permuted = [cell.symmetry.apply(permutation, states[1]) for permutation in different]
    lines = measurement.fan(states[0], permuted)
    found = {
        permutation: list(tables.barriers(rows, ("split",))) for permutation, rows in zip(different, lines, strict=True)
    }
    for name, permutation in permutations.items():
        for row in found[permutation]:
            yield name, row
