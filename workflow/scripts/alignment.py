"""Matching of networks of a cell by one method, two at a time or all at once: permutation files and their table."""

import inspect
import logging
from collections.abc import Callable, Mapping, Sequence
from itertools import combinations
from pathlib import Path
from typing import Any

import torch
from cell import Cell, State
from memory import peak

from onebasin import checkpoint, claims, match, symmetry, tables

# Real images on which each permuted network must compute the same function.
CHECKED_IMAGES = 256


def find(
    cell: Cell, state_a: Any, state_b: Any, settings: Mapping[str, Any], images: torch.Tensor | None = None
) -> match.Match:
    """Match two networks, and check that the permutation leaves the function of network b unchanged.

    Args:
        cell: the model of the networks.
        state_a: a network, as one state or as several from different moments of its training.
        state_b: the other network, from the same moments.
        settings: an item of the section `matching` of the config.
        images: on which activations are compared and functions checked; the training images unless given.
    """
    if images is None:
        images, _ = cell.images("train")
    method = match.METHODS[settings["algorithm"]]
    # A method takes what its parameters name.
    given = {"symmetry": cell.symmetry, "model": cell.model, "images": images}
    options = {key: given[key] for key in inspect.signature(method).parameters if key in given}
    options |= {key: value for key, value in settings.items() if key not in ("name", "algorithm")}
    found = method(state_a=state_a, state_b=state_b, **options)
    for state in [state_b] if isinstance(state_b, Mapping) else state_b:
        symmetry.check(cell.model, cell.symmetry, found.permutation, state, images[:CHECKED_IMAGES])
    return found


def match_pairs(
    cell: Cell,
    states: Mapping[int, State],
    settings: Mapping[str, Any],
    folder: Path,
    pairs: Sequence[tuple[int, int]] | None = None,
) -> None:
    """Match pairs a < b of networks; write <a>-<b>.safetensors and matching.csv into the folder.

    A permutation is written only if it leaves the function of the network unchanged.

    Args:
        cell: the model of the networks.
        states: the networks by their seeds, all from the same moment of training or level of pruning.
        settings: an item of the section `matching` of the config.
        folder: where the files go.
        pairs: which pairs are matched; all unless they are given.
    """
    rows = []
    for a, b in pairs if pairs is not None else combinations(states, 2):
        with peak(cell.device) as taken:
            found = find(cell, states[a], states[b], settings)
        aligned = cell.symmetry.apply(found.permutation, states[b])
        outcome = {
            "objective": found.objective,
            "similarity": match.similarity(cell.symmetry, states[a], aligned),
            "sweeps": found.sweeps,
        }
        pair = {**cell.address, "method": settings["name"], "a": a, "b": b}
        # Seconds and memory stand in the table alone: the bytes of a permutation do not depend on the machine's mood.
        about = {**pair, **outcome, "settings": dict(settings), **checkpoint.provenance()}
        found.permutation.save(folder / f"{a}-{b}.safetensors", about)
        rows.append({**pair, **outcome, "seconds": found.seconds, "memory": taken.megabytes})
        logging.info("%s", rows[-1])
    tables.write(folder / "matching.csv", "matching", rows)


def find_frame(cell: Cell, states: Mapping[int, State], settings: Mapping[str, Any]) -> match.Frame:
    """Bring networks into a common frame; every permutation is checked to leave the function of its network unchanged.

    Args:
        cell: the model of the networks.
        states: the networks by their seeds.
        settings: an item of the section `frames` of the config.
    """
    method = match.FRAMES[settings["algorithm"]]
    found = method(states=states, similarity=settings["similarity"], **_given(method, cell), **settings["options"])
    images = cell.images("train", CHECKED_IMAGES)[0]
    for seed, permutation in found.permutations.items():
        symmetry.check(cell.model, cell.symmetry, permutation, states[seed], images)
    return found


def write_frame(cell: Cell, settings: Mapping[str, Any], folder: Path) -> None:
    """Bring all networks of a cell into a common frame; write <seed>.safetensors and frame.csv into the folder."""
    with peak(cell.device) as taken:
        found = find_frame(cell, cell.states, settings)
    about = {**cell.address, "method": settings["name"]}
    provenance = {"iterations": found.iterations, "settings": dict(settings), **checkpoint.provenance()}
    for seed, permutation in found.permutations.items():
        permutation.save(folder / f"{seed}.safetensors", {**about, "seed": seed, **provenance})
    moved = claims.into_common_frame(cell.symmetry, found.permutations, cell.states)
    cost = {"iterations": found.iterations, "seconds": found.seconds, "memory": taken.megabytes}
    rows = []
    for (a, b), objective in found.objectives.items():
        similarity = match.similarity(cell.symmetry, moved[a], moved[b])
        rows.append({**about, "a": a, "b": b, "objective": objective, "similarity": similarity, **cost})
        logging.info("%s", rows[-1])
    tables.write(folder / "frame.csv", "frame", rows)


def _given(method: Callable[..., Any], cell: Cell) -> dict[str, Any]:
    """What a method takes of the cell: it takes what its parameters name."""
    images, labels = cell.images("train")
    given = {"symmetry": cell.symmetry, "model": cell.model, "images": images, "labels": labels}
    return {key: given[key] for key in inspect.signature(method).parameters if key in given}
