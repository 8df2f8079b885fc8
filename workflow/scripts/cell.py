"""A cell, a model at one width, as align and measure jobs find it: its trained networks, their symmetry, the data."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import network
import torch
from gpu import device

from onebasin import barrier, checkpoint, data, repair, symmetry
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
    where = device(snakemake)
    size = int(snakemake.wildcards[width])
    dataset = data.open_(snakemake.input[data_set])
    model = network.build(snakemake.params.architecture, size, dataset).to(where).eval()
    states = {
        seed: checkpoint.load(path, where)[0]
        for seed, path in zip(snakemake.params.seeds, snakemake.input[networks], strict=True)
    }
    found = symmetry.discover(model, dataset.tensors("train", limit=2, device=where)[0])
    address = {"model": snakemake.wildcards.model, "width": size}
    return Cell(address, dataset, model, states, found, where)


def part_of(items: Sequence[Any], snakemake: Any) -> Sequence[Any]:
    """Give the items of a job that shares them with others: for the part 2-of-3, the second third; else all."""
    number, parts = map(int, snakemake.wildcards.get("scatteritem", "1-of-1").split("-of-"))
    return items[len(items) * (number - 1) // parts : len(items) * number // parts]


def open_levels(paths: list[str], device: str) -> dict[int, dict[int, State]]:
    """Read networks seed<seed>/level<level>/<file>: for each level the network of each seed."""
    found: dict[int, dict[int, State]] = {}
    for path in paths:
        seed, level = place_of_level(path)
        found.setdefault(level, {})[seed] = checkpoint.load(path, device)[0]
    return found


def place_of_level(path: str) -> tuple[int, int]:
    """Read seed and level from the path of a file of a pruned network."""
    seed, level = re.search(r"/seed(\d+)/level(\d+)/", path).groups()
    return int(seed), int(level)


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

    def values(self, state: State) -> dict[str, float]:
        """Measure one network as it is; give train_loss, train_error, test_loss and test_error."""
        measured = self.rows([state], torch.ones(1, 1), correction="none")
        return {
            f"{columns['split']}_{metric}": columns[metric] for _, columns in measured for metric in ("loss", "error")
        }


def open_permutations(paths: list[str], method: str, depth: int = 1) -> dict[tuple[int, int], Permutation]:
    """Read the permutations of a method among files <method>/<a>-<b>.safetensors, by their pairs (a, b).

    Files <method>/<stage>/<a>-<b>.safetensors have the depth 2.
    """
    found = {}
    for path in map(Path, paths):
        if path.parts[-1 - depth] == method:
            a, b = map(int, path.stem.split("-"))
            found[a, b] = Permutation.load(path)
    return found


def open_frame(paths: list[str], method: str) -> dict[int, Permutation]:
    """Read the permutations of a frame among files <method>/<seed>.safetensors, by their seeds."""
    found = [path for path in map(Path, paths) if path.parent.name == method]
    return {int(path.stem): Permutation.load(path) for path in found}
