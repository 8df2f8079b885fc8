"""What the operations of layers do to axes: matrix products, convolutions, pooling, norms, attention."""

from __future__ import annotations

import torch
from torch import Tensor

from onebasin.symmetry.axes import Term, atom, factor, fix, product, size, unify
from onebasin.symmetry.reshapes import reshape
from onebasin.symmetry.rules import RULES, Axes, Call, Rule, pair, pointwise, rule


@rule("mm", "bmm")
def _matmul(axes: Axes, call: Call, outs: list[Tensor]) -> None:
    first, second = axes[call["self"]], axes[call["mat2"]]
    pair(first[:-2], second[:-2])
    unify(first[-1], second[-2])
    axes.note([*first, second[-1]])  # the products that are summed, by the axes of both
    axes[outs[0]] = [*first[:-1], second[-1]]


@rule("addmm", "baddbmm", "_sparse_addmm")
def _add_matmul(axes: Axes, call: Call, outs: list[Tensor]) -> None:
    names = ("mat1", "mat2") if "mat1" in call else ("batch1", "batch2")
    _matmul(axes, {"self": call[names[0]], "mat2": call[names[1]]}, outs)
    pointwise(axes, {"self": call["self"], "other": outs[0]}, outs)


@rule("mv", "dot", "vdot")
def _vector(axes: Axes, call: Call, outs: list[Tensor]) -> None:
    names = [name for name in ("vec", "tensor", "other") if name in call]
    first, second = axes[call["self"]], axes[call[names[0]]]
    unify(first[-1], second[0])
    axes.note(first)
    axes[outs[0]] = first[:-1]


@rule("linear")
def _linear(axes: Axes, call: Call, outs: list[Tensor]) -> None:
    terms, (units, inputs) = axes[call["input"]], axes[call["weight"]]
    unify(terms[-1], inputs)
    if call.get("bias") is not None:
        unify(units, axes[call["bias"]][0])
    axes.note([*terms, units])
    axes[outs[0]] = [*terms[:-1], units]


@rule("convolution")
def _convolution(axes: Axes, call: Call, outs: list[Tensor]) -> None:
    batch, channels, *space = axes[call["input"]]
    weight, groups = axes[call["weight"]], call["groups"]
    for term in (*space, *weight[2:]):
        fix(term, "position in space")
    inputs, units = (weight[0], weight[1]) if call["transposed"] else (weight[1], weight[0])
    if groups > 1:
        # The side of the weight that lists all channels is split into groups; the other has the channels of one group.
        listed = halves(units if not call["transposed"] else inputs, groups)
        source = halves(channels, groups)
        unify(source[0], listed[0])
        if call["transposed"]:
            unify(source[1], listed[1])
            units = product((listed[0], units))
        else:
            unify(source[1], inputs)
    else:
        unify(channels, inputs)
    if call.get("bias") is not None:
        unify(units, axes[call["bias"]][0])
    axes[outs[0]] = [batch, units, *(atom(length, "position in space") for length in outs[0].shape[2:])]


@rule("channel_shuffle", "native_channel_shuffle")
def _channel_shuffle(axes: Axes, call: Call, outs: list[Tensor]) -> None:
    batch, channels, *space = axes[call["self"]]
    blocks, inside = reshape([channels], [call["groups"], size(channels) // call["groups"]])
    axes[outs[0]] = [batch, *reshape([inside, blocks], [size(channels)]), *space]


@rule("pixel_shuffle", "pixel_unshuffle")
def _pixel_shuffle(axes: Axes, call: Call, outs: list[Tensor]) -> None:
    *batch, channels, height, width = axes[call["self"]]
    for term in (height, width):
        fix(term, "position in space")
    count, *space = outs[0].shape[-3:]
    if count < size(channels):
        channels, inside = halves(channels, count)
        fix(inside, "position in space")
    else:
        channels = product((channels, atom(count // size(channels), "position in space")))
    axes[outs[0]] = [*batch, channels, *(atom(length, "position in space") for length in space)]


def halves(term: Term, groups: int) -> tuple[Term, Term]:
    """Split an axis into the axis over groups and the axis within one; where units would be torn it is fixed."""
    pieces = factor(term, groups)
    if pieces is None:
        fix(term, "groups that cut across units")
        return atom(groups, "groups that cut across units"), atom(size(term) // groups, "groups that cut across units")
    return pieces


def _spatial(rank: int) -> Rule:
    def follow(axes: Axes, call: Call, outs: list[Tensor]) -> None:
        terms = axes[call["self"]]
        for term in terms[-rank:]:
            fix(term, "position in space")
        for out in outs:
            axes[out] = [*terms[:-rank], *(atom(length, "position in space") for length in out.shape[-rank:])]

    return follow


for _rank in (1, 2, 3):
    for _pool in (
        "max_pool{}d_with_indices",
        "max_pool{}d",
        "avg_pool{}d",
        "_adaptive_avg_pool{}d",
        "adaptive_avg_pool{}d",
    ):
        RULES[_pool.format(_rank)] = _spatial(_rank)
    RULES[f"adaptive_max_pool{_rank}d"] = _spatial(_rank)
    for _kind in ("upsample_nearest{}d", "_upsample_nearest_exact{}d"):
        RULES[_kind.format(_rank)] = _spatial(_rank)
for _name in (
    "upsample_trilinear3d",
    "reflection_pad3d",
    "replication_pad3d",
):
    RULES[_name] = _spatial(3)
for _name in ("upsample_linear1d", "reflection_pad1d", "replication_pad1d"):
    RULES[_name] = _spatial(1)
for _name in (
    "tril",
    "triu",
    "upsample_bilinear2d",
    "upsample_bicubic2d",
    "_upsample_bilinear2d_aa",
    "_upsample_bicubic2d_aa",
    "reflection_pad2d",
    "replication_pad2d",
):
    RULES[_name] = _spatial(2)


@rule(
    "native_batch_norm",
    "cudnn_batch_norm",
    "_native_batch_norm_legit",
    "_native_batch_norm_legit_no_training",
    "_batch_norm_with_update",
    "_batch_norm_no_update",
    "miopen_batch_norm",
)
def _batch_norm(axes: Axes, call: Call, outs: list[Tensor]) -> None:
    terms = axes[call["input"]]
    for name in ("weight", "bias", "running_mean", "running_var"):
        if torch.is_tensor(call.get(name)):
            unify(terms[1], axes[call[name]][0])
    axes.note([terms[1]])
    axes[outs[0]] = terms


@rule("native_layer_norm", "_fused_rms_norm", "rms_norm")
def _layer_norm(axes: Axes, call: Call, outs: list[Tensor]) -> None:
    terms, rank = axes[call["input"]], len(call["normalized_shape"])
    for name in ("weight", "bias"):
        if torch.is_tensor(call.get(name)):
            pair(terms[-rank:], axes[call[name]])
    axes.note(terms[:-rank])
    axes[outs[0]] = terms


@rule("native_group_norm")
def _group_norm(axes: Axes, call: Call, outs: list[Tensor]) -> None:
    terms = axes[call["input"]]
    for name in ("weight", "bias"):
        if torch.is_tensor(call.get(name)):
            unify(terms[1], axes[call[name]][0])
    axes.note([terms[0], halves(terms[1], call["group"])[0]])
    axes[outs[0]] = terms


@rule(
    "_scaled_dot_product_flash_attention_for_cpu",
    "_scaled_dot_product_flash_attention",
    "_scaled_dot_product_efficient_attention",
    "_scaled_dot_product_cudnn_attention",
    "_scaled_dot_product_fused_attention_overrideable",
    "_scaled_dot_product_attention_math",
    "_scaled_dot_product_attention_math_for_mps",
)
def _attention(axes: Axes, call: Call, outs: list[Tensor]) -> None:
    query, key, value = (axes[call[name]] for name in ("query", "key", "value"))
    if call.get("is_causal"):
        fix(query[-2], "causal attention")
        fix(key[-2], "causal attention")
    heads = _shared_heads(query[:-2], key[:-2], value[:-2])
    unify(query[-1], key[-1])
    unify(key[-2], value[-2])
    mask = call.get("attn_mask", call.get("attn_bias"))
    scores = [*heads, query[-2], key[-2]]
    if torch.is_tensor(mask):
        for term, other in zip(reversed(scores), reversed(axes[mask]), strict=False):
            if size(other) > 1:
                unify(term, other)
    for inner in (query[-1], value[-1]):  # the products that are summed, and the normaliser
        axes.note([*scores, inner])
    axes.note([*heads, query[-2]])
    axes[outs[0]] = [*heads, query[-2], value[-1]]


def _shared_heads(query: list[Term], key: list[Term], value: list[Term]) -> list[Term]:
    """Pair the axes of queries with those of keys and values, of which each head may serve several query heads."""
    heads = []
    for asking, *others in zip(query, key, value, strict=True):
        for other in others:
            if size(asking) == size(other):
                unify(asking, other)
            elif size(other) > 1:
                unify(halves(asking, size(other))[0], other)
        heads.append(asking)
    return heads
