"""What looking up, choosing and scattering do to axes: indices, masks, extremes, scalars that Python reads.

An index that an operation has chosen (the experts with the largest scores) is a *label*: its values are indices along
an axis, and move with it. Rules here know labels; wherever else one is used, its axis keeps its order.
"""

from __future__ import annotations

import torch
from torch import Tensor

from onebasin.symmetry.axes import Term, atom, fix, size, unify
from onebasin.symmetry.rules import READ, Axes, Branch, Call, Unsupported, dims, like, reduce, rule


def _indexed(axes: Axes, term: Term, index: Tensor) -> None:
    """Say that an index looks up positions along an axis."""
    label = axes.label(index)
    if label is not None and size(label) == size(term):
        unify(term, label)
        return
    for axis in (term, label):
        if axis is not None:
            fix(axis, "indexed")


def _pair_or_fix(first: Term, second: Term) -> None:
    """Pair two axes; where one is longer only its beginning takes part, so that both keep their order."""
    if size(first) == size(second):
        unify(first, second)
    else:
        fix(first, "indexed in part")
        fix(second, "indexed in part")


@rule("index", "index_select", "_unsafe_index")
def _index(axes: Axes, call: Call, outs: list[Tensor]) -> None:
    terms = list(axes[call["self"]])
    listed: list[Tensor | None] = [None] * (call.get("dim", 0) % max(1, len(terms)))
    listed += call["indices"] if "indices" in call else [call["index"]]
    selected = _selected(axes, terms, listed)
    lengths = torch.broadcast_shapes(*(index.shape for index in selected.values()))
    new: list[Term] = [atom(length, "indexed") for length in lengths]
    if len(selected) == 1:
        [(axis, index)] = selected.items()
        axes.imply(new, terms[axis], index)
    rest = [term for axis, term in enumerate(terms) if axis not in selected]
    axes[outs[0]] = rest[: _start(selected)] + new + rest[_start(selected) :]


@rule("_grouped_mm")
def _grouped(axes: Axes, call: Call, outs: list[Tensor]) -> None:
    first, second, ends = axes[call["self"]], axes[call["mat2"]], call.get("offs")
    if len(first) != 2 or len(second) != 3 or ends is None or call.get("bias") is not None:
        raise Unsupported("anything but rows in groups times one matrix for each group")
    [rows, reads], [groups, inputs, units] = first, second
    fix(rows, "rows of groups")
    fix(groups, "rows of groups")
    axes.imply([rows], groups, ends)
    unify(reads, inputs)
    axes.note([rows, inputs, units])
    axes[outs[0]] = [rows, units]


@rule("index_put", "_unsafe_index_put", "_index_put_impl")
def _index_put(axes: Axes, call: Call, outs: list[Tensor]) -> None:
    terms, values = axes[call["self"]], axes[call["values"]]
    selected = _selected(axes, terms, call["indices"])
    new = len(torch.broadcast_shapes(*(index.shape for index in selected.values())))
    rest = [term for axis, term in enumerate(terms) if axis not in selected]
    aligned: list[Term | None] = [*rest[: _start(selected)], *[None] * new, *rest[_start(selected) :]]
    for term, value in zip(reversed(aligned), reversed(values), strict=False):
        if term is None:
            fix(value, "indexed")
        elif size(value) == size(term):
            unify(term, value)
    axes[outs[0]] = terms


def _selected(axes: Axes, terms: list[Term], listed: list[Tensor | None]) -> dict[int, Tensor]:
    """Return the axes that indices select from, with the indices along them; a boolean mask selects from several."""
    selected: dict[int, Tensor] = {}
    axis = 0
    for index in listed:
        if index is None:
            axis += 1
            continue
        for term in axes.plain(index):
            fix(term, "index")
        if index.dtype in (torch.bool, torch.uint8):
            for offset, chosen in enumerate(index.nonzero(as_tuple=True)):
                fix(terms[axis + offset], "indexed")
                selected[axis + offset] = chosen
            axis += index.dim()
        else:
            _indexed(axes, terms[axis], index)
            selected[axis] = index
            axis += 1
    return selected


def _start(selected: dict[int, Tensor]) -> int:
    """Return where the axes of the indices come: at the place of what they select from, or first."""
    used = sorted(selected)
    return used[0] if used == list(range(used[0], used[-1] + 1)) else 0


@rule("embedding")
def _embedding(axes: Axes, call: Call, outs: list[Tensor]) -> None:
    table, width = axes[call["weight"]]
    if axes.label(call["indices"]) is None:
        fix(table, "rows are looked up")
    _indexed(axes, table, call["indices"])
    axes[outs[0]] = [*axes.plain(call["indices"]), width]


@rule("gather")
def _gather(axes: Axes, call: Call, outs: list[Tensor]) -> None:
    terms, index = axes[call["self"]], axes.plain(call["index"])
    dim = call["dim"] % max(1, len(terms))
    for axis, (term, other) in enumerate(zip(terms, index, strict=True)):
        if axis == dim:
            _indexed(axes, term, call["index"])
        else:
            _pair_or_fix(term, other)
    axes[outs[0]] = index
    axes.note([*index[:dim], terms[dim], *index[dim + 1 :]])


@rule("scatter")
def _scatter(axes: Axes, call: Call, outs: list[Tensor]) -> None:
    for term in axes.plain(call["index"])[call["dim"] :][:1]:
        fix(term, "order of writing")  # the last of several values stays
    _scatter_sum(axes, call, outs)


@rule("scatter_add", "scatter_reduce")
def _scatter_sum(axes: Axes, call: Call, outs: list[Tensor]) -> None:
    terms, index = axes[call["self"]], axes.plain(call["index"])
    source = axes[call["src"]] if torch.is_tensor(call.get("src")) else index
    dim = call["dim"] % max(1, len(terms))
    for axis, (term, other, value) in enumerate(zip(terms, index, source, strict=True)):
        _pair_or_fix(other, value)
        if axis == dim:
            _indexed(axes, term, call["index"])
        else:
            _pair_or_fix(term, other)
    axes[outs[0]] = terms


@rule("index_add", "index_copy", "index_fill", "index_reduce")
def _index_add(axes: Axes, call: Call, outs: list[Tensor]) -> None:
    terms = axes[call["self"]]
    dim = call["dim"] % max(1, len(terms))
    _indexed(axes, terms[dim], call["index"])
    [place] = axes.plain(call["index"]) or [atom(1)]
    if torch.is_tensor(call.get("source")):
        for axis, (term, other) in enumerate(zip(terms, axes[call["source"]], strict=True)):
            unify(place if axis == dim else term, other)
    fix(place, "index")
    axes[outs[0]] = terms


@rule("masked_select", "masked_scatter", "nonzero", "unique", "_unique2", "unique_dim", "bincount", "histc")
def _by_value(axes: Axes, call: Call, outs: list[Tensor]) -> None:
    for name in ("self", "mask", "source"):
        if torch.is_tensor(call.get(name)):
            for term in axes[call[name]]:
                fix(term, "selected by value")
    for out in outs:
        axes[out] = [atom(length, "selected by value") for length in out.shape]


@rule("sort", "topk", "argsort")
def _choose(axes: Axes, call: Call, outs: list[Tensor]) -> None:
    terms = list(axes[call["self"]])
    if not terms:
        return like(axes, outs, terms)
    dim = call.get("dim", -1) % len(terms)
    chosen = terms[dim]
    terms[dim] = atom(outs[0].shape[dim], "order of values")
    axes.note([term for axis, term in enumerate(terms) if axis != dim])
    like(axes, outs, terms)
    axes.set_label(outs[-1], chosen)


@rule("max", "min", "argmax", "argmin", "median", "mode", "kthvalue")
def _extreme(axes: Axes, call: Call, outs: list[Tensor]) -> None:
    terms = axes[call["self"]]
    along = dims(call.get("dim"), len(terms))
    reduce(axes, call, outs)
    if len(outs) > 1 or "keepdim" in call:  # the last output holds indices
        if len(along) == 1:
            axes.set_label(outs[-1], terms[next(iter(along))])
        else:
            for axis in along:
                fix(terms[axis], "index of an extreme")


@rule("_local_scalar_dense", "is_nonzero", "equal")
def _read(axes: Axes, call: Call, outs: list[Tensor]) -> None:
    for tensor in (call[name] for name in ("self", "other") if torch.is_tensor(call.get(name))):
        if axes.depends(tensor):
            raise Branch(READ)
