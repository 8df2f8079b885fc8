"""How networks between others are measured: on which images, how corrected, and how calibrated."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from onebasin.data import Dataset
from onebasin.landscape import evaluate, repair
from onebasin.landscape.barrier import Point
from onebasin.landscape.interpolate import State, line

Row = dict[str, Any]


class Measurement:
    """Measures mixtures of networks of one model.

    Args:
        model: the module of the networks.
        dataset: the data set.
        settings: train_images, batch_size, correction and, where anything is corrected, fit_images, as in the section
            `barrier` of the config; points, where lines are measured.
        device: where to compute.
    """

    def __init__(self, model: nn.Module, dataset: Dataset, settings: Mapping[str, Any], device: str) -> None:
        self.model = model
        self.settings = settings
        train = dataset.tensors("train", limit=settings["train_images"], device=device)
        self.splits = {"train": train, "test": dataset.tensors("test", device=device)}
        self.held_out = dataset.tensors("held_out", device=device) if "held_out" in dataset.splits else None
        self.fitted = None
        if "fit_images" in settings:
            self.fitted = dataset.tensors("train", limit=settings["fit_images"], device=device)[0]

    def points(self, states: Sequence[State], weights: Tensor, correction: str | None = None) -> Iterator[Point]:
        """Measure mixtures of n networks.

        Args:
            states: n states.
            weights: [K, n], one mixture per row.
            correction: of their statistics; that of the settings unless it is given.

        Yields:
            The weights of each mixture, and its split, loss, error and loss_calibrated.
        """
        name = correction or self.settings.get("correction", "none")
        correct = None
        if name != "none":
            assert self.fitted is not None, "a correction needs images to fit it on"
            correct = repair.correction(name, self.model, states, self.fitted)
        measured = evaluate.measure(
            self.model,
            states,
            weights,
            self.splits,
            batch_size=self.settings["batch_size"],
            correct=correct,
            held_out=self.held_out,
        )
        for split, values in measured.items():
            for mixture, columns in zip(weights.tolist(), values.rows(), strict=True):
                yield mixture, {"split": split, **columns}

    def curve(self, ends: Sequence[State], points: int | None = None, correction: str | None = None) -> Iterator[Row]:
        """Measure the line between two networks; yield split, alpha and the values of each point."""
        for (_, alpha), values in self.points(ends, line(points or self.settings["points"]), correction):
            yield {"alpha": alpha, **values}

    def fan(self, state: State, others: Sequence[State]) -> list[list[Row]]:
        """Measure the lines from a network to several others that compute the same function as each other.

        Returns:
            The points of each line. The ends are measured once for all of them.
        """
        between = line(self.settings["points"])[1:-1]
        weights = torch.zeros(2 + len(others) * len(between), 1 + len(others), dtype=between.dtype)
        weights[0, 0] = weights[1, 1] = 1
        for index, part in enumerate(weights[2:].split(len(between)), start=1):
            part[:, [0, index]] = between
        lines: list[list[Row]] = [[] for _ in others]
        for (at_a, *at_others), values in self.points([state, *others], weights):
            row = {"alpha": 1 - at_a, **values}
            at_an_end = at_a in (0, 1)
            for points, share in zip(lines, at_others, strict=True):
                if at_an_end or share:
                    points.append(row)
        return lines

    def values(self, state: State) -> dict[str, float]:
        """Measure one network as it is; return train_loss, train_error, test_loss and test_error."""
        measured = self.points([state], torch.ones(1, 1), correction="none")
        return {
            f"{columns['split']}_{metric}": columns[metric] for _, columns in measured for metric in ("loss", "error")
        }
