"""Hybrids of a network: some of its layers as they are at the end of training, the others as they were earlier.

Which layers decide the permutation that matches two networks? Both are hybridised in the same way and matched, and the
permutation is measured on the networks at the end (Sharma et al. 2024, arXiv 2404.06498).
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from torch import Tensor

State = Mapping[str, Tensor]


def kept_layers(count: int) -> dict[tuple[str, int], frozenset[int]]:
    """Return which of the layers 1 … count are kept from the end of training, for every kind of hybrid.

    Returns:
        By kind and layer: "bottom_up", the layers up to this one, "top_down", this one and those above, "one_in", this
        one alone, "one_out", all but this one.
    """
    every = frozenset(range(1, count + 1))
    kinds = {
        "bottom_up": lambda layer: frozenset(range(1, layer + 1)),
        "top_down": lambda layer: frozenset(range(layer, count + 1)),
        "one_in": lambda layer: frozenset({layer}),
        "one_out": lambda layer: every - {layer},
    }
    return {(kind, layer): kept(layer) for kind, kept in kinds.items() for layer in sorted(every)}


def hybrid(layers: Sequence[Sequence[str]], kept: Collection[int], end: State, earlier: State) -> dict[str, Tensor]:
    """Return the network whose layers in ``kept`` are those of one state, the others those of an earlier one.

    Args:
        layers: the keys of each layer, from the first; each key of the states once.
        kept: numbers of layers, from 1.
        end: the state at the end of training.
        earlier: the state to whose values the other layers are rewound.

    Raises:
        ValueError: if the layers and the states do not have the same keys.
    """
    source = {key: end if number in kept else earlier for number, keys in enumerate(layers, start=1) for key in keys}
    if not source.keys() == end.keys() == earlier.keys():
        raise ValueError("the layers do not have the keys of the states")
    return {key: source[key][key] for key in end}
