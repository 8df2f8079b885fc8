"""Training jobs: networks from their initialisation, and networks that were trained elsewhere in their place."""

from __future__ import annotations

import logging
import math
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import torch

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


def kept(checkpoints: Mapping[int, str], table: str) -> dict[str, str]:
    """Return the files of a training by the names under which the store keeps them."""
    return {**{f"epoch{epoch}.safetensors": path for epoch, path in checkpoints.items()}, "training.csv": table}


def trainings(job: Job) -> Iterator[tuple[Mapping[str, Any], dict[int, str], str, Path]]:
    """Yield the trainings of a job, in the order of its params `networks`.

    Yields:
        The address of the network, the file of each epoch that is kept, its table, and a folder for what is unfinished.
        No rule declares that folder, so that Snakemake leaves it alone when the job fails, and a later one continues.
    """
    epochs: Sequence[int] = job.params.epochs
    checkpoints = iter(job.output.checkpoints)
    for address, table in zip(job.params.networks, job.output.tables, strict=True):
        yield address, dict(zip(epochs, checkpoints, strict=False)), table, Path(table).with_name("unfinished")


def branch_of(address: Mapping[str, Any]) -> train.Branch | None:
    """Return where a child leaves its parent: it has shared whole epochs, or is another kind of child; else None.

    Experts of several tasks leave the network from which they start, and each other, at their first step.
    """
    if "start" in address:
        return train.Branch(epoch=0, name=address["data"])
    child = {"epoch": address["shared"]} if "shared" in address else address.get("child")
    return train.Branch(name="child", **child) if child else None


def train_networks(job: Job) -> None:
    """Train the networks of a job: from their initialisation, children too, whose first steps are their parent's.

    Experts of several tasks are trained each on its own data set, from another network where the job has one to start
    from.
    """
    torch.set_num_threads(job.threads)
    datasets = _datasets(job)
    if "factory" in job.params.architecture:
        network.followed(job.params.architecture, job.width, next(iter(datasets.values())))
    ends: dict[str, dict[int, float]] = {name: {} for name in datasets}
    for address, checkpoints, table, work in trainings(job):
        seed, child = address["seed"], {key: address[key] for key in ("child",) if key in address}
        name = address["data"] if address.get("data") in datasets else next(iter(datasets))
        origin, state = _start(job, address)
        job.store.files(
            "network",
            {**shaped_by(job, datasets[name], seed, "train"), "shared": address.get("shared"), **child, **origin},
            kept(checkpoints, table),
            partial(_train, job, datasets[name], address, checkpoints, table, work, origin, state),
        )
        if not address.keys() & {"shared", "child"}:
            *_, last = tables.rows(table, "training")
            ends[name][seed] = last["test_error"]
    for name, dataset in datasets.items():
        _remark(job, ends[name], dataset, "")


def _datasets(job: Job) -> dict[str, Dataset]:
    """Return the data sets of a job by their names in the addresses of its networks; one of no name serves all."""
    if isinstance(job.input.data, str):
        return {"": data.open_(job.input.data)}
    return {name: data.open_(path) for name, path in zip(job.params.data, job.input.data, strict=True)}


def _start(job: Job, address: Mapping[str, Any]) -> tuple[dict[str, Any], State | None]:
    """Return what its checkpoints say of where an expert starts, nothing for others, and the state it starts from.

    Without a state it starts from its initialisation.
    """
    if "start" not in address:
        return {}, None
    expert = {"task": address["data"], "start": address["start"]}
    if not address["start"]:
        return {"expert": expert}, None
    wanted = {"seed": address["seed"], "start": address["start"]}
    path = next(path for start, path in zip(job.params.starts, job.input.starts, strict=True) if start == wanted)
    state = checkpoint.load(path)[0]
    return {"expert": {**expert, "from": checkpoint.digest(state)}}, state


def _train(
    job: Job,
    dataset: Dataset,
    address: Mapping[str, Any],
    checkpoints: Mapping[int, str],
    table: str,
    work: Path,
    origin: Mapping[str, Any],
    state: State | None,
) -> None:
    seed, randomness = address["seed"], address_of(job, address["seed"])
    model = network.initialised(job.params.architecture, job.width, dataset, randomness)
    if state is not None:
        model.load_state_dict(state)
    train.train(
        model,
        dataset,
        train.Settings(**job.params.training),
        seed_address=randomness,
        checkpoints=checkpoints,
        table=table,
        work=work,
        metadata={**about(job, seed), **origin},
        device=job.device,
        branch=branch_of(address),
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
