"""A cell, a model at one width, as align and measure jobs find it: its trained networks, their symmetry, the data."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from onebasin import barrier, checkpoint, data, models, repair, symmetry
from onebasin.permutation import Permutation

State = dict[str, torch.Tensor]


@dataclass(frozen=True)
class Cell:
    """The trained networks of a model at one width.

    Attributes:
        address: the columns `model` and `width` of its rows in tables.
        dataset: the data set.
        model: the module of all the networks.
        states: the network of each seed, on the device.
        symmetry: the permutation groups of the model.
        device: where to compute.
    """

    address: dict[str, Any]
    dataset: data.Dataset
    model: torch.nn.Module
    states: dict[int, State]
    symmetry: symmetry.Symmetry
    device: str

    def images(self, split: str, limit: int | None = None) -> tuple[torch.Tensor, torch.Tensor]:
        """Give images and labels of a split on the device."""
        return self.dataset.tensors(split, limit=limit, device=self.device)


def open_cell(snakemake: Any) -> Cell:
    """Read what a job names as its inputs `data` and `networks`, and as its params `architecture` and `seeds`."""
    torch.set_num_threads(snakemake.threads)
    device = "cuda" if snakemake.resources.gpu else "cpu"
    width = int(snakemake.wildcards.width)
    dataset = data.open_(snakemake.input.data)
    shape = {"image_shape": dataset.image_shape, "classes": dataset.classes}
    model = models.build(**snakemake.params.architecture, **shape, width=width).to(device).eval()
    states = {
        seed: checkpoint.load(path, device)[0]
        for seed, path in zip(snakemake.params.seeds, snakemake.input.networks, strict=True)
    }
    found = symmetry.discover(model, dataset.tensors("train", limit=2, device=device)[0])
    address = {"model": snakemake.wildcards.model, "width": width}
    return Cell(address, dataset, model, states, found, device)


class Measurement:
    """How networks between others are measured: on which images, how corrected, and how calibrated.

    Args:
        cell: the model.
        settings: the section `barrier` of the config.
    """

    def __init__(self, cell: Cell, settings: Mapping[str, Any]) -> None:
        self.model = cell.model
        self.settings = settings
        self.splits = {"train": cell.images("train", settings["train_images"]), "test": cell.images("test")}
        self.held_out = cell.images("held_out") if "held_out" in cell.dataset.splits else None
        self.fitted = cell.images("train", settings["fit_images"])[0] if "fit_images" in settings else None

    def rows(
        self, states: Sequence[State], weights: torch.Tensor, correction: str | None = None
    ) -> Iterator[tuple[list[float], dict[str, Any]]]:
        """Measure the networks with these weights [K, n] between n states; give each row of weights with its columns.

        The correction is that of the settings unless another is given.
        """
        correct = repair.correction(correction or self.settings["correction"], self.model, states, self.fitted)
        measured = barrier.measure(
            *(self.model, states, weights, self.splits),
            batch_size=self.settings["batch_size"],
            correct=correct,
            held_out=self.held_out,
        )
        for split, values in measured.items():
            for mixture, columns in zip(weights.tolist(), values.rows(), strict=True):
                yield mixture, {"split": split, **columns}

    def fan(self, state: State, others: Sequence[State]) -> list[list[dict[str, Any]]]:
        """Measure the lines from a network to several others that compute the same function as each other.

        Returns the rows of each line. The ends are measured once for all of them.
        """
        between = barrier.line(self.settings["points"])[1:-1]
        weights = torch.zeros(2 + len(others) * len(between), 1 + len(others), dtype=between.dtype)
        weights[0, 0] = weights[1, 1] = 1
        for index, part in enumerate(weights[2:].split(len(between)), start=1):
            part[:, [0, index]] = between
        lines: list[list[dict[str, Any]]] = [[] for _ in others]
        for (at_a, *at_others), values in self.rows([state, *others], weights):
            row = {"alpha": 1 - at_a, **values}
            ends = at_a in (0, 1)
            for line, share in zip(lines, at_others, strict=True):
                if ends or share:
                    line.append(row)
        return lines


def open_permutations(paths: list[str], method: str) -> dict[tuple[int, int], Permutation]:
    """Read the permutations of a method among files <method>/<a>-<b>.safetensors, by their pairs (a, b)."""
    found = {}
    for path in map(Path, paths):
        if path.parent.name == method:
            a, b = map(int, path.stem.split("-"))
            found[a, b] = Permutation.load(path)
    return found
