"""Curves, barriers and simplices between networks, in one place for a notebook.

curve = onebasin.barrier.curve(model, state_a, state_b, images, labels)
onebasin.barrier.barrier(curve, "error")
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import TYPE_CHECKING

from torch import Tensor, nn

from onebasin.landscape.barrier import METRICS, height, simplex_height
from onebasin.landscape.evaluate import BATCH_SIZE, Values, losses, measure
from onebasin.landscape.interpolate import State, grid, interpolate, line
from onebasin.landscape.repair import Correction, has_running_statistics
from onebasin.landscape.temperature import temperature
from onebasin.symmetry import check_states

if TYPE_CHECKING:
    import pandas as pd

log = logging.getLogger(__name__)

__all__ = [
    "BATCH_SIZE",
    "Values",
    "barrier",
    "curve",
    "grid",
    "height",
    "interpolate",
    "line",
    "losses",
    "measure",
    "simplex",
    "simplex_height",
    "temperature",
]


def curve(
    model: nn.Module,
    state_a: State,
    state_b: State,
    images: Tensor,
    labels: Tensor,
    alphas: int | Sequence[float] = 25,
    batch_size: int = BATCH_SIZE,
    *,
    correct: Correction | None = None,
) -> pd.DataFrame:
    """Measure loss and error along the straight line between two networks.

    Args:
        model: the networks' module.
        state_a: the network at alpha = 0.
        state_b: the network at alpha = 1, already permuted if it is to be.
        images: [N, …], normalised, unaugmented.
        labels: class indices [N]; or [N, …], where the network has logits [N, classes, …].
        alphas: number of evenly spaced points, or the points.
        batch_size: images per forward pass.
        correct: what ``repair.correction`` returned for the same two networks, if those between are to be corrected.

    Returns:
        A data frame with the columns alpha, loss (nats) and error (fraction).

    Raises:
        ValueError: for fewer than 2 points, or if states, images or labels do not fit the model.
    """
    import pandas as pd

    if correct is None and has_running_statistics(model):
        log.warning("the model has batch norm, whose statistics fit no network between two: give correct=, see repair")
    weights = line(alphas)
    check_states(model, {"state_a": state_a, "state_b": state_b})
    splits = {"images": (images, labels)}
    found = measure(model, [state_a, state_b], weights, splits, batch_size=batch_size, correct=correct)["images"]
    return pd.DataFrame({"alpha": weights[:, 1].numpy(), "loss": found.loss, "error": found.error})


def barrier(measured: pd.DataFrame, metric: str = "loss") -> float:
    """Return the barrier of a measured curve (Frankle et al. 2020, arXiv 1912.05671; Sharma et al. 2024).

    Args:
        measured: what ``curve`` returned, from alpha = 0 to alpha = 1.
        metric: "loss" (the barrier is in nats) or "error" (a fraction of labels).

    Returns:
        The largest excess over the straight line between the values at the ends.

    Raises:
        ValueError: for anything else than a curve, or another metric.
    """
    columns = getattr(measured, "columns", ())
    if "alpha" not in columns:
        raise ValueError(f"a {type(measured).__name__} is no curve: give what barrier.curve returned")
    allowed = [name for name in METRICS if name in columns]
    if metric not in allowed:
        raise ValueError(f"metric {metric!r}: allowed are {', '.join(allowed)}")
    return height(measured["alpha"], list(measured[metric]))


def simplex(
    model: nn.Module,
    states: Sequence[State],
    images: Tensor,
    labels: Tensor,
    weights: Tensor,
    batch_size: int = BATCH_SIZE,
    *,
    correct: Correction | None = None,
) -> pd.DataFrame:
    """Measure loss and error at points of the simplex between n networks.

    Args:
        model: the networks' module.
        states: n states, already permuted if they are to be.
        images: [N, …], normalised, unaugmented.
        labels: class indices [N]; or [N, …], where the network has logits [N, classes, …].
        weights: [K, n] barycentric coordinates, such as those of ``grid``.
        batch_size: images per forward pass.
        correct: what ``repair.correction`` returned for the same networks, if mixtures are to be corrected.

    Returns:
        A data frame with the columns weight_0 … weight_{n-1}, loss (nats) and error (fraction).

    Raises:
        ValueError: if states, images or labels do not fit the model, or weights another number of networks.
    """
    import pandas as pd

    splits = {"images": (images, labels)}
    found = measure(model, states, weights, splits, batch_size=batch_size, correct=correct)["images"]
    columns = {f"weight_{index}": weights[:, index].numpy() for index in range(len(states))}
    return pd.DataFrame({**columns, "loss": found.loss, "error": found.error})
