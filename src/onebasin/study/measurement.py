"""How networks between others are measured: on which images, how corrected, and how calibrated."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from onebasin import checkpoint, versions
from onebasin.data import Dataset
from onebasin.landscape import evaluate, repair
from onebasin.landscape.barrier import Point
from onebasin.landscape.interpolate import State, line
from onebasin.study.store import Store
from onebasin.study.tally import Tally

Row = dict[str, Any]


class Measurement:
    """Measures mixtures of networks of one model.

    Args:
        model: the module of the networks.
        dataset: the data set.
        settings: train_images, batch_size, correction and, where anything is corrected, fit_images and perhaps
            last_layer, as in the section `barrier` of the config; points, where lines are measured.
        device: where to compute.
        store: of finished pieces.
        shaped_by: what of the model shapes what is measured.
        tally: of the mixtures that the job measures.
    """

    def __init__(
        self,
        model: nn.Module,
        dataset: Dataset,
        settings: Mapping[str, Any],
        device: str,
        store: Store,
        shaped_by: Mapping[str, Any],
        tally: Tally,
    ) -> None:
        self.model = model
        self.tally = tally
        self.store = store
        self.shaped_by = {**shaped_by, "data": dataset.digest, "version": versions.of("mixtures")}
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
        read = ["train_images", "batch_size", *(["fit_images"] if name != "none" else [])]
        if name == "repair" and self.settings.get("last_layer"):
            read.append("last_layer")
        shaped_by = {
            **self.shaped_by,
            "settings": {key: self.settings[key] for key in read},
            "correction": name,
            "networks": [checkpoint.digest(state) for state in states],
            "weights": checkpoint.digest({"weights": weights}),
        }

        def make() -> dict[str, Any]:
            return {split: list(values.rows()) for split, values in self._measure(states, weights, name).items()}

        found = self.store.value("mixtures", shaped_by, make)
        self.tally.add(len(weights))
        for split, rows in found.items():
            for mixture, columns in zip(weights.tolist(), rows, strict=True):
                yield mixture, {"split": split, **columns}

    def _measure(self, states: Sequence[State], weights: Tensor, correction: str) -> dict[str, evaluate.Values]:
        correct = None
        if correction != "none":
            assert self.fitted is not None, "a correction needs images to fit it on"
            last_layer = self.settings.get("last_layer", False)
            correct = repair.correction(correction, self.model, states, self.fitted, last_layer=last_layer)
        return evaluate.measure(
            self.model,
            states,
            weights,
            self.splits,
            batch_size=self.settings["batch_size"],
            correct=correct,
            held_out=self.held_out,
        )

    def ensemble(self, states: Sequence[State]) -> Iterator[Row]:
        """Measure the mean of the probabilities of n networks; yield for each split its values."""
        shaped_by = {
            **self.shaped_by,
            "settings": {key: self.settings[key] for key in ("train_images", "batch_size")},
            "ensemble": [checkpoint.digest(state) for state in states],
        }

        def make() -> dict[str, Any]:
            size, held_out = self.settings["batch_size"], self.held_out
            found = evaluate.measure_ensemble(self.model, states, self.splits, batch_size=size, held_out=held_out)
            return {split: list(values.rows()) for split, values in found.items()}

        for split, (columns,) in self.store.value("mixtures", shaped_by, make).items():
            yield {"split": split, **columns}

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
