"""Training jobs: networks from their initialisation, and networks that were trained elsewhere in their place."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from onebasin import checkpoint, data, foreign, train
from onebasin.study import network
from onebasin.study.job import Job

log = logging.getLogger(__name__)


def address_of(job: Job, seed: int) -> tuple[str | int, ...]:
    """Return the address of the randomness of a network: its children, and it itself when pruned, share it."""
    return ("network", job.model, job.width, seed)


def about(job: Job, seed: int) -> dict[str, Any]:
    """Say in its checkpoints which network it is."""
    return {"model": job.model, "width": job.width, "seed": seed, "architecture": job.params.architecture}


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


def train_networks(job: Job) -> None:
    """Train the networks of a job: from their initialisation, children too, whose first epochs are their parent's."""
    torch.set_num_threads(job.threads)
    dataset = data.open_(job.input.data)
    for address, checkpoints, table, work in trainings(job):
        seed, shared = address["seed"], address.get("shared")
        randomness = address_of(job, seed)
        train.train(
            network.initialised(job.params.architecture, job.width, dataset, randomness),
            dataset,
            train.Settings(**job.params.training),
            seed_address=randomness,
            checkpoints=checkpoints,
            table=table,
            work=work,
            metadata=about(job, seed),
            device=job.device,
            branch=None if shared is None else (shared, "child"),
        )


def import_networks(job: Job) -> None:
    """Read networks that were trained elsewhere, and put them in the place of trained ones if they fit the model.

    All are read before one is written: a study of some of the networks is none.
    """
    model = network.build(job.params.architecture, job.width, data.open_(job.input.data))
    states = [foreign.fit(model, foreign.read(path), path) for path in job.input.networks]
    files = zip(job.params.networks, job.input.networks, states, job.output.checkpoints, strict=True)
    for address, path, state, target in files:
        seed = address["seed"]
        source = {"file": path, "sha256": hashlib.sha256(Path(path).read_bytes()).hexdigest()}
        checkpoint.save(target, state, {**about(job, seed), "source": source, **checkpoint.provenance()})
        log.info("seed %d is %s, sha256 %s", seed, path, source["sha256"])
