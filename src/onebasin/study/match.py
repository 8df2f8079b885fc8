"""Matching by a method of the config; every permutation is checked to leave the function of its network unchanged."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from torch import Tensor, nn

from onebasin import checkpoint, match, symmetry, versions
from onebasin.data import Dataset
from onebasin.match import Frame, Match
from onebasin.permutation import Permutation
from onebasin.study.job import Job
from onebasin.study.memory import peak
from onebasin.study.store import Store
from onebasin.symmetry import State, Symmetry

# Real images on which each permuted network must compute the same function.
CHECKED_IMAGES = 256


def pair(
    model: nn.Module,
    groups: Symmetry,
    states: tuple[Any, Any],
    settings: Mapping[str, Any],
    images: Tensor,
    labels: Tensor,
) -> Match:
    """Match two networks, and check that the permutation leaves the function of the second one unchanged.

    Args:
        model: the module of the networks.
        groups: its symmetry.
        states: the two networks, each one state or several from the same moments of training.
        settings: an item of the section `matching` of the config.
        images: training images [N, …], on the device to compute on.
        labels: their classes [N].

    Raises:
        SymmetryError: if the permutation changes the function.
    """
    method: Callable[..., Match] = match.METHODS[settings["algorithm"]]
    options = {key: value for key, value in settings.items() if key not in ("name", "algorithm")}
    given = _taken(method, symmetry=groups, model=model, images=images, labels=labels)
    state_a, state_b = states
    found = method(state_a=state_a, state_b=state_b, **given, **options)
    for state in [state_b] if isinstance(state_b, Mapping) else state_b:
        symmetry.check(model, groups, found.permutation, state, images[:CHECKED_IMAGES])
    return found


def stored_pair(
    store: Store,
    shaped_by: Mapping[str, Any],
    model: nn.Module,
    groups: Symmetry,
    states: tuple[Any, Any],
    settings: Mapping[str, Any],
    images: Tensor,
    labels: Tensor,
) -> Permutation:
    """Return the permutation of the second of two networks; find it in the store, or match them as ``pair`` does.

    Args:
        store: of finished pieces.
        shaped_by: what ``shaped_by_model`` returned, and whatever else shapes the match.
        model: the module of the networks.
        groups: its symmetry.
        states: the two networks, each one state or several from the same moments of training.
        settings: an item of the section `matching` of the config.
        images: training images [N, …], on the device to compute on.
        labels: their classes [N].
    """

    def make() -> dict[str, list[int]]:
        return pair(model, groups, states, settings, images, labels).permutation.lists()

    networks = [
        [checkpoint.digest(state) for state in ([side] if isinstance(side, Mapping) else side)] for side in states
    ]
    return Permutation(
        store.value("permutation", {**shaped_by, **shaped_by_method(settings), "networks": networks}, make)
    )


def frame(
    model: nn.Module,
    groups: Symmetry,
    states: Mapping[int, State],
    settings: Mapping[str, Any],
    images: Tensor,
    labels: Tensor,
) -> Frame:
    """Bring networks into a common frame, and check that every permutation leaves its network's function unchanged.

    Args:
        model: the module of the networks.
        groups: its symmetry.
        states: the networks by their seeds.
        settings: an item of the section `frames` of the config.
        images: training images [N, …], on the device to compute on.
        labels: their classes [N].

    Raises:
        SymmetryError: if a permutation changes a function.
    """
    method = match.FRAMES[settings["algorithm"]]
    given = _taken(method, symmetry=groups, model=model, images=images, labels=labels)
    found = method(states=states, similarity=settings["similarity"], **given, **settings["options"])
    for seed, permutation in found.permutations.items():
        symmetry.check(model, groups, permutation, states[seed], images[:CHECKED_IMAGES])
    return found


def stored_frame(
    store: Store,
    model: Mapping[str, Any],
    states: Mapping[int, State],
    settings: Mapping[str, Any],
    device: str,
    make: Callable[[], Frame],
) -> tuple[Frame, float | None]:
    """Return a common frame and the memory that its method took in MB; find it in the store, or make it.

    Args:
        store: of finished pieces.
        model: what ``shaped_by_model`` returned.
        states: the networks by their seeds.
        settings: an item of the section `frames` of the config.
        device: where the frame is found.
        make: finds the frame.
    """

    def made() -> dict[str, Any]:
        match.warm_up(device)
        with peak(device) as taken:
            frame = make()
        permutations = [[seed, one.lists()] for seed, one in frame.permutations.items()]
        objectives = [[*pair, objective] for pair, objective in frame.objectives.items()]
        cost = {"iterations": frame.iterations, "seconds": frame.seconds, "memory": taken.megabytes}
        return {"permutations": permutations, "objectives": objectives, **cost}

    networks = [[seed, checkpoint.digest(state)] for seed, state in states.items()]
    found = store.value("frame", {**model, **shaped_by_method(settings), "networks": networks}, made)
    frame = Frame(
        {seed: Permutation(orders) for seed, orders in found["permutations"]},
        {(a, b): objective for a, b, objective in found["objectives"]},
        found["iterations"],
        found["seconds"],
    )
    return frame, found["memory"]


def shaped_by_model(job: Job, datasets: Iterable[Dataset]) -> dict[str, Any]:
    """Return what shapes every match of networks: their model, and the data sets whose images it compares."""
    return {
        "architecture": job.params.architecture,
        "width": job.width,
        "data": [dataset.digest for dataset in datasets],
    }


def shaped_by_method(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return what of a method shapes its matches: all but its name, and its version."""
    own = {key: value for key, value in settings.items() if key != "name"}
    return {"method": own, "version": versions.of(settings["algorithm"])}


def _taken(method: Callable[..., Any], **given: Any) -> dict[str, Any]:
    """Return what a method takes: it takes what its parameters name."""
    return {key: given[key] for key in inspect.signature(method).parameters if key in given}
