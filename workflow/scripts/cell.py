"""A cell, a model at one width, as align and measure jobs find it: its trained networks, their symmetry, the data."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from onebasin import checkpoint, data, models, symmetry
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


def open_permutations(paths: list[str], method: str) -> dict[tuple[int, int], Permutation]:
    """Read the permutations of a method among files <method>/<a>-<b>.safetensors, by their pairs (a, b)."""
    found = {}
    for path in map(Path, paths):
        if path.parent.name == method:
            a, b = map(int, path.stem.split("-"))
            found[a, b] = Permutation.load(path)
    return found
