"""What looking up, choosing and scattering do to axes: indices, masks, extremes, scalars that Python reads.

An index that an operation has chosen (the experts with the largest scores) is a *label*: its values are indices along
an axis, and move with it. Rules here know labels; wherever else one is used, its axis keeps its order.
"""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from onebasin.symmetry.axes import Term, atom, fix, resolve, size, unify
from onebasin.symmetry.labels import Label, Sorting
from onebasin.symmetry.rules import EXACT, READ, Axes, Branch, Call, Unsupported, dims, like, positional, reduce, rule

MASKS = (torch.bool, torch.uint8)


def _indexed(axes: Axes, term: Term, index: Tensor) -> None:
    """Say that an index looks up positions along an axis."""
    label = axes.label(index)
    if label is not None and size(label.axis) == size(term):
        unify(term, label.axis)
        return
    for axis in (term, *([label.axis] if label is not None else [])):
        fix(axis, "indexed")


def _sorting(axes: Axes, term: Term) -> Sorting | None:
    """Return the order in which an axis of rows is; None for another axis."""
    return next((found for found in axes.sortings if resolve(found.rows) == resolve(term)), None)


def _undoing(axes: Axes, index: Tensor) -> Sorting | None:
    """Return the order that an index takes from where the rows were before; None for another index."""
    label = axes.label(index)
    found = _sorting(axes, axes.plain(index)[0]) if label is not None and index.dim() == 1 else None
    return found if label is not None and found is not None and found.order.choice is label.choice else None


def _pair_or_fix(first: Term, second: Term) -> None:
    """Pair two axes; where one is longer only its beginning takes part, so that both keep their order."""
    if size(first) == size(second):
        unify(first, second)
    else:
        fix(first, "indexed in part")
        fix(second, "indexed in part")


@rule("index", "index_select", "_unsafe_index")
def _index(axes: Axes, call: Call, outs: list[Tensor]) -> None:
    terms, label = list(axes.plain(call["self"])), axes.label(call["self"])
    listed: list[Tensor | None] = [None] * (call.get("dim", 0) % max(1, len(terms)))
    listed += call["indices"] if "indices" in call else [call["index"]]
    sorting = _sorted_rows(axes, listed)
    selected = _selected(axes, terms, listed, moving=sorting is not None)
    lengths = torch.broadcast_shapes(*(index.shape for index in selected.values()))
    new: list[Term] = [sorting.rows] if sorting else [atom(length, "indexed") for length in lengths]
    order = None
    if len(selected) == 1:
        [(axis, index)] = selected.items()
        by, order = axes.label(index), _undoing(axes, index) if sorting else None
        same = sorting is not None and by is not None and by.choice is sorting.by.choice
        axes.imply(new, terms[axis], by.choice if by is not None and same else index)
    rest = [term for axis, term in enumerate(terms) if axis not in selected]
    axes[outs[0]] = rest[: _start(selected)] + new + rest[_start(selected) :]
    if label is not None:
        axes.set_label(outs[0], label if order is not None and order.given is call["self"] else Label(label.axis))


@rule("_grouped_mm")
def _grouped(axes: Axes, call: Call, outs: list[Tensor]) -> None:
    first, second, ends = axes[call["self"]], axes[call["mat2"]], call.get("offs")
    if len(first) != 2 or len(second) != 3 or ends is None or call.get("bias") is not None:
        raise Unsupported("anything but rows in groups times one matrix for each group")
    [rows, reads], [groups, inputs, units] = first, second
    label, sorting = axes.label(ends, "end"), _sorting(axes, rows)
    if label is not None and sorting is not None and sorting.by.choice is label.choice:
        unify(groups, label.axis)
        axes.imply([rows], groups, label.choice)
    else:
        for term in (rows, groups, *axes[ends]):
            fix(term, "rows of groups")
        axes.imply([rows], groups, ends)
    unify(reads, inputs)
    axes.note([rows, inputs, units])
    axes[outs[0]] = [rows, units]


@rule("index_put", "_unsafe_index_put", "_index_put_impl")
def _index_put(axes: Axes, call: Call, outs: list[Tensor]) -> None:
    terms, values, listed = axes[call["self"]], call["values"], call["indices"]
    axes[outs[0]] = terms
    order = _undoing(axes, listed[0]) if len(terms) == 1 and listed[0] is not None else None
    if order and not call["accumulate"] and _counts_up(axes, values, size(terms[0])):
        _indexed(axes, terms[0], listed[0])
        axes.set_label(outs[0], Label(order.rows))  # the inverse of the order: where each row has come to
        return
    selected = _selected(axes, terms, listed)
    new = len(torch.broadcast_shapes(*(index.shape for index in selected.values())))
    rest = [term for axis, term in enumerate(terms) if axis not in selected]
    aligned: list[Term | None] = [*rest[: _start(selected)], *[None] * new, *rest[_start(selected) :]]
    for term, value in zip(reversed(aligned), reversed(axes[values]), strict=False):
        if term is None:
            fix(value, "indexed")
        elif size(value) == size(term):
            unify(term, value)


def _counts_up(axes: Axes, values: Tensor, length: int) -> bool:
    """Say whether values are always 0, 1, 2, up to a length."""
    return axes.is_constant(values) and values.shape == (length,) and values.tolist() == list(range(length))


def _sorted_rows(axes: Axes, listed: list[Tensor | None]) -> Sorting | None:
    """Return the order of the rows for each of which a single index is given."""
    indices = [index for index in listed if index is not None]
    if len(indices) != 1 or indices[0].dim() != 1 or indices[0].dtype in MASKS:
        return None
    return _sorting(axes, axes.plain(indices[0])[0])


def _selected(axes: Axes, terms: list[Term], listed: list[Tensor | None], moving: bool = False) -> dict[int, Tensor]:
    """Return the axes that indices select from, with the indices along them; a boolean mask selects from several.

    The axes of the indices keep their order, unless they are ``moving``.
    """
    selected: dict[int, Tensor] = {}
    axis = 0
    for index in listed:
        if index is None:
            axis += 1
            continue
        for term in axes.plain(index) if not moving else []:
            fix(term, "index")
        if index.dtype in MASKS:
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
    if "alpha" not in call:  # of several values that are written, and not added, the last one stays
        fix(place, "index")
    axes[outs[0]] = terms


@rule("masked_select", "masked_scatter", "nonzero", "unique", "_unique2", "unique_dim")
def _by_value(axes: Axes, call: Call, outs: list[Tensor]) -> None:
    for name in ("self", "mask", "source"):
        if torch.is_tensor(call.get(name)):
            for term in axes[call[name]]:
                fix(term, "selected by value")
    for out in outs:
        axes[out] = [atom(length, "selected by value") for length in out.shape]


@rule("bincount", "histc")
def _count(axes: Axes, call: Call, outs: list[Tensor]) -> None:
    label = axes.label(call["self"])
    length = size(label.axis) if label is not None else 0
    if "bins" in call:
        alone = call["bins"] == length and call["min"] == 0 and call["max"] in (length - 1, length)
    else:
        alone = call["minlength"] == length and call["weights"] is None
    if label is None or length < 2 or not alone or outs[0].dtype not in EXACT:
        return _by_value(axes, call, outs)
    axes.plain(call["self"])
    axes[outs[0]] = [label.axis]
    axes.set_label(outs[0], replace(label, kind="count"))


@rule("cumsum")
def _sum_up(axes: Axes, call: Call, outs: list[Tensor]) -> None:
    label = axes.label(call["self"], "count")
    if label is None or outs[0].dtype not in EXACT:
        return positional(axes, call, outs)
    axes[outs[0]] = [atom(len(outs[0]), "order matters")]
    axes.set_label(outs[0], replace(label, kind="end"))


@rule("sort", "topk", "argsort")
def _choose(axes: Axes, call: Call, outs: list[Tensor]) -> None:
    label, given = axes.label(call["self"]), call["self"]
    if label is not None and given.dim() == 1 and len(given) > 1 and call.get("descending") is False:
        return _sort_indices(axes, given, label, outs)
    terms = list(axes[given])
    if not terms:
        return like(axes, outs, terms)
    dim = call.get("dim", -1) % len(terms)
    chosen = terms[dim]
    terms[dim] = atom(outs[0].shape[dim], "order of values")
    axes.note([term for axis, term in enumerate(terms) if axis != dim])
    like(axes, outs, terms)
    axes.set_label(outs[-1], Label(chosen))


def _sort_indices(axes: Axes, given: Tensor, label: Label, outs: list[Tensor]) -> None:
    [rows] = axes.plain(given)
    fix(rows, "order of sorted rows")  # it decides between equal indices
    sorting = Sorting(atom(len(given)), label, given, Label(rows))
    like(axes, outs, [sorting.rows])
    axes.set_label(outs[0], label)
    axes.set_label(outs[-1], sorting.order)
    axes.sortings.append(sorting)


@rule("max", "min", "argmax", "argmin", "median", "mode", "kthvalue")
def _extreme(axes: Axes, call: Call, outs: list[Tensor]) -> None:
    terms = axes[call["self"]]
    along = dims(call.get("dim"), len(terms))
    reduce(axes, call, outs)
    if len(outs) > 1 or "keepdim" in call:  # the last output holds indices
        if len(along) == 1:
            axes.set_label(outs[-1], Label(terms[next(iter(along))]))
        else:
            for axis in along:
                fix(terms[axis], "index of an extreme")


@rule("_local_scalar_dense", "is_nonzero", "equal")
def _read(axes: Axes, call: Call, outs: list[Tensor]) -> None:
    for tensor in (call[name] for name in ("self", "other") if torch.is_tensor(call.get(name))):
        if axes.depends(tensor):
            raise Branch(READ)
