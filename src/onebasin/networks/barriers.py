"""Barriers between two networks and among several: lines between all pairs, and the simplex of all."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from itertools import combinations
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from onebasin import seeding
from onebasin.landscape.barrier import highest
from onebasin.landscape.evaluate import Images, measure
from onebasin.landscape.interpolate import State, line, random_points
from onebasin.landscape.repair import correction as prepare

if TYPE_CHECKING:
    import pandas as pd

log = logging.getLogger(__name__)

SIMPLEX = "simplex"
MIXTURES = 64


def points(
    model: nn.Module,
    states: Sequence[State],
    splits: Mapping[str, Images],
    *,
    alphas: int | Sequence[float] = 25,
    mixtures: int = MIXTURES,
    correction: str = "none",
    images: Tensor | None = None,
) -> pd.DataFrame:
    """Measure loss and error on the line between each two networks, and with three or more at mixtures of all.

    Args:
        model: the networks' module; its own parameters are not used.
        states: two or more state dicts, already permuted if they are to be.
        splits: for each name, images [N, …] and labels [N] to evaluate on.
        alphas: number of evenly spaced points of a line, or the points.
        mixtures: number of mixtures of all networks, drawn evenly over the simplex; their mean and the networks
            themselves come besides.
        correction: "none", "reset" or "repair": how the statistics of mixtures are corrected.
        images: training images that the correction is fitted on.

    Returns:
        A row for each point and split: path ("0-1" for the line between the first two networks, "simplex"), alpha
        (missing in the simplex), weight_0 … weight_{n-1}, split, loss (nats), error (fraction).

    Raises:
        ValueError: for fewer than two networks, no images, or a correction without images to fit it on.
    """
    import pandas as pd

    count = len(states)
    if count < 2:
        raise ValueError("a barrier needs at least two networks")
    if correction != "none" and images is None:
        raise ValueError(f"correction {correction!r} needs training images")
    edge = line(alphas)
    paths: dict[str, tuple[tuple[int, ...], Tensor]] = {
        f"{a}-{b}": ((a, b), edge) for a, b in combinations(range(count), 2)
    }
    if count > 2:
        drawn = random_points(mixtures, count, seeding.generator("mixtures of networks", count))
        mean = torch.full((1, count), 1 / count, dtype=torch.float64)
        paths[SIMPLEX] = tuple(range(count)), torch.cat([torch.eye(count, dtype=torch.float64), mean, drawn])
    rows = []
    for path, (members, weights) in paths.items():
        log.info("measuring %d networks %s", len(weights), "in the simplex" if path == SIMPLEX else f"between {path}")
        ends = [states[index] for index in members]
        correct = None if images is None else prepare(correction, model, ends, images)
        measured = measure(model, ends, weights, splits, correct=correct)
        for split, values in measured.items():
            for point, loss, error in zip(weights.tolist(), values.loss, values.error, strict=True):
                shares = dict.fromkeys(range(count), 0.0) | dict(zip(members, point, strict=True))
                alpha = None if path == SIMPLEX else point[1]
                row = {f"weight_{index}": share for index, share in shares.items()}
                rows.append({"path": path, "alpha": alpha, **row, "split": split, "loss": loss, "error": error})
    return pd.DataFrame(rows)


def barriers(measured: pd.DataFrame) -> pd.DataFrame:
    """Return the barrier of every path that ``points`` measured (Frankle et al. 2020, arXiv 1912.05671).

    Args:
        measured: what ``points`` returned; columns besides its own tell paths apart.

    Returns:
        A row for each path, split and metric ("error", a fraction, or "loss", in nats): barrier, the largest excess
        over the interpolation of the networks' own values; at, the weights of the networks there; highest, the value
        there; ends, the values of the path's networks.
    """
    import numpy as np
    import pandas as pd

    columns = [str(column) for column in measured]
    shares = [column for column in columns if column.startswith("weight_")]
    names = [column for column in columns if column not in (*shares, "alpha", "loss", "error")]
    rows = []
    for key, path in measured.groupby(names, sort=False):
        named: dict[str, object] = dict(zip(names, key, strict=True))
        weights = path[shares].to_numpy()
        members = np.any(weights > 0, axis=0)
        ends = [int((weights[:, index] == 1).argmax()) for index in np.flatnonzero(members)]
        for metric in ("error", "loss"):
            values = path[metric].tolist()
            top = highest(weights[:, members].tolist(), values, [values[end] for end in ends])
            at = [round(float(share), 6) for share in weights[top.point]]
            found = {"barrier": top.rise, "at": at, "highest": top.value, "ends": [values[end] for end in ends]}
            rows.append({**named, "metric": metric, **found})
    return pd.DataFrame(rows)
