"""Matching of all pairs of networks of a cell, by one method: permutation files and their table."""

import inspect
import logging
from collections.abc import Callable, Mapping
from itertools import combinations
from pathlib import Path
from typing import Any

import torch
from cell import Cell, State

from onebasin import checkpoint, match, symmetry, tables

# Real images on which each permuted network must compute the same function.
CHECKED_IMAGES = 256


def matcher(cell: Cell, settings: Mapping[str, Any], images: torch.Tensor) -> Callable[[State, State], match.Match]:
    """Return a function that matches network b to network a, and checks that the permuted b computes the same function.

    Args:
        cell: the model of the networks.
        settings: an item of the section `matching` of the config.
        images: those on which activations are compared, and functions checked.
    """
    method = match.METHODS[settings["algorithm"]]
    # A method takes what its parameters name.
    given = {"symmetry": cell.symmetry, "model": cell.model, "images": images}
    options = {key: given[key] for key in inspect.signature(method).parameters if key in given}
    options |= {key: value for key, value in settings.items() if key not in ("name", "algorithm")}

    def matched(state_a: State, state_b: State) -> match.Match:
        found = method(state_a=state_a, state_b=state_b, **options)
        symmetry.check(cell.model, cell.symmetry, found.permutation, state_b, images[:CHECKED_IMAGES])
        return found

    return matched


def match_pairs(cell: Cell, states: Mapping[int, State], settings: Mapping[str, Any], folder: Path) -> None:
    """Match every pair a < b of networks; write <a>-<b>.safetensors and matching.csv into the folder.

    A permutation is written only if it leaves the function of the network unchanged.

    Args:
        cell: the model of the networks.
        states: the networks by their seeds, all from the same moment of training or level of pruning.
        settings: an item of the section `matching` of the config.
        folder: where the files go.
    """
    matched = matcher(cell, settings, cell.images("train")[0])
    rows = []
    for a, b in combinations(states, 2):
        found = matched(states[a], states[b])
        aligned = cell.symmetry.apply(found.permutation, states[b])
        outcome = {
            "objective": found.objective,
            "similarity": match.similarity(cell.symmetry, states[a], aligned),
            "sweeps": found.sweeps,
        }
        pair = {**cell.address, "method": settings["name"], "a": a, "b": b}
        # Seconds stand in the table alone: the bytes of a permutation do not depend on the machine's mood.
        about = {**pair, **outcome, "settings": dict(settings), **checkpoint.provenance()}
        found.permutation.save(folder / f"{a}-{b}.safetensors", about)
        rows.append({**pair, **outcome, "seconds": found.seconds})
        logging.info("%s", rows[-1])
    tables.write(folder / "matching.csv", "matching", rows)
