"""Training from the epoch to which networks are rewound, under a mask: of their own pruning, or another network's."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

import torch
from torch import nn

from onebasin import checkpoint, data, permutation, prune, seeding, symmetry, train
from onebasin.data import Dataset
from onebasin.landscape.claims import between
from onebasin.permutation import Permutation
from onebasin.provenance import provenance
from onebasin.prune import Mask
from onebasin.study import network
from onebasin.study.job import Job
from onebasin.study.train import about, address_of, kept, on_parts, part_of, settings_of, shaped_by, trainings


def prune_networks(job: Job) -> None:
    """Prune networks, each from the level before, rewind what remains and train it again."""
    dataset, masks = _open(job), iter(job.input.masks)
    rewound = {address["seed"]: path for address, path in zip(job.params.rewound, job.input.rewound, strict=True)}
    # The trained network and the mask of each seed at the last level that there is.
    last = {
        address["seed"]: (path, next(masks) if address["level"] else None)
        for address, path in zip(job.params.before, job.input.trained, strict=True)
    }
    for training, target in zip(trainings(job), job.output.masks, strict=True):
        address, checkpoints, table, _ = training
        seed = address["seed"]
        trained, earlier = last[seed]
        shapes = {
            **shaped_by(job, dataset, seed, "prune"),
            "level": address["level"],
            "pruning": job.params.pruning,
            "rewound": checkpoint.digest(checkpoint.load(rewound[seed])[0]),
            "trained": checkpoint.digest(checkpoint.load(trained)[0]),
            "mask": Mask.load(earlier).digest if earlier else None,
        }
        make = partial(_prune, job, dataset, training, (rewound[seed], trained, earlier, target))
        job.store.files("network", shapes, {**kept(checkpoints, table), "mask.safetensors": target}, make)
        (path,) = checkpoints.values()
        last[seed] = path, target


def _prune(job: Job, dataset: Dataset, training: tuple[Any, ...], files: tuple[str, str, str | None, str]) -> None:
    settings, (rewound, trained, earlier, target) = job.params.pruning, files
    seed, level = training[0]["seed"], training[0]["level"]
    mask = Mask.load(earlier) if earlier else _full(job, dataset, settings["output_layer"])
    mask = prune.prune(
        mask,
        checkpoint.load(trained)[0],
        settings["fraction"],
        settings["strategy"],
        generator=seeding.generator(*address_of(job, seed), "prune", level),
    )
    which = {"level": level, "density": mask.density}
    _train(job, dataset, training, rewound, mask, which)
    mask.save(target, {**about(job, seed), **which, "pruning": settings, **provenance()})


def train_tickets(job: Job) -> None:
    """Train networks under masks: of others, as they are, at random and permuted; or their own, with other batches."""
    dataset = _open(job)
    groups = _discover(_build(job, dataset), dataset)
    masks = [(address, Mask.load(path)) for address, path in zip(job.params.masks, job.input.masks, strict=True)]
    rewound = {address["seed"]: path for address, path in zip(job.params.rewound, job.input.rewound, strict=True)}
    matched = {
        address["method"]: permutation.load(path)
        for address, path in zip(job.params.permutations, job.input.permutations, strict=True)
    }
    for training in trainings(job):
        address, checkpoints, table, _ = training
        seed, level, source = address["seed"], address["level"], address.get("source", address["seed"])
        wanted = {"seed": source, **{key: address[key] for key in ("level", "rewind") if key in address}}
        mask = next(mask for other, mask in masks if other == wanted)
        if address["mask"] == "random":
            # Drawn for the network that is trained: two networks never share a random mask.
            mask = mask.shuffled(seeding.generator(*address_of(job, seed), "ticket", source, level))
        elif address["mask"] == "permuted":
            found = _into_frame(matched[address["method"]], seed, source, across=job.params.across)
            mask = mask.permuted(groups, found)
        named = address["method"] if address["mask"] == "permuted" else address["mask"]
        which = {"level": level, "ticket": named, "source": source, "density": mask.density}
        shapes = {
            **shaped_by(job, dataset, seed, "tickets"),
            **which,
            "pruning": job.params.pruning,
            "rewound": checkpoint.digest(checkpoint.load(rewound[seed])[0]),
            "mask": mask.digest,
        }
        branch = train.Branch(job.params.pruning["rewind"], "again") if address["mask"] == "again" else None
        make = partial(_train, job, dataset, training, rewound[seed], mask, which, branch)
        job.store.files("network", shapes, kept(checkpoints, table), make)


def _into_frame(
    permutations: Mapping[tuple[int, ...], Permutation], seed: int, source: int, *, across: bool
) -> Permutation:
    """Return the permutation that takes a source into the frame of a network."""
    if across:
        # What was found across takes the network of the second data set into the frame of that of the first.
        return permutations[source, seed].inverse()
    return between(permutations, seed, source)  # type: ignore[arg-type]


def _open(job: Job) -> Dataset:
    torch.set_num_threads(job.threads)
    return data.open_(job.input.data)


def _build(job: Job, dataset: Dataset) -> nn.Module:
    return network.build(job.params.architecture, job.width, dataset)


def _discover(model: nn.Module, dataset: Dataset) -> symmetry.Symmetry:
    return symmetry.discover(model.eval(), dataset.tensors("train", limit=2)[0])


def _full(job: Job, dataset: Dataset, output_layer: bool) -> Mask:
    """Return the mask of level 0."""
    model = _build(job, dataset)
    return prune.full(model, _discover(model, dataset), output_layer)


def _train(
    job: Job,
    dataset: Dataset,
    training: tuple[Any, ...],
    rewound: str,
    mask: Mask,
    which: Mapping[str, Any],
    branch: train.Branch | None = None,
) -> None:
    """Train under a mask, with the settings, rates and order of the epochs that follow the rewinding, or another."""
    address, checkpoints, table, work = training
    seed = address["seed"]
    model = _build(job, dataset)
    model.load_state_dict(checkpoint.load(rewound)[0])
    train.train(
        model,
        dataset,
        settings_of(job.params.training),
        seed_address=address_of(job, seed),
        checkpoints=checkpoints,
        table=table,
        work=work,
        metadata={**about(job, seed), **on_parts(job.params.training, seed), **which},
        device=job.device,
        branch=branch,
        start=job.params.pruning["rewind"],
        mask=mask,
        warmup_again=job.params.pruning["warmup_again"],
        part=part_of(dataset, job.params.training, seed),
        title=network.spell(address),
    )
