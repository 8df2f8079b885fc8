"""What signals, recurrent layers, distances and normalised weights do to axes."""

from __future__ import annotations

from torch import Tensor

from onebasin.symmetry.axes import UNIT, Term, atom, fix, product, size, unify
from onebasin.symmetry.layer_rules import halves
from onebasin.symmetry.reshapes import segments
from onebasin.symmetry.rules import Axes, Call, dims, rule


@rule("im2col")
def _patches(axes: Axes, call: Call, outs: list[Tensor]) -> None:
    *batch, channels, height, width = axes[call["self"]]
    for term in (height, width):
        fix(term, "position in space")
    inside = atom(outs[0].shape[-2] // size(channels), "position in space")
    axes[outs[0]] = [*batch, product((channels, inside)), atom(outs[0].shape[-1], "position in space")]


@rule("col2im")
def _from_patches(axes: Axes, call: Call, outs: list[Tensor]) -> None:
    *batch, rows, places = axes[call["self"]]
    channels, inside = halves(rows, outs[0].shape[-3])
    for term in (inside, places):
        fix(term, "position in space")
    axes[outs[0]] = [*batch, channels, *(atom(length, "position in space") for length in outs[0].shape[-2:])]


@rule("unfold")
def _windows(axes: Axes, call: Call, outs: list[Tensor]) -> None:
    terms = list(axes[call["self"]])
    axis = call["dimension"] % len(terms)
    fix(terms[axis], "position in space")
    terms[axis] = atom(outs[0].shape[axis], "position in space")
    axes[outs[0]] = [*terms, atom(call["size"], "position in space")]


@rule("grid_sampler_2d", "grid_sampler_3d", "cudnn_grid_sampler")
def _sample(axes: Axes, call: Call, outs: list[Tensor]) -> None:
    batch, channels, *space = axes[call["input"] if "input" in call else call["self"]]
    other, *grid = axes[call["grid"]]
    unify(batch, other)
    for term in (*space, *grid):
        fix(term, "position in space")
    axes[outs[0]] = [batch, channels, *grid[:-1]]


@rule("_cdist_forward", "cdist", "_euclidean_dist")
def _distances(axes: Axes, call: Call, outs: list[Tensor]) -> None:
    first, second = axes[call["x1"]], axes[call["x2"]]
    for a, b in zip(reversed(first[:-2]), reversed(second[:-2]), strict=False):
        if 1 not in (size(a), size(b)):
            unify(a, b)
    unify(first[-1], second[-1])
    batch = [atom(length) for length in outs[0].shape[:-2]]
    for terms in (first, second):
        for index, term in enumerate(reversed(terms[:-2])):
            if size(term) == outs[0].shape[-3 - index]:
                batch[-1 - index] = term
    axes.note([*batch, first[-2], second[-2], first[-1]])
    axes[outs[0]] = [*batch, first[-2], second[-2]]


@rule("view_as_complex")
def _complex(axes: Axes, call: Call, outs: list[Tensor]) -> None:
    *terms, parts = axes[call["self"]]
    fix(parts, "real and imaginary part")
    axes[outs[0]] = terms


@rule("view_as_real")
def _real(axes: Axes, call: Call, outs: list[Tensor]) -> None:
    axes[outs[0]] = [*axes[call["self"]], atom(2, "real and imaginary part")]


@rule("_fft_r2c", "_fft_c2r", "_fft_c2c")
def _fourier(axes: Axes, call: Call, outs: list[Tensor]) -> None:
    terms = list(axes[call["self"]])
    for axis in dims(call["dim"], len(terms)):
        fix(terms[axis], "Fourier transform")
        terms[axis] = atom(outs[0].shape[axis], "Fourier transform")
    axes[outs[0]] = terms


@rule("_weight_norm_interface", "_weight_norm")
def _weight_norm(axes: Axes, call: Call, outs: list[Tensor]) -> None:
    direction, length = axes[call["v"]], axes[call["g"]]
    for first, second in zip(direction, length, strict=True):
        if size(second) > 1:
            unify(first, second)
    axes[outs[0]] = direction
    for norm in outs[1:]:
        axes[norm] = [term for term in length if size(term) > 1] if norm.dim() < len(length) else length


@rule("_trilinear")
def _trilinear(axes: Axes, call: Call, outs: list[Tensor]) -> None:
    operands = []
    for number in (1, 2, 3):
        terms = list(axes[call[f"i{number}"]])
        for dim in sorted(call[f"expand{number}"]):
            terms.insert(dim, UNIT)
        operands.append(terms)
    products = []
    for together in zip(*operands, strict=True):
        long = [term for term in together if size(term) > 1]
        for other in long[1:]:
            unify(long[0], other)
        products.append(long[0] if long else UNIT)
    axes.note(products)
    axes[outs[0]] = [term for dim, term in enumerate(products) if dim not in call["sumdim"]]


@rule("max_unpool2d", "max_unpool3d")
def _unpool(axes: Axes, call: Call, outs: list[Tensor]) -> None:
    terms, places = axes[call["self"]], axes[call["indices"]]
    for axis, (term, place) in enumerate(zip(terms, places, strict=True)):
        unify(term, place)
        if axis > 1:
            fix(term, "position in space")
    axes[outs[0]] = [*terms[:2], *(atom(length, "position in space") for length in outs[0].shape[2:])]


@rule("_embedding_bag", "_embedding_bag_forward_only")
def _embedding_bag(axes: Axes, call: Call, outs: list[Tensor]) -> None:
    table, width = axes[call["weight"]]
    fix(table, "rows are looked up")
    axes[outs[0]] = [atom(outs[0].shape[0], "rows are looked up"), width]


@rule("_pack_padded_sequence")
def _pack(axes: Axes, call: Call, outs: list[Tensor]) -> None:
    *places, features = axes[call["input"]]
    for term in places:
        fix(term, "position in a sequence")
    axes[outs[0]] = [atom(outs[0].shape[0], "position in a sequence"), features]


@rule("_pad_packed_sequence")
def _pad_packed(axes: Axes, call: Call, outs: list[Tensor]) -> None:
    places, features = axes[call["data"]]
    fix(places, "position in a sequence")
    axes[outs[0]] = [*(atom(length, "position in a sequence") for length in outs[0].shape[:2]), features]


@rule("as_strided")
def _strided(axes: Axes, call: Call, outs: list[Tensor]) -> None:
    for term in axes[call["self"]]:
        fix(term, "strided view")
    axes[outs[0]] = [atom(length, "strided view") for length in outs[0].shape]


@rule("diagonal", "diag_embed", "trace", "linalg_inv_ex", "linalg_cholesky_ex", "linalg_matrix_exp", "linalg_qr")
def _matrix(axes: Axes, call: Call, outs: list[Tensor]) -> None:
    for tensor in (call.get("self"), call.get("A")):
        if tensor is not None:
            for term in axes[tensor]:
                fix(term, "axes of a matrix")
    for out in outs:
        axes[out] = [atom(length, "axes of a matrix") for length in out.shape]


@rule("bucketize", "searchsorted")
def _buckets(axes: Axes, call: Call, outs: list[Tensor]) -> None:
    ordered, values = ("boundaries", "self") if "boundaries" in call else ("sorted_sequence", "self")
    for term in axes[call[ordered]]:
        fix(term, "order matters")
    axes[outs[0]] = axes[call[values]]


@rule("mkldnn_rnn_layer")
def _long_short_term_memory(axes: Axes, call: Call, outs: list[Tensor]) -> None:
    steps, batch, features = axes[call["input"]]
    fix(steps, "order matters")
    units: Term = atom(call["hidden_size"])
    for name, reads in (("weight0", features), ("weight1", units)):
        gates, inputs = axes[call[name]]
        unify(inputs, reads)
        _gates(gates, units)
    for name in ("weight2", "weight3"):
        if call["has_biases"]:
            _gates(axes[call[name]][0], units)
    for name in ("hx_", "cx_"):
        unify(axes[call[name]][-1], units)
        unify(axes[call[name]][-2], batch)
    axes[outs[0]] = [steps, batch, units]
    for out in outs[1:3]:
        axes[out] = [*(atom(length) for length in out.shape[:-2]), batch, units]


def _gates(term: Term, units: Term) -> None:
    for gate in segments(term, [size(units)] * (size(term) // size(units)), "gates"):
        unify(gate, units)
