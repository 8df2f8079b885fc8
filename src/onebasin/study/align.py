"""Alignment jobs: the permutations of all pairs of networks, and of common frames, with what each reached and cost."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from itertools import product
from typing import Any

import torch
from torch import Tensor, nn

from onebasin import checkpoint, data, permutation, symmetry, tables
from onebasin.landscape.claims import into_common_frame
from onebasin.match import similarity, warm_up
from onebasin.permutation import Permutation
from onebasin.provenance import provenance
from onebasin.study import match, network
from onebasin.study.job import Job
from onebasin.study.memory import peak
from onebasin.study.store import Store
from onebasin.study.study import Method
from onebasin.symmetry import State, Symmetry

log = logging.getLogger(__name__)
Address = Mapping[str, Any]


@dataclass(frozen=True)
class Networks:
    """The networks of an alignment job.

    Attributes:
        configuration: the columns `model` and `width`.
        model: their module.
        symmetry: its permutation groups.
        states: the networks by data set, epoch or level, and seed, as their addresses name them.
        images: training images [N, …] of each data set, and of both by turns ("across").
        labels: of the images.
        shaped_by: what shapes every match of them: the model and the data sets.
        device: where to compute.
    """

    configuration: dict[str, Any]
    model: nn.Module
    symmetry: Symmetry
    states: list[tuple[Address, State]]
    images: dict[str, Tensor]
    labels: dict[str, Tensor]
    shaped_by: dict[str, Any]
    device: str

    def at(self, stage: Address) -> dict[int, State]:
        """Return the networks of a stage by their seeds."""
        return {
            address["seed"]: state
            for address, state in self.states
            if {key: value for key, value in address.items() if key != "seed"} == dict(stage)
        }


def open_networks(job: Job) -> Networks:
    """Read the inputs `data` and `networks` of a job, which its params `data` and `networks` name in their order."""
    torch.set_num_threads(job.threads)
    where = job.device
    datasets = {name: data.open_(path) for name, path in zip(job.params.data, job.input.data, strict=True)}
    first = datasets["first"]
    model = network.build(job.params.architecture, job.width, first).to(where).eval()
    split = {name: dataset.tensors("train", device=where) for name, dataset in datasets.items()}
    if "second" in split:
        # Networks of two data sets are compared on images of both, by turns.
        shorter = min(len(labels) for _, labels in split.values())
        first_part, second_part = ([part[:shorter] for part in split[name]] for name in ("first", "second"))
        images, labels = (torch.stack(both, 1).flatten(0, 1) for both in zip(first_part, second_part, strict=True))
        split["across"] = images, labels
    return Networks(
        {"model": job.model, "width": job.width},
        model,
        symmetry.discover(model, split["first"][0][:2]),
        [
            (address, checkpoint.load(path, where)[0])
            for address, path in zip(job.params.networks, job.input.networks, strict=True)
        ],
        {name: images for name, (images, _) in split.items()},
        {name: labels for name, (_, labels) in split.items()},
        match.shaped_by_model(job, datasets.values()),
        where,
    )


def align(job: Job) -> None:
    """Match pairs of networks by every method, at every stage of the job.

    Each method and stage has one file of permutations and one table, in the order of methods, then stages. Pairs that
    were matched before, by a job that was killed or in another study, are found in the store.
    """
    networks = open_networks(job)
    methods = [Method.of(settings) for settings in job.params.methods]
    targets = zip(job.output.permutations, job.output.tables, strict=True)
    for (method, stage), (target, table) in zip(product(methods, job.params.stages), targets, strict=True):
        if stage.get("data") == "across":
            first, second = networks.at({}), networks.at({"data": "second"})
            drawn = set(map(frozenset, job.params.pairs))
            pairs = [(a, b) for a in first for b in second if a == b or {a, b} in drawn]
        else:
            first = second = networks.at(stage)
            pairs = [(a, b) for a, b in job.params.pairs]
        images = stage.get("data", "first")
        permutations: dict[tuple[int, ...], Permutation] = {}
        rows = []
        title = ", ".join(filter(None, [method.name, network.spell(stage)]))
        matched = _matched(job.store, networks, method, (first, second), pairs, images)
        for number, (pair, found, row) in enumerate(matched, start=1):
            permutations[pair] = found
            rows.append(row)
            reached = number, len(pairs), *pair, row["objective"], row["seconds"]
            log.info("%s, pair %d of %d, seeds %d and %d: objective %.6g, %.2f s", title, *reached)
        _write(networks, method, stage, (target, table), permutations, rows)


def _matched(
    store: Store,
    networks: Networks,
    method: Method,
    states: tuple[Mapping[int, State], Mapping[int, State]],
    pairs: list[tuple[int, int]],
    images: str,
) -> Iterator[tuple[tuple[int, int], Permutation, dict[str, Any]]]:
    """Yield each pair, the permutation that takes its second network into the frame of the first, and its row."""
    first, second = states
    digests = [{seed: checkpoint.digest(state) for seed, state in some.items()} for some in states]
    for a, b in pairs:
        shaped_by = {
            **networks.shaped_by,
            **match.shaped_by_method(method.settings),
            "images": images,
            "networks": [digests[0][a], digests[1][b]],
        }
        make = partial(_match, networks, method, (first[a], second[b]), images)
        found = store.value("matching", shaped_by, make)
        row = {**networks.configuration, **method.columns, "a": a, "b": b, **found["reached"]}
        yield (a, b), Permutation(found["permutation"]), row


def _match(networks: Networks, method: Method, states: tuple[State, State], images: str) -> dict[str, Any]:
    seen = networks.images[images], networks.labels[images]
    warm_up(networks.device)
    with peak(networks.device) as taken:
        found = match.pair(networks.model, networks.symmetry, states, method.settings, *seen)
    aligned = networks.symmetry.apply(found.permutation, states[1])
    reached = {
        "objective": found.objective,
        "similarity": similarity(networks.symmetry, states[0], aligned),
        "sweeps": found.sweeps,
        "seconds": found.seconds,
        "memory": taken.megabytes,
    }
    return {"permutation": found.permutation.lists(), "reached": reached}


def _write(
    networks: Networks,
    method: Method,
    stage: Address,
    targets: tuple[str, str],
    permutations: Mapping[tuple[int, ...], Permutation],
    rows: list[dict[str, Any]],
) -> None:
    # Seconds and memory stand in the table alone: the bytes of permutations do not depend on the machine's mood.
    reached = ("a", "b", "objective", "similarity", "sweeps")
    about = {
        **networks.configuration,
        "stage": dict(stage),
        "settings": dict(method.settings),
        "pairs": [{name: row[name] for name in reached} for row in rows],
        **provenance(),
    }
    permutation.save(targets[0], permutations, about)
    tables.write(targets[1], "matching", rows)


def gather(job: Job) -> None:
    """Put the shares of an alignment, and their tables, together as one job would have written them."""
    permutations: dict[tuple[int, ...], Permutation] = {}
    about: dict[str, Any] = {}
    for path in job.input.permutations:
        permutations |= permutation.load(path)
        share = permutation.load_metadata(path)
        about = {**share, "pairs": [*about.get("pairs", []), *share["pairs"]]}
    permutation.save(job.output.permutations, permutations, about)
    tables.write(
        job.output.table, "matching", (row for path in job.input.tables for row in tables.rows(path, "matching"))
    )


def frames(job: Job) -> None:
    """Bring all networks into a common frame, by every method of the job, each with one file and one table."""
    networks = open_networks(job)
    states = networks.at({})
    targets = zip(job.output.permutations, job.output.tables, strict=True)
    for number, (settings, (target, table)) in enumerate(zip(job.params.frames, targets, strict=True), start=1):
        method = Method.of(settings)
        log.info("frame %d of %d: %s", number, len(job.params.frames), method.name)
        seen = networks.images["first"], networks.labels["first"]
        make = partial(match.frame, networks.model, networks.symmetry, states, settings, *seen)
        found, memory = match.stored_frame(job.store, networks.shaped_by, states, settings, networks.device, make)
        moved = into_common_frame(networks.symmetry, found.permutations, states)
        cost = {"iterations": found.iterations, "seconds": found.seconds, "memory": memory}
        rows = []
        for (a, b), objective in found.objectives.items():
            alike = similarity(networks.symmetry, moved[a], moved[b])
            rows.append({**networks.configuration, **method.columns, "a": a, "b": b, "objective": objective})
            rows[-1] |= {"similarity": alike, **cost}
            log.info("%s", rows[-1])
        about = {
            **networks.configuration,
            "iterations": found.iterations,
            "settings": dict(settings),
            **provenance(),
        }
        permutation.save(target, {(seed,): one for seed, one in found.permutations.items()}, about)
        tables.write(table, "frame", rows)
