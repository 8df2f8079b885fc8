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


def open_cell(snakemake: Any, width: str = "width", networks: str = "networks", data_set: str = "data") -> Cell:
    """Read what a job names as its inputs, the data set and the networks, and as its params `architecture` and `seeds`.

    Args:
        snakemake: the job.
        width: the wildcard that is the width of the networks.
        networks: the name of the input files of the networks.
        data_set: the name of the input file of the data set.
    """
    torch.set_num_threads(snakemake.threads)
    device = "cuda" if snakemake.resources.gpu else "cpu"
    size = int(snakemake.wildcards[width])
    dataset = data.open_(snakemake.input[data_set])
    shape = {"image_shape": dataset.image_shape, "classes": dataset.classes}
    model = models.build(**snakemake.params.architecture, **shape, width=size).to(device).eval()
    states = {
        seed: checkpoint.load(path, device)[0]
        for seed, path in zip(snakemake.params.seeds, snakemake.input[networks], strict=True)
    }
    found = symmetry.discover(model, dataset.tensors("train", limit=2, device=device)[0])
    address = {"model": snakemake.wildcards.model, "width": size}
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


def open_permutations(paths: list[str], method: str) -> dict[tuple[int, int], Permutation]:
    """Read the permutations of a method among files <method>/<a>-<b>.safetensors, by their pairs (a, b)."""
    found = {}
    for path in map(Path, paths):
        if path.parent.name == method:
            a, b = map(int, path.stem.split("-"))
            found[a, b] = Permutation.load(path)
    return found
