"""Figures of the experiments: each a function from the data frame of its table to a matplotlib figure."""

from __future__ import annotations

from collections.abc import Callable

from matplotlib.figure import Figure
from pandas import DataFrame

from onebasin.figures.consensus import consensus
from onebasin.figures.correction import correction
from onebasin.figures.cycles import cycles
from onebasin.figures.embedding import embedding
from onebasin.figures.instability import instability
from onebasin.figures.layers import layers
from onebasin.figures.methods import methods
from onebasin.figures.pairs import pairs
from onebasin.figures.pruning import pruning
from onebasin.figures.scaling import scaling
from onebasin.figures.simplex import simplex
from onebasin.figures.sparsity import sparsity
from onebasin.figures.stability import stability
from onebasin.figures.style import save
from onebasin.figures.superposition import superposition
from onebasin.figures.tickets import tickets
from onebasin.figures.trajectory import trajectory
from onebasin.figures.transfer import transfer
from onebasin.figures.transfer_masks import transfer_masks
from onebasin.figures.width import width

FIGURES: dict[str, Callable[[DataFrame], Figure]] = {
    "pairs": pairs,
    "width": width,
    "scaling": scaling,
    "simplex": simplex,
    "consensus": consensus,
    "methods": methods,
    "instability": instability,
    "correction": correction,
    "trajectory": trajectory,
    "stability": stability,
    "layers": layers,
    "superposition": superposition,
    "pruning": pruning,
    "sparsity": sparsity,
    "tickets": tickets,
    "cycles": cycles,
    "embedding": embedding,
    "transfer": transfer,
    "transfer_masks": transfer_masks,
}
"""Experiment name to the function that draws its table."""

__all__ = [
    "FIGURES",
    "consensus",
    "correction",
    "cycles",
    "embedding",
    "instability",
    "methods",
    "pairs",
    "pruning",
    "save",
    "scaling",
    "simplex",
    "sparsity",
    "tickets",
    "transfer",
    "transfer_masks",
    "width",
]
