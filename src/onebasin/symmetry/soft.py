"""Matrices in place of permutations: doubly stochastic ones, so that gradients can move a network, and any others."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import torch
from torch import Tensor

from onebasin.symmetry.axes import Atom, Product, Shuffle, Sum, Term, atoms, size
from onebasin.symmetry.groups import State, Symmetry

Matrices = Mapping[str, Tensor]


def apply_soft(symmetry: Symmetry, matrices: Matrices, state: State) -> dict[str, Tensor]:
    """Return a state whose units are mixed by doubly stochastic matrices.

    Args:
        symmetry: the symmetry of the network's model.
        matrices: for some groups [blocks, units, units], one matrix for each block's place; element i, j is the share
            of source unit j in unit i. Blocks are moved by the matrices of the groups in which they lie.
        state: a state dict of the model, on the device of the matrices.

    Returns:
        A new state dict through which gradients flow; tensors that do not change are shared with ``state``.
    """
    return apply_along(symmetry, lambda key, axis: matrices, state)


def apply_along(symmetry: Symmetry, along: Callable[[str, int], Matrices], state: State) -> dict[str, Tensor]:
    """Return a state each of whose axes is multiplied by matrices of its own.

    Args:
        symmetry: the symmetry of the network's model.
        along: for a state key and the number of an axis the matrices of groups, as ``apply_soft`` takes them.
        state: a state dict of the model, on the device of the matrices and of their type.

    Returns:
        As for ``apply_soft``.
    """
    moved = {}
    for key, tensor in state.items():
        terms = symmetry.terms(key)
        moved[key] = _moved(symmetry, tensor, terms, [along(key, axis) for axis in range(len(terms))])
    return moved


def _moved(symmetry: Symmetry, tensor: Tensor, terms: Sequence[Term], along: Sequence[Matrices]) -> Tensor:
    """Multiply each axis, which is a term, by its matrices."""
    if not (tensor.is_floating_point() or tensor.is_complex()) or not any(
        symmetry.name(item) in matrices for term, matrices in zip(terms, along, strict=True) for item in atoms(term)
    ):
        return tensor
    if tensor.is_complex():
        parts = Atom(2, "real and imaginary part")
        return torch.view_as_complex(
            _moved(symmetry, torch.view_as_real(tensor), [*terms, parts], [*along, {}]).contiguous()
        )
    for axis, term in enumerate(terms):
        if isinstance(term, Product):
            lengths = [size(factor) for factor in term.factors]
            divided = tensor.reshape(*tensor.shape[:axis], *lengths, *tensor.shape[axis + 1 :])
            inner = [*terms[:axis], *term.factors, *terms[axis + 1 :]]
            each = [*along[:axis], *[along[axis]] * len(lengths), *along[axis + 1 :]]
            return _moved(symmetry, divided, inner, each).reshape(tensor.shape)
        if isinstance(term, Sum):
            pieces = tensor.split([size(part) for part in term.parts], axis)
            moved = [
                _moved(symmetry, piece, [*terms[:axis], part, *terms[axis + 1 :]], along)
                for piece, part in zip(pieces, term.parts, strict=True)
            ]
            return torch.cat(moved, axis)
        if isinstance(term, Shuffle):
            order = torch.tensor(term.order, device=tensor.device)
            inner = [*terms[:axis], Sum(term.parts) if len(term.parts) > 1 else term.parts[0], *terms[axis + 1 :]]
            plain = tensor.index_select(axis, order.argsort())
            return _moved(symmetry, plain, inner, along).index_select(axis, order)
    # Every axis is one atom now. Blocks move before what lies in them, whose matrices are those of the new places.
    held = [term for term in terms if isinstance(term, Atom)]
    for item in sorted(dict.fromkeys(held), key=lambda one: len(symmetry.parents(one))):
        name = symmetry.name(item)
        for axis in [axis for axis, term in enumerate(held) if term is item]:
            if name is not None and name in along[axis]:
                parents = [held.index(parent) for parent in symmetry.parents(item)]
                tensor = _mixed(tensor, axis, along[axis][name], parents)
    return tensor


def _mixed(tensor: Tensor, axis: int, matrix: Tensor, parents: Sequence[int]) -> Tensor:
    """Multiply one axis by the matrix of the block that the indices along other axes name."""
    if not parents:
        return torch.tensordot(matrix[0], tensor, dims=([1], [axis])).movedim(0, axis)
    order = [*parents, axis, *(other for other in range(tensor.dim()) if other not in (*parents, axis))]
    moved = tensor.permute(order)
    return torch.bmm(matrix, moved.reshape(*matrix.shape[:2], -1)).reshape(moved.shape).permute(list(np.argsort(order)))
