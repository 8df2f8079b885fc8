"""Linear assignment, the step that every matching method repeats.

Its solvers are imported when one is needed: that takes half a second, and most jobs of a study match nothing.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

LEVELS = 2**16  # whole-number costs that the sparse solver tells apart


@functools.cache
def solvers() -> tuple[Callable[..., Any], Callable[..., Any], Callable[..., Any]]:
    """Return the dense solver, the sparse matrix, and the solver of it; the first call imports them."""
    from scipy.optimize import linear_sum_assignment
    from scipy.sparse import csr_array
    from scipy.sparse.csgraph import min_weight_full_bipartite_matching

    return linear_sum_assignment, csr_array, min_weight_full_bipartite_matching


def assign(gain: np.ndarray) -> np.ndarray:
    """Return the columns that maximise the sum of ``gain[i, columns[i]]`` over permutations.

    Args:
        gain: [units of a, units of b].
    """
    return solvers()[0](gain, maximize=True)[1]


def assign_nearby(gain: np.ndarray, current: np.ndarray, candidates: int = 32) -> np.ndarray:
    """Return an assignment at least as good as ``current``, mostly the best, in a fraction of the time of ``assign``.

    Only entries close to the largest of their row and column take part, and those of ``current``.

    Args:
        gain: [units of a, units of b].
        current: the columns assigned so far.
        candidates: entries per row that take part, on average.
    """
    _, csr_array, min_weight_full_bipartite_matching = solvers()
    size = len(gain)
    values = gain.reshape(-1)
    nearest = (gain.max(axis=1, keepdims=True) / 2 + gain.max(axis=0) / 2).reshape(-1)
    nearest -= values
    sample = nearest[:: max(1, size // 16)]
    share = min(len(sample) * candidates // size, len(sample) - 1)
    mask = nearest <= np.partition(sample, share)[share]
    mask[np.arange(size) * size + current] = True
    flat = np.flatnonzero(mask)
    starts = np.searchsorted(flat, np.arange(size + 1) * size)
    taken = values[flat].astype(np.float64)
    # The solver raises prices by the smallest difference of costs, and hardly ends where that is tiny, as among units
    # that pruning left almost without weights; so costs are whole numbers, above 0 to count as entries.
    costs = np.rint((taken.max() - taken) * (LEVELS / (np.ptp(taken) or 1))) + 1
    table = csr_array((costs, flat % size, starts), shape=(size, size))
    found = min_weight_full_bipartite_matching(table)[1]
    rows = np.arange(size)
    return found if gain[rows, found].sum() >= gain[rows, current].sum() else current


def assign_within(gains: np.ndarray) -> np.ndarray:
    """Return the best order of the units of each block, [blocks, units], when every block stays where it is.

    Args:
        gains: [blocks of a, blocks of b, units of a, units of b].
    """
    return np.stack([assign(gains[block, block]) for block in range(len(gains))])


def assign_blocks(gain: np.ndarray, gains: Mapping[str, np.ndarray]) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """Order blocks and the units within them jointly.

    Args:
        gain: [blocks of a, blocks of b], what matching two blocks is worth apart from their units.
        gains: for each group of units nested in the blocks [blocks of a, blocks of b, units of a, units of b].

    Returns:
        The order of the blocks, and for each nested group the order of the units in each place, [blocks, units].
    """
    gain = np.array(gain, dtype=np.float64)
    orders: dict[str, np.ndarray] = {}
    for name, values in gains.items():
        orders[name] = np.array([[assign(pair) for pair in row] for row in values])
        gain += np.take_along_axis(values, orders[name][..., None], axis=3).sum((2, 3))
    order = assign(gain)
    return order, {name: choices[np.arange(len(order)), order] for name, choices in orders.items()}
