"""A model at one width, as an experiment finds it: its networks, their permutations and frames, the data."""

from __future__ import annotations

import copy
import inspect
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

from onebasin import checkpoint, data, models, permutation, symmetry
from onebasin.data import Dataset
from onebasin.landscape.barrier import barriers
from onebasin.landscape.interpolate import State
from onebasin.match import Frame
from onebasin.permutation import Permutation
from onebasin.prune import Mask
from onebasin.study import match, network
from onebasin.study.job import Job
from onebasin.study.measurement import Measurement
from onebasin.study.shares import share
from onebasin.study.tally import Tally
from onebasin.symmetry import Symmetry

Item = TypeVar("Item")
Address = Mapping[str, Any]
Row = dict[str, Any]


@dataclass(frozen=True)
class Method:
    """A matching method or a common frame, by its name in the config.

    Attributes:
        name: as in the config; "none" without a permutation.
        algorithm: of the library; "none" without a permutation.
        compared: what it compares, "weights", "activations" or "none".
        is_frame: whether it brings all networks into one frame.
        settings: its item in the config.
    """

    name: str
    algorithm: str
    compared: str
    is_frame: bool
    settings: Mapping[str, Any]

    @classmethod
    def of(cls, settings: Mapping[str, Any]) -> Method:
        """Return the method of an item of the sections `matching` or `frames`; only the latter name a similarity."""
        learned = settings["algorithm"] == "sinkhorn"
        compared = "loss" if learned else settings.get("similarity", settings["algorithm"])
        return cls(settings["name"], settings["algorithm"], compared, "similarity" in settings, settings)

    @property
    def columns(self) -> dict[str, str]:
        """The columns that name it in tables."""
        return {"method": self.name, "algorithm": self.algorithm, "compared": self.compared}


UNPERMUTED = Method("none", "none", "none", False, {})


class Study:
    """A model at one width: what a job has in hand of it. Files are read when they are first asked for.

    A network is named by its address: its seed and, where it is not the trained network of the study, the epoch of an
    earlier checkpoint, the level of pruning, how it left its parent, another width, another data set.

    Args:
        job: its params name the files of its inputs, in their order: `networks`, `masks` and `permutations`, by their
            addresses; `frames`, by their settings; `data`, the data sets. Besides: `architecture`, `seeds`, `pairs`,
            `last_epoch`, `stages`, `methods` (their settings), `settings`, how networks are measured, and
            `evaluations`, how often about.
    """

    def __init__(self, job: Job) -> None:
        params = job.params
        torch.set_num_threads(job.threads)
        self._job = job
        self.device = job.device
        self.settings: Mapping[str, Any] = params.settings
        self.architecture: Mapping[str, Any] = params.architecture
        self.configuration: dict[str, Any] = {"model": job.model, "width": job.width}
        self.seeds: list[int] = list(params.seeds)
        self.pairs: list[tuple[int, int]] = [(a, b) for a, b in params.pairs]
        self._drawn = set(self.pairs)
        self.stages: list[dict[str, int]] = list(params.stages)
        self.methods = {settings["name"]: Method.of(settings) for settings in params.methods}
        self.frames = {settings["name"]: Method.of(settings) for settings in params.frames}
        self.unpermuted = UNPERMUTED
        self.part = ""
        self._networks = list(zip(params.networks, job.input.networks, strict=True))
        self._masks = list(zip(params.masks, job.input.masks, strict=True))
        self._permutations = list(zip(params.permutations, job.input.permutations, strict=True))
        # Some experiments find frames of their own, by the methods of the study.
        self._frames = dict(zip(self.frames, job.input.frames, strict=True)) if job.input.frames else {}
        self._data = dict(zip(params.data, job.input.data, strict=True))
        self._read: dict[str, Any] = {}
        self._measurements: dict[str, Measurement] = {}
        self._tally = Tally("mixtures of networks measured", params.evaluations)
        self._at_width: dict[int, AtWidth] = {}

    @property
    def method(self) -> Method:
        """The method of the part that is measured."""
        return {"none": UNPERMUTED, **self.methods, **self.frames}[self.part]

    @property
    def level(self) -> int:
        """The level of pruning of the part that is measured."""
        return self._job.params.levels[self._job.params.parts.index(self.part)]

    def crosses(self, a: int, b: int) -> bool:
        """Return whether a network is looked at with one of another set: of its own seed, or of a pair's other seed."""
        return a == b or {(a, b), (b, a)} & self._drawn != set()

    @property
    def every_pair(self) -> bool:
        """Whether all pairs of networks are looked at, and none were drawn."""
        return len(self.pairs) == math.comb(len(self.seeds), 2)

    @cached_property
    def levels(self) -> list[int]:
        """The levels of pruning of its networks."""
        return sorted({address["level"] for address, _ in self._networks if "level" in address})

    @property
    def epochs(self) -> list[int]:
        """The epochs of training among its stages."""
        return [stage["epoch"] for stage in self.stages if "epoch" in stage]

    @property
    def narrow_widths(self) -> list[int]:
        """The other widths of its networks."""
        return list(dict.fromkeys(address["width"] for address, _ in self._networks if "width" in address))

    def share(self, items: Sequence[Item]) -> Sequence[Item]:
        """Return the items of a job that shares a part with others: for 2-of-3 the second third; else all."""
        number, jobs = self._job.params.share
        return share(items, number, jobs)

    def every_network(self) -> list[Address]:
        """Return the addresses of all its networks, in order."""
        return [address for address, _ in self._networks]

    def state(self, address: Address) -> State:
        """Return the network at an address, on the device."""
        path = next(path for other, path in self._networks if other == address)
        return self._once(path, lambda: checkpoint.load(path, self.device)[0])

    def networks(self, **address: Any) -> dict[int, State]:
        """Return the networks at an address, such as epoch=5, by their seeds; the trained ones without it."""
        wanted = self._canonical(address)
        return {
            other["seed"]: self.state(other)
            for other, _ in self._networks
            if {key: value for key, value in other.items() if key != "seed"} == wanted
        }

    def mask(self, seed: int, level: int, **rewind: int) -> Mask:
        """Return the mask of a network at a level of pruning above 0, or of one with another `rewind`, as addressed."""
        path = next(path for other, path in self._masks if other == {"seed": seed, "level": level, **rewind})
        return self._once(path, lambda: Mask.load(path))

    def permutations(self, method: str, **stage: Any) -> dict[tuple[int, int], Permutation]:
        """Return the permutations that a method found at a stage, such as level=2, by their pairs (a, b).

        Without a stage those of the trained networks; none for the method "none".
        """
        if method == "none":
            return {}
        wanted = {"method": method, **self._canonical(stage)}
        path = next(path for other, path in self._permutations if other == wanted)
        return self._once(path, lambda: permutation.load(path))

    def frame(self, name: str) -> dict[int, Permutation]:
        """Return the permutations of a common frame, by the seeds of the networks that they take into it."""
        path = self._frames[name]
        return self._once(path, lambda: {seed: found for (seed,), found in permutation.load(path).items()})

    def dataset(self, name: str | None = None) -> Dataset:
        """Return a data set, such as "second"; the first of those it has unless it is named."""
        path = self._data[name or next(iter(self._data))]
        return self._once(path, lambda: data.open_(path))

    def images(self, split: str, limit: int | None = None) -> tuple[Tensor, Tensor]:
        """Return images and labels of a split on the device."""
        whole = self._once(f"images of {split}", lambda: self.dataset().tensors(split, device=self.device))
        return (whole[0][:limit], whole[1][:limit])

    def at_width(self, width: int) -> AtWidth:
        """Return the model at a width, and its symmetry."""
        if width not in self._at_width:
            model = network.build(self.architecture, width, self.dataset()).to(self.device).eval()
            self._at_width[width] = AtWidth(model, symmetry.discover(model, self.images("train", 2)[0]))
        return self._at_width[width]

    @property
    def model(self) -> nn.Module:
        """The module of the networks."""
        return self.at_width(self.configuration["width"]).model

    @property
    def symmetry(self) -> Symmetry:
        """The permutation groups of the model."""
        return self.at_width(self.configuration["width"]).symmetry

    @cached_property
    def untied(self) -> Study | None:
        """The study of the same networks whose residual blocks are permuted apart; None without such blocks."""
        family = models.FAMILIES.get(self.architecture.get("family", ""))
        if family is None or "untied" not in inspect.signature(family).parameters:
            return None
        found = copy.copy(self)
        found.architecture = {**self.architecture, "untied": True}
        found._at_width, found._measurements = {}, {}
        vars(found).pop("_shaped_by_model", None)
        return found

    def completed(self, state: State) -> State:
        """Return a network with what its module has besides, as that is built."""
        return {**self.model.state_dict(), **state}

    @property
    def measurement(self) -> Measurement:
        """How networks are measured on its first data set."""
        return self.measurement_on(next(iter(self._data)))

    def measurement_on(self, name: str) -> Measurement:
        """Return how networks are measured on a data set."""
        if name not in self._measurements:
            own = {"architecture": self.architecture, "width": self.configuration["width"]}
            self._measurements[name] = Measurement(
                self.model, self.dataset(name), self.settings, self.device, self._job.store, own, self._tally
            )
        return self._measurements[name]

    def curve(
        self,
        ends: Sequence[State],
        about: Row,
        correction: str | None = None,
        *,
        points: int | None = None,
        data: str | None = None,
    ) -> Iterator[Row]:
        """Yield the points of the line between two networks as rows.

        Args:
            ends: the two networks.
            about: columns that name the line.
            correction: of the networks between; that of the settings unless it is given.
            points: how many; as the settings say unless it is given.
            data: on which data set; the first unless it is named.
        """
        measurement = self.measurement_on(data) if data else self.measurement
        for row in measurement.curve(ends, points, correction):
            yield {**about, **row}

    def barriers(self, ends: tuple[State, State], permutations: Mapping[Any, Permutation]) -> Iterator[tuple[Any, Row]]:
        """Measure the barriers between network a and network b under several permutations.

        Equal permutations are measured once, and the two ends once for all: a permutation leaves the function
        unchanged.

        Args:
            ends: the networks a and b.
            permutations: those that take b into the frame of a, each under a name.

        Yields:
            A name, and the columns split, metric, barrier, alpha, end_a and end_b.
        """
        different = list(dict.fromkeys(permutations.values()))
        permuted = [self.symmetry.apply(found, ends[1]) for found in different]
        lines = self.measurement.fan(ends[0], permuted)
        measured = {found: list(barriers(points)) for found, points in zip(different, lines, strict=True)}
        for name, found in permutations.items():
            for row in measured[found]:
                yield name, row

    def match(self, state_a: Any, state_b: Any, method: Method, labels: Tensor | None = None) -> Permutation:
        """Match two networks, each one state or several from the same moments; return the permutation of the second.

        Args:
            state_a: the first network.
            state_b: the second network.
            method: how.
            labels: of the training images, in place of their own.
        """
        images, own = self.images("train")
        other = {} if labels is None else {"labels": checkpoint.digest({"labels": labels})}
        labels = own if labels is None else labels

        given = self.model, self.symmetry, (state_a, state_b), method.settings, images, labels
        return match.stored_pair(self._job.store, {**self._shaped_by_model, **other}, *given)

    def match_frame(
        self, states: Mapping[int, State], method: Method, images: tuple[Tensor, Tensor] | None = None
    ) -> dict[int, Permutation]:
        """Bring some networks into a common frame; return their permutations by their seeds.

        Args:
            states: the networks by their seeds.
            method: how.
            images: images and labels that they are compared on, in place of the training images of its data set.
        """
        shaped_by_images = {} if images is None else {"images": checkpoint.digest(dict(zip("xy", images, strict=True)))}
        seen, labels = images or self.images("train")

        def make() -> Frame:
            return match.frame(self.model, self.symmetry, states, method.settings, seen, labels)

        shaped_by = {**self._shaped_by_model, **shaped_by_images}
        found, _ = match.stored_frame(self._job.store, shaped_by, states, method.settings, self.device, make)
        return dict(found.permutations)

    @cached_property
    def _shaped_by_model(self) -> dict[str, Any]:
        return {**match.shaped_by_model(self._job, [self.dataset()]), "architecture": self.architecture}

    def _canonical(self, address: Address) -> dict[str, Any]:
        """Return an address as the rules write it, in which the last epoch and level 0 go without saying."""
        plain = {"epoch": self._job.params.last_epoch, "level": 0, "data": "first"}
        return {key: value for key, value in address.items() if plain.get(key) != value}

    def _once(self, path: str, read: Any) -> Any:
        if path not in self._read:
            self._read[path] = read()
        return self._read[path]


@dataclass(frozen=True)
class AtWidth:
    """A model at one width."""

    model: nn.Module
    symmetry: Symmetry
