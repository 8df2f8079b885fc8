"""Training jobs: networks from their initialisation, and networks that were trained elsewhere in their place."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from onebasin import checkpoint, data, foreign, shards, tables, train, versions
from onebasin.data import Dataset
from onebasin.experiments.errors import guess, remarks
from onebasin.files import sha256
from onebasin.landscape import evaluate
from onebasin.provenance import provenance
from onebasin.study import network
from onebasin.study.job import Job
from onebasin.symmetry import State

log = logging.getLogger(__name__)

# Test images, evenly among all, on which a network from elsewhere is looked at when it is read.
REMARKED_IMAGES = 1000


def address_of(job: Job, seed: int) -> tuple[str | int, ...]:
    """Return the address of the randomness of a network: its children, and it itself when pruned, share it."""
    return ("network", job.model, job.width, seed)


def about(job: Job, seed: int) -> dict[str, Any]:
    """Say in its checkpoints which network it is."""
    return {"model": job.model, "width": job.width, "seed": seed, "architecture": job.params.architecture}


def shaped_by(job: Job, dataset: Dataset, seed: int, stage: str) -> dict[str, Any]:
    """Return what shapes every network of a job at a stage: who it is, its model, its training and the data set."""
    return {
        **about(job, seed),
        "training": job.params.training,
        "data": dataset.digest,
        "stage": stage,
        "version": versions.of(stage),
    }


def settings_of(training: Mapping[str, Any]) -> train.Settings:
    """Return the settings of a training, without the parts of the data, which the param of a rule has with them."""
    return train.Settings(**{key: value for key, value in training.items() if key != "parts"})


def part_of(dataset: Dataset, training: Mapping[str, Any], seed: int) -> Tensor | None:
    """Return the indices of the training images that a network sees; None for all.

    Of n parts it has part seed mod n, of a division of its own for every n seeds.
    """
    if "parts" not in training:
        return None
    settings = training["parts"]
    division, part = divmod(seed, settings["number"])
    return data.divide(dataset, **settings, division=division)[part]


def on_parts(training: Mapping[str, Any], seed: int) -> dict[str, Any]:
    """Say in its checkpoints which part a network has seen."""
    if "parts" not in training:
        return {}
    division, part = divmod(seed, training["parts"]["number"])
    return {"parts": {**training["parts"], "division": division, "part": part}}


def kept(checkpoints: Mapping[int, str], table: str, memories: Mapping[int, str] | None = None) -> dict[str, str]:
    """Return the files of a training by the names under which the store keeps them."""
    files = {f"epoch{epoch}.safetensors": path for epoch, path in checkpoints.items()}
    files |= {f"memory{epoch}.safetensors": path for epoch, path in (memories or {}).items()}
    return {**files, "training.csv": table}


def trainings(
    job: Job, epochs_of: Callable[[Mapping[str, Any]], Sequence[int]] | None = None
) -> Iterator[tuple[Mapping[str, Any], dict[int, str], str, Path]]:
    """Yield the trainings of a job, in the order of its params `networks`.

    Args:
        job: the job.
        epochs_of: the epochs that are kept of the network at an address; those of its params `epochs` without it.

    Yields:
        The address of the network, the file of each epoch that is kept, its table, and a folder for what is unfinished.
        No rule declares that folder, so that Snakemake leaves it alone when the job fails, and a later one continues.
    """
    checkpoints = iter(job.output.checkpoints)
    for address, table in zip(job.params.networks, job.output.tables, strict=True):
        epochs: Sequence[int] = epochs_of(address) if epochs_of else job.params.epochs
        yield address, dict(zip(epochs, checkpoints, strict=False)), table, Path(table).with_name("unfinished")


def branch_of(address: Mapping[str, Any]) -> train.Branch | None:
    """Return where a child leaves its parent: it has shared whole epochs, or is another kind of child; else None.

    Experts of several tasks leave the network from which they start, and each other, at their first step.
    """
    if "start" in address:
        return train.Branch(epoch=0, name=address["data"])
    child = {"epoch": address["shared"]} if "shared" in address else address.get("child")
    return train.Branch(name="child", **child) if child else None


@dataclass(frozen=True)
class Recipe:
    """How a network is trained.

    Attributes:
        dataset: the data set.
        training: the settings, with how the data are divided where it sees a part of them.
        initial: seed of the initialisation.
        state: what it starts from in place of an initialisation.
        about: what shapes it besides, in the store and in its checkpoints.
    """

    dataset: Dataset
    training: Mapping[str, Any]
    initial: int
    state: State | None = None
    about: Mapping[str, Any] = field(default_factory=dict)


def train_networks(job: Job) -> None:
    """Train the networks of a job: from their initialisation, children too, whose first steps are their parent's.

    Experts of several tasks are trained each on its own data set, from another network where the job has one to start
    from. Where its params name epochs as `memories`, what optimisers remember is kept of these.
    """
    torch.set_num_threads(job.threads)
    datasets = _datasets(job)
    if "factory" in job.params.architecture:
        network.followed(job.params.architecture, job.width, next(iter(datasets.values())))
    ends: dict[str, dict[int, float]] = {name: {} for name in datasets}
    remembered: Sequence[int] = getattr(job.params, "memories", ())
    files = iter(job.output.memories if remembered else ())
    for training in trainings(job):
        address, checkpoints, table, _ = training
        seed, child = address["seed"], {key: address[key] for key in ("child",) if key in address}
        name = address["data"] if address.get("data") in datasets else next(iter(datasets))
        recipe = _recipe(job, datasets[name], address)
        memories = dict(zip(remembered, files, strict=False))
        shapes = {**shaped_by(job, recipe.dataset, seed, "train"), "training": recipe.training}
        job.store.files(
            "network",
            {**shapes, "shared": address.get("shared"), **child, **recipe.about},
            kept(checkpoints, table, memories),
            partial(_train, job, recipe, training, memories),
        )
        if not address.keys() & {"shared", "child", "split"}:
            *_, last = tables.rows(table, "training")
            ends[name][seed] = last["test_error"]
    for name, dataset in datasets.items():
        _remark(job, ends[name], dataset, "")


def _datasets(job: Job) -> dict[str, Dataset]:
    """Return the data sets of a job by their names in the addresses of its networks; one of no name serves all."""
    if isinstance(job.input.data, str):
        return {"": data.open_(job.input.data)}
    return {name: data.open_(path) for name, path in zip(job.params.data, job.input.data, strict=True)}


def _recipe(job: Job, dataset: Dataset, address: Mapping[str, Any]) -> Recipe:
    """Return how the network at an address is trained: as the job says, but for those of `splits` and experts."""
    training, seed = job.params.training, address["seed"]
    if "split" in address:
        split = dict(job.params.splits[address["split"]])
        # A common start is that of the first network of a division.
        initial = seed - seed % split["number"] if split.pop("common") else seed
        plain = {key: value for key, value in training.items() if key != "parts"}
        parts = {} if split["by"] == "whole" else {"parts": dict(sorted({**training["parts"], **split}.items()))}
        return Recipe(dataset, {**plain, **parts}, initial, about={"start": initial} if initial != seed else {})
    if "start" in address:
        expert, state = {"task": address["data"], "start": address["start"]}, None
        if address["start"]:
            wanted = {"seed": seed, "start": address["start"]}
            starts = zip(job.params.starts, job.input.starts, strict=True)
            state = checkpoint.load(next(path for start, path in starts if start == wanted))[0]
            expert["from"] = checkpoint.digest(state)
        return Recipe(dataset, training, seed, state, {"expert": expert})
    return Recipe(dataset, training, seed)


def _train(job: Job, recipe: Recipe, training: tuple[Any, ...], memories: Mapping[int, str]) -> None:
    address, checkpoints, table, work = training
    dataset, seed = recipe.dataset, address["seed"]
    model = network.initialised(job.params.architecture, job.width, dataset, address_of(job, recipe.initial))
    if recipe.state is not None:
        model.load_state_dict(recipe.state)
    train.train(
        model,
        dataset,
        settings_of(recipe.training),
        seed_address=address_of(job, seed),
        checkpoints=checkpoints,
        table=table,
        work=work,
        metadata={**about(job, seed), **on_parts(recipe.training, seed), **recipe.about},
        device=job.device,
        branch=branch_of(address),
        memories=memories,
        part=part_of(dataset, recipe.training, seed),
        title=network.spell(address),
    )


def import_networks(job: Job) -> None:
    """Read networks that were trained elsewhere, and put them in the place of trained ones if they fit the model.

    All are read before one is written: a study of some of the networks is none.
    """
    torch.set_num_threads(job.threads)
    dataset = data.open_(job.input.data)
    model = network.followed(job.params.architecture, job.width, dataset)
    states = [foreign.fit(model, foreign.read(path), path) for path in job.input.networks]
    files = zip(job.params.networks, job.input.networks, states, job.output.checkpoints, strict=True)
    for address, path, state, target in files:
        seed = address["seed"]
        source: dict[str, Any] = {"file": path, "sha256": sha256(path)}
        if of_index := shards.parts(path)[1:]:
            source["shards"] = {shard.name: sha256(shard) for shard in of_index}
        metadata = {**about(job, seed), "source": source}
        job.store.files(
            "network",
            {**metadata, "stage": "import", "version": versions.of("import")},
            {"network.safetensors": target},
            partial(checkpoint.save, target, state, {**metadata, **provenance()}),
        )
        log.info("seed %d is %s, sha256 %s", seed, path, source["sha256"])
    images, labels = dataset.tensors("test")
    step = math.ceil(len(labels) / REMARKED_IMAGES)
    errors = {}
    for address, state in zip(job.params.networks, states, strict=True):
        loss, error = evaluate.losses(model, [state], torch.ones(1, 1), images[::step], labels[::step], 256)
        errors[address["seed"]] = float(error[0])
        log.info("seed %d: test loss %.4f error %.4f", address["seed"], loss[0], error[0])
    _remark(job, errors, dataset, ": are the model, the file and data.normalise those of its training?")


def _remark(job: Job, errors: Mapping[int, float], dataset: Dataset, advice: str) -> None:
    """Warn of networks whose error on the test data is strange."""
    for seed, remark in remarks(errors, guess(dataset.test_labels)).items():
        log.warning("%s, width %d, seed %d: test %s%s", job.model, job.width, seed, remark, advice)
