"""What each tensor operation does to the axes of its arguments.

Operations are PyTorch's ATen operations, as they reach ``__torch_dispatch__``: a small, closed vocabulary in which
modules, functional calls and tensor methods have all become the same thing. An operation that carries PyTorch's own
``pointwise`` tag pairs its arguments index by index; the others have a rule here, or are refused by name.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Protocol

import torch
from torch import Tensor

from onebasin.symmetry.axes import UNIT, Term, atom, atoms, concatenation, fix, product, resolve, size, unify
from onebasin.symmetry.labels import Label, Sorting
from onebasin.symmetry.reshapes import is_open, parts, reshape, segments

Call = dict[str, Any]


class Axes(Protocol):
    """What a rule may ask for: the terms of a tensor, and to remember those of a new one."""

    sortings: list[Sorting]

    def __getitem__(self, tensor: Tensor) -> list[Term]: ...
    def __setitem__(self, tensor: Tensor, terms: Sequence[Term]) -> None: ...
    def note(self, terms: Sequence[Term]) -> None:
        """Remember a tensor that exists only inside an operation, such as the mean of a normalisation."""

    def label(self, tensor: Tensor, kind: str = "index") -> Label | None:
        """Return what the values of a tensor say about an axis; None for other values."""

    def set_label(self, tensor: Tensor, label: Label) -> None:
        """Say what the values of a new tensor are."""

    def plain(self, tensor: Tensor) -> list[Term]:
        """Return the terms of a tensor, as indexing does, without saying that its values are used as numbers."""

    def imply(self, terms: Sequence[Term], owner: Term, by: object) -> None:
        """Say that rows, by their axes, stand each for one index of another axis, for which one ``by`` tells."""

    def is_constant(self, tensor: Tensor) -> bool:
        """Say whether a tensor's values depend on neither parameters nor inputs."""

    def depends(self, tensor: Tensor) -> bool:
        """Say whether a tensor's values depend on parameters, or on inputs that are no integers."""


Rule = Callable[[Axes, Call, list[Tensor]], None]
RULES: dict[str, Rule] = {}


class Unsupported(Exception):
    """An operation, or a use of one, that cannot be followed."""


class Branch(Unsupported):
    """What happens next depends on the value of a tensor."""


READ = "the value of a tensor that depends on parameters or inputs is read, as a branch does"


def rule(*names: str) -> Callable[[Rule], Rule]:
    """Register a rule for ATen operations given by name, in-place variants included."""

    def register(function: Rule) -> Rule:
        RULES.update(dict.fromkeys(names, function))
        return function

    return register


def constant(tensor: Tensor) -> list[Term]:
    """Return the axes of a tensor that no parameter or input went into: free only where all its slices are equal."""
    if tensor.layout != torch.strided:
        return [atom(length, "constant") for length in tensor.shape]
    terms = []
    for axis, length in enumerate(tensor.shape):
        uniform = length > 0 and bool((tensor == tensor.narrow(axis, 0, 1)).all())
        terms.append(atom(length, None if uniform else "constant"))
    return terms


def like(axes: Axes, outs: list[Tensor], terms: Sequence[Term]) -> None:
    """Give outputs of the same rank these axes."""
    for out in outs:
        if out.dim() == len(terms):
            axes[out] = terms


def pair(first: Sequence[Term], second: Sequence[Term]) -> None:
    """Unify axes one by one."""
    for a, b in zip(first, second, strict=True):
        unify(a, b)


def _tensors(call: Call) -> list[Tensor]:
    found: list[Tensor] = []
    for value in call.values():
        found.extend(item for item in (value if isinstance(value, (list, tuple)) else [value]) if torch.is_tensor(item))
    return found


def pointwise(axes: Axes, call: Call, outs: list[Tensor]) -> None:
    """Pair all arguments index by index, after broadcasting."""
    for out in outs:
        terms: list[Term] = [UNIT] * out.dim()
        for tensor in _tensors(call):
            for offset, term in enumerate(reversed(axes[tensor])):
                position = out.dim() - 1 - offset
                if size(term) == 1:
                    continue
                if size(terms[position]) == 1:
                    terms[position] = term
                else:
                    unify(terms[position], term)
        for position, length in enumerate(out.shape):
            if size(terms[position]) != length:
                terms[position] = atom(length)
        axes[out] = terms


# Elementwise by definition, though they do not carry the tag.
ELEMENTWISE = frozenset(
    {"hardswish", "log_sigmoid_forward", "_prelu_kernel", "polar", "complex", "floor_divide", "_conj", "_neg_view"}
)
rule("clone", "alias", "detach", "lift_fresh", "_to_copy", "copy_")(pointwise)


@rule("_softmax", "_log_softmax", "_safe_softmax", "softmax", "log_softmax")
def _normalise(axes: Axes, call: Call, outs: list[Tensor]) -> None:
    pointwise(axes, call, outs)
    terms = axes[outs[0]]
    axes.note([term for axis, term in enumerate(terms) if axis != call["dim"] % max(1, len(terms))])


@rule("fill_", "zero_")
def _overwrite(axes: Axes, call: Call, outs: list[Tensor]) -> None:
    axes[outs[0]] = axes[call["self"]]


# What looks at the shape of a tensor only.
FACTORIES = frozenset(
    {
        "empty_like",
        "zeros_like",
        "ones_like",
        "full_like",
        "new_zeros",
        "new_ones",
        "new_full",
        "new_empty",
        "new_empty_strided",
    }
)
# What holds every index and every count.
EXACT = frozenset({torch.int32, torch.int64, torch.float32, torch.float64})
# What hands the values of its argument on, in another order or number.
HANDING_ON = frozenset(
    {
        "view",
        "_unsafe_view",
        "_reshape_alias",
        "reshape",
        "permute",
        "transpose",
        "t",
        "expand",
        "repeat",
        "unsqueeze",
        "squeeze",
        "clone",
        "detach",
        "alias",
        "_to_copy",
        "select",
        "slice",
        "unbind",
        "split",
    }
)


@rule(*FACTORIES)
def _factory(axes: Axes, call: Call, outs: list[Tensor]) -> None:
    axes[outs[0]] = constant(outs[0])


@rule("as_strided_")
def _restride(axes: Axes, call: Call, outs: list[Tensor]) -> None:
    terms = axes[call["self"]]
    if [size(term) for term in terms] != list(call["size"]):
        raise Unsupported("as_strided_ to another shape")
    axes[outs[0]] = terms


@rule("view", "_unsafe_view", "reshape", "_reshape_alias")
def _view(axes: Axes, call: Call, outs: list[Tensor]) -> None:
    axes[outs[0]] = reshape(axes[call["self"]], outs[0].shape)


@rule("unsqueeze")
def _unsqueeze(axes: Axes, call: Call, outs: list[Tensor]) -> None:
    terms = list(axes[call["self"]])
    terms.insert(call["dim"] % (len(terms) + 1), UNIT)
    axes[outs[0]] = terms


@rule("squeeze")
def _squeeze(axes: Axes, call: Call, outs: list[Tensor]) -> None:
    terms = axes[call["self"]]
    along = dims(call.get("dim"), len(terms))
    axes[outs[0]] = [term for axis, term in enumerate(terms) if not (axis in along and size(term) == 1)]


@rule("permute")
def _permute(axes: Axes, call: Call, outs: list[Tensor]) -> None:
    terms = axes[call["self"]]
    axes[outs[0]] = [terms[axis] for axis in call["dims"]]


@rule("t", "transpose")
def _transpose(axes: Axes, call: Call, outs: list[Tensor]) -> None:
    terms = list(axes[call["self"]])
    if len(terms) > 1:
        first, second = call.get("dim0", 0), call.get("dim1", 1)
        terms[first], terms[second] = terms[second], terms[first]
    axes[outs[0]] = terms


@rule("expand")
def _expand(axes: Axes, call: Call, outs: list[Tensor]) -> None:
    terms = axes[call["self"]]
    old: list[Term] = [UNIT] * (outs[0].dim() - len(terms)) + list(terms)
    axes[outs[0]] = [
        term if size(term) == length else atom(length) for term, length in zip(old, outs[0].shape, strict=True)
    ]


@rule("repeat")
def _repeat(axes: Axes, call: Call, outs: list[Tensor]) -> None:
    terms = axes[call["self"]]
    old: list[Term] = [UNIT] * (outs[0].dim() - len(terms)) + list(terms)
    axes[outs[0]] = [product((atom(count), term)) for term, count in zip(old, call["repeats"], strict=True)]


@rule("slice")
def _slice(axes: Axes, call: Call, outs: list[Tensor]) -> None:
    terms = list(axes[call["self"]])
    axis, length = call["dim"] % len(terms), size(terms[call["dim"]])
    start, stop, _ = slice(call["start"], call["end"]).indices(length)
    if not outs[0].shape[axis]:
        terms[axis] = atom(0)
    elif call["step"] != 1:
        fix(terms[axis], "strided slice")
        terms[axis] = atom(outs[0].shape[axis], "strided slice")
    elif (start, stop) != (0, length):
        terms = _range(terms, axis, start, stop, "slice")
    axes[outs[0]] = terms


def _range(terms: list[Term], axis: int, start: int, stop: int, reason: str) -> list[Term]:
    lengths = [length for length in (start, stop - start, size(terms[axis]) - stop) if length]
    return parts(terms, axis, lengths, reason)[1 if start else 0]


@rule("select")
def _select(axes: Axes, call: Call, outs: list[Tensor]) -> None:
    terms = list(axes[call["self"]])
    axis = call["dim"] % len(terms)
    index = call["index"] % size(terms[axis])
    if not is_open(terms[axis]):
        fix(terms[axis], "single index")
    elif size(terms[axis]) > 1:
        terms = _range(terms, axis, index, index + 1, "single index")
    del terms[axis]
    axes[outs[0]] = terms


@rule("unbind")
def _unbind(axes: Axes, call: Call, outs: list[Tensor]) -> None:
    for index, out in enumerate(outs):
        _select(axes, {**call, "index": index}, [out])


@rule("split", "split_with_sizes", "unsafe_split", "unsafe_split_with_sizes")
def _split(axes: Axes, call: Call, outs: list[Tensor]) -> None:
    terms, axis = axes[call["self"]], call["dim"] % outs[0].dim()
    for out, new in zip(outs, parts(terms, axis, [out.shape[axis] for out in outs], "split"), strict=True):
        axes[out] = new


@rule("glu")
def _glu(axes: Axes, call: Call, outs: list[Tensor]) -> None:
    terms = list(axes[call["self"]])
    axis = call["dim"] % len(terms)
    half, gate = segments(terms[axis], [outs[0].shape[axis]] * 2, "gated halves")
    unify(half, gate)
    terms[axis] = half
    axes[outs[0]] = terms


@rule("cat")
def _cat(axes: Axes, call: Call, outs: list[Tensor]) -> None:
    inputs = [axes[tensor] for tensor in call["tensors"] if tensor.numel()]
    axis = call["dim"] % len(inputs[0])
    for terms in inputs[1:]:
        for position, term in enumerate(terms):
            if position != axis:
                unify(inputs[0][position], term)
    terms = list(inputs[0])
    terms[axis] = concatenation([terms[axis] for terms in inputs])
    axes[outs[0]] = terms


def _is_free(stacked: Sequence[Term]) -> bool:
    """Say whether axes are not the same, and not all of them are fixed."""
    resolved = [resolve(term) for term in stacked]
    return len(set(resolved)) > 1 and not all(item.fixed for term in resolved for item in atoms(term))


@rule("stack")
def _stack(axes: Axes, call: Call, outs: list[Tensor]) -> None:
    inputs = [axes[tensor] for tensor in call["tensors"]]
    terms = list(inputs[0])
    differing = [axis for axis, stacked in enumerate(zip(*inputs, strict=True)) if _is_free(stacked)]
    index = atom(len(inputs), "stacked tensors")
    if len(differing) == 1:  # a concatenation along that axis, divided
        [axis] = differing
        whole = concatenation([other[axis] for other in inputs])
        index, terms[axis] = reshape([whole], (len(inputs), size(terms[axis])))
    for other in inputs[1:]:
        for axis, (a, b) in enumerate(zip(inputs[0], other, strict=True)):
            if differing != [axis]:
                unify(a, b)
    terms.insert(call["dim"] % outs[0].dim(), index)
    axes[outs[0]] = terms


@rule("constant_pad_nd")
def _pad(axes: Axes, call: Call, outs: list[Tensor]) -> None:
    terms, pad = list(axes[call["self"]]), call["pad"]
    for index in range(len(pad) // 2):
        axis, before, after = len(terms) - 1 - index, pad[2 * index], pad[2 * index + 1]
        before_cut, after_cut = max(0, -before), max(0, -after)
        if before_cut or after_cut:  # negative padding takes away
            stop = size(terms[axis]) - after_cut
            terms = _range(terms, axis, before_cut, stop, "negative padding")
        ends = [atom(length) if length > 0 else None for length in (before, after)]
        terms[axis] = concatenation([term for term in (ends[0], terms[axis], ends[1]) if term is not None])
    axes[outs[0]] = terms


@rule("roll", "flip", "cumprod", "cummax", "cummin", "logcumsumexp", "linalg_cross")
def positional(axes: Axes, call: Call, outs: list[Tensor]) -> None:
    """Fix the axes along which an operation depends on the order."""
    terms = list(axes[call["self"]])
    for axis in dims(call.get("dims", call.get("dim")), len(terms)):
        fix(terms[axis], "order matters")
        terms[axis] = atom(outs[0].shape[axis], "order matters")
    like(axes, outs, terms)


def dims(dim: int | Sequence[int] | None, rank: int) -> set[int]:
    """Return the axes that an argument names; all where it names none."""
    if dim is None or dim == []:
        return set(range(rank))
    return {axis % rank for axis in ([dim] if isinstance(dim, int) else dim)} if rank else set()


def reduce(axes: Axes, call: Call, outs: list[Tensor]) -> None:
    """Drop axes, or keep them with length 1."""
    terms = axes[call["self"]]
    along = dims(call.get("dim"), len(terms))
    keep = call.get("keepdim", False)
    like(axes, outs, [UNIT if axis in along else term for axis, term in enumerate(terms) if keep or axis not in along])


rule("mean", "sum", "prod", "amax", "amin", "var", "std", "var_mean", "std_mean", "logsumexp", "linalg_vector_norm")(
    reduce
)
rule("norm", "any", "all", "aminmax", "count_nonzero")(reduce)
