"""Training that goes on from the mean of two networks: of a network and its child, or of independent, aligned ones.

Iyer, Dziugaite and Rolnick 2024, "Linear Weight Interpolation Leads to Transient Performance Gains".
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from onebasin import checkpoint, data, train
from onebasin.data import Dataset
from onebasin.files import load_tensors
from onebasin.landscape import repair
from onebasin.landscape.interpolate import interpolate
from onebasin.permutation import Permutation
from onebasin.study import match, network
from onebasin.study.job import Job
from onebasin.study.star import RESET_IMAGES
from onebasin.study.train import about, address_of, kept, on_parts, part_of, settings_of, shaped_by, trainings
from onebasin.symmetry import State, Symmetry, discover

HALVES = (0.5, 0.5)


def permuted_memory(groups: Symmetry, memory: State, permutation: Permutation) -> dict[str, Tensor]:
    """Permute what an optimiser remembers, as the parameters of its network are permuted.

    Args:
        groups: the symmetry of the network.
        memory: as ``Optimizer.state``: `<moment>/<parameter>` of the shape of the parameter, and the count of steps.
        permutation: of the network.
    """
    moved = {}
    for name, tensor in memory.items():
        _, of_parameter, parameter = name.partition("/")
        moved[name] = groups.apply_to(parameter, tensor, permutation) if of_parameter else tensor
    return moved


def mean(
    groups: Symmetry,
    model: nn.Module,
    ends: Sequence[State],
    memories: Sequence[State],
    permutation: Permutation | None,
    images: Tensor,
) -> tuple[State, dict[str, Tensor]]:
    """Return the mean of two networks at one epoch, and the mean of what their optimisers remember.

    Running statistics fit no mixture and are reset, unless the ends are the same network: its mean with itself is what
    it is.

    Args:
        groups: their symmetry.
        model: their module, in evaluation mode.
        ends: the two networks.
        memories: what their optimisers remember.
        permutation: of the second network into the frame of the first; None for none.
        images: training images [N, …], unaugmented, on which statistics are reset.
    """
    states, remembered = list(ends), list(memories)
    if permutation is not None:
        states[1] = groups.apply(permutation, states[1])
        remembered[1] = permuted_memory(groups, remembered[1], permutation)
    found: State = interpolate(states, HALVES)
    same = all(torch.equal(tensor, states[1][name]) for name, tensor in states[0].items())
    if not same and (reset := repair.correction("reset", model, states, images[:RESET_IMAGES])):
        found = reset(found, HALVES)
    return found, interpolate(remembered, HALVES)


def continue_means(job: Job) -> None:
    """Train on from the means of networks, with the rest of the schedule and the batches of the first of the two."""
    torch.set_num_threads(job.threads)
    dataset = data.open_(job.input.data)
    images, labels = dataset.tensors("train", device=job.device)
    model = network.build(job.params.architecture, job.width, dataset).to(job.device).eval()
    groups = discover(model, images[:2])
    shaped = {**match.shaped_by_model(job, [dataset]), "architecture": job.params.architecture}
    files = list(zip(job.params.ends, job.input.networks, job.input.memories, strict=True))

    def end(seed: int, epoch: int, shared: int | None = None) -> tuple[State, State]:
        wanted = {"seed": seed, "epoch": epoch, **({} if shared is None else {"shared": shared})}
        state, memory = next(paths for address, *paths in files if address == wanted)
        return checkpoint.load(state, job.device)[0], load_tensors(memory, "memory", job.device)[0]

    for training in trainings(job, lambda address: job.params.epochs[address["mean"]]):
        address, checkpoints, table, _ = training
        seed, epoch, shared = address["seed"], address["mean"], address.get("shared")
        first, second = end(seed, epoch), end(address.get("source", seed), epoch, shared)
        which = {key: address[key] for key in ("mean", "shared", "source") if key in address}
        permutation = None
        if address.get("method", "none") != "none":
            settings = job.params.methods[address["method"]]
            which |= match.shaped_by_method(settings)
            pair = first[0], second[0]
            permutation = match.stored_pair(job.store, shaped, model, groups, pair, settings, images, labels)
        state, memory = mean(groups, model, (first[0], second[0]), (first[1], second[1]), permutation, images)
        shapes = {
            **shaped_by(job, dataset, seed, "transience"),
            **which,
            "start": checkpoint.digest(state),
            "memory": checkpoint.digest(memory),
        }
        make = partial(_train, job, dataset, training, which, state, memory)
        job.store.files("network", shapes, kept(checkpoints, table), make)


def _train(
    job: Job, dataset: Dataset, training: tuple[Any, ...], which: Mapping[str, Any], state: State, memory: State
) -> None:
    address, checkpoints, table, work = training
    model = network.build(job.params.architecture, job.width, dataset)
    model.load_state_dict(state)
    train.train(
        model,
        dataset,
        settings_of(job.params.training),
        seed_address=address_of(job, address["seed"]),
        checkpoints=checkpoints,
        table=table,
        work=work,
        metadata={**about(job, address["seed"]), **on_parts(job.params.training, address["seed"]), **which},
        device=job.device,
        part=part_of(dataset, job.params.training, address["seed"]),
        start=address["mean"],
        memory=memory,
        title=network.spell(address),
    )
