"""Small modules of the kinds that people bring: each with an example input and its groups, counted by hand."""

import types
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils import parametrizations, prune

Groups = list[tuple[int, int]]  # size and blocks of each
ATTENTION = [(3, 1), (12, 3), (12, 3)]


class Net(nn.Module):
    """Two layers, between which ``between`` does something."""

    def __init__(self, between: Callable[[Tensor], Tensor], units: int = 8, read: int | None = None) -> None:
        super().__init__()
        self.first, self.last = nn.Linear(4, units), nn.Linear(read or units, 3)
        self.between = between

    def forward(self, x: Tensor) -> Tensor:
        return self.last(self.between(self.first(x)))


class Adjacency(nn.Module):
    """A graph from the inner products of the embeddings of its nodes."""

    def __init__(self, cosine: bool = False) -> None:
        super().__init__()
        self.nodes = nn.Parameter(torch.randn(5, 4))
        self.first, self.last, self.cosine = nn.Linear(4, 8), nn.Linear(8, 3), cosine

    def forward(self, x: Tensor) -> Tensor:
        nodes = F.normalize(self.nodes, dim=1) if self.cosine else self.nodes
        return self.last((nodes @ nodes.t()).relu().softmax(1) @ self.first(x).relu()).mean(1)


class Object(nn.Module):
    """Its outputs lie in an object, next to other values."""

    @dataclass
    class Output:
        hidden: list[dict[str, Tensor]]
        name: str = "logits"
        loss: None = None

    def __init__(self, kind: str) -> None:
        super().__init__()
        self.first, self.last, self.kind = nn.Linear(4, 8), nn.Linear(8, 3), kind

    def forward(self, x: Tensor) -> Any:
        y = self.last(self.first(x).relu())
        return types.SimpleNamespace(logits=y, size=3) if self.kind == "namespace" else self.Output([{"y": y}])


class GroupedQuery(nn.Module):
    """Four query heads, two key heads."""

    def __init__(self, way: str) -> None:
        super().__init__()
        self.q, self.k, self.v, self.o = nn.Linear(6, 12), nn.Linear(6, 6), nn.Linear(6, 6), nn.Linear(12, 3)
        self.way = way

    def forward(self, x: Tensor) -> Tensor:
        q, k, v = (layer(x).view(*x.shape[:2], -1, 3).transpose(1, 2) for layer in (self.q, self.k, self.v))
        if self.way == "expand":
            k, v = (y[:, :, None].expand(-1, -1, 2, -1, -1).reshape(len(x), 4, -1, 3) for y in (k, v))
        elif self.way == "repeat":
            k, v = (y.repeat_interleave(2, dim=1) for y in (k, v))
        y = F.scaled_dot_product_attention(q, k, v, is_causal=True, enable_gqa=self.way == "enable_gqa")
        return self.o(y.transpose(1, 2).flatten(2))


class RMSNorm(nn.Module):
    """Computes in single precision, whatever it is given."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(width))

    def forward(self, x: Tensor) -> Tensor:
        y = x.float()
        return self.weight * (y * torch.rsqrt(y.pow(2).mean(-1, keepdim=True) + 1e-6)).to(x.dtype)


class Llama(nn.Module):
    """Rotary positions, grouped queries, gated units, norms in single precision, a mask that is built when needed."""

    def __init__(self, complex_rotation: bool = False) -> None:
        super().__init__()
        self.embedding = nn.Embedding(11, 16)
        self.register_buffer("frequencies", 1.0 / 100 ** (torch.arange(0, 4, 2) / 4), persistent=False)
        self.norms = nn.ModuleList(RMSNorm(16) for _ in range(3))
        self.q, self.k, self.v, self.o = (nn.Linear(16, n, bias=False) for n in (16, 8, 8, 16))
        self.gate, self.up, self.down = (nn.Linear(*n, bias=False) for n in ((16, 20), (16, 20), (20, 16)))
        self.head = nn.Linear(16, 11, bias=False)
        self.complex_rotation = complex_rotation

    def rotate(self, x: Tensor) -> Tensor:
        angles = torch.outer(torch.arange(x.shape[2]).float(), self.frequencies.float())
        if self.complex_rotation:
            turns = torch.polar(torch.ones_like(angles), angles)
            pairs = torch.view_as_complex(x.float().reshape(*x.shape[:-1], 2, 2))
            return torch.view_as_real(pairs * turns).flatten(-2).to(x.dtype)
        cos, sin = (turn.repeat(1, 2).to(x.dtype) for turn in (angles.cos(), angles.sin()))
        first, second = x[..., :2], x[..., 2:]
        return x * cos + torch.cat([-second, first], -1) * sin

    def forward(self, tokens: Tensor, mask: Tensor | None = None) -> Tensor:
        x = self.embedding(tokens)
        causal = torch.ones(tokens.shape[1], tokens.shape[1], dtype=torch.bool).tril()
        if mask is not None and not mask.all():
            causal = causal & mask[:, None, None].bool()
        y = self.norms[0](x)
        q, k, v = (layer(y).view(*x.shape[:2], -1, 4).transpose(1, 2) for layer in (self.q, self.k, self.v))
        y = F.scaled_dot_product_attention(self.rotate(q), self.rotate(k), v, attn_mask=causal, enable_gqa=True)
        x = x + self.o(y.transpose(1, 2).flatten(2))
        y = self.norms[1](x)
        x = x + self.down(F.silu(self.gate(y)) * self.up(y))
        return self.head(self.norms[2](x))


class GPT2(nn.Module):
    """Learned positions, packed projections, a mask in a buffer, the embedding as output layer."""

    def __init__(self) -> None:
        super().__init__()
        self.tokens, self.positions = nn.Embedding(11, 12), nn.Embedding(9, 12)
        self.register_buffer("mask", torch.ones(9, 9, dtype=torch.bool).tril().view(1, 1, 9, 9), persistent=False)
        self.norm1, self.norm2, self.norm3 = (nn.LayerNorm(12) for _ in range(3))
        self.qkv, self.out, self.up, self.down = (
            nn.Parameter(torch.randn(*shape) / 4) for shape in ((12, 36), (12, 12), (12, 20), (20, 12))
        )
        self.biases = nn.ParameterList(torch.zeros(n) for n in (36, 12, 20, 12))

    def forward(self, tokens: Tensor) -> dict[str, Any]:
        n, length = tokens.shape
        x = self.tokens(tokens) + self.positions(torch.arange(length))
        y = torch.addmm(self.biases[0], self.norm1(x).view(-1, 12), self.qkv).view(n, length, 36)
        q, k, v = (part.view(n, length, 3, 4).transpose(1, 2) for part in y.split(12, dim=2))
        scores = (q @ k.transpose(-1, -2) / 2).masked_fill(~self.mask[..., :length, :length], torch.finfo(x.dtype).min)
        y = (scores.softmax(-1) @ v).transpose(1, 2).reshape(-1, 12)
        x = x + torch.addmm(self.biases[1], y, self.out).view(n, length, 12)
        y = F.gelu(torch.addmm(self.biases[2], self.norm2(x).view(-1, 12), self.up), approximate="tanh")
        x = x + torch.addmm(self.biases[3], y, self.down).view(n, length, 12)
        return {"logits": F.linear(self.norm3(x), self.tokens.weight), "cache": None}


class T5(nn.Module):
    """An encoder and a decoder that share an embedding, with one bias of each head by relative position."""

    def __init__(self) -> None:
        super().__init__()
        self.embedding, self.bias = nn.Embedding(11, 12), nn.Embedding(4, 3)
        self.norms = nn.ModuleList(RMSNorm(12) for _ in range(4))
        self.encoder, self.decoder, self.cross = (
            nn.ModuleDict({name: nn.Linear(12, 12, bias=False) for name in "qkvo"}) for _ in range(3)
        )
        self.up, self.down = nn.Linear(12, 20, bias=False), nn.Linear(20, 12, bias=False)

    def attend(self, layers: nn.ModuleDict, x: Tensor, memory: Tensor, bias: Tensor | int) -> Tensor:
        q, k, v = (
            layers[name](y).unflatten(-1, (3, 4)).transpose(1, 2)
            for name, y in zip("qkv", (x, memory, memory), strict=True)
        )
        weights = (q @ k.transpose(-1, -2) + bias).float().softmax(-1).type_as(q)
        return layers["o"]((weights @ v).transpose(1, 2).flatten(2))

    def relative(self, length: int) -> Tensor:
        places = torch.arange(length)
        distance = (places[:, None] - places[None]).abs()
        far = 2 + (torch.log(distance.float().clamp(min=1)) / 1.5).long()
        buckets = torch.where(distance < 2, distance, far.clamp(max=3))
        return self.bias(buckets).permute(2, 0, 1)[None]

    def forward(self, input_ids: Tensor, decoder_input_ids: Tensor) -> Tensor:
        x = self.embedding(input_ids)
        x = x + self.attend(self.encoder, self.norms[0](x), self.norms[0](x), self.relative(x.shape[1]))
        x = self.norms[1](x)
        y = self.embedding(decoder_input_ids)
        y = y + self.attend(self.decoder, self.norms[2](y), self.norms[2](y), self.relative(y.shape[1]))
        y = y + self.attend(self.cross, y, x, 0)
        y = y + self.down(self.up(self.norms[3](y)).relu())
        return F.linear(y * 12**-0.5, self.embedding.weight)


class Recurrent(nn.Module):
    """A recurrent layer, and a layer that reads its last state."""

    def __init__(self, cell: type[nn.RNNBase], **options: Any) -> None:
        super().__init__()
        self.cell = cell(4, 6, batch_first=True, **options)
        self.head = nn.Linear(12 if self.cell.bidirectional else 6, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.cell(x)[0][:, -1])


class Packed(nn.Module):
    """A recurrent layer over sequences of different length, without their padding."""

    def __init__(self) -> None:
        super().__init__()
        self.cell, self.head = nn.LSTM(4, 6, batch_first=True), nn.Linear(6, 3)

    def forward(self, x: Tensor) -> Tensor:
        packed = nn.utils.rnn.pack_padded_sequence(x, torch.tensor([5, 3]), batch_first=True)
        padded, _ = nn.utils.rnn.pad_packed_sequence(self.cell(packed)[0], batch_first=True)
        return self.head(padded)


class Steps(nn.Module):
    """A recurrent cell, step by step."""

    def __init__(self, cell: type[nn.Module]) -> None:
        super().__init__()
        self.cell, self.head = cell(4, 6), nn.Linear(6, 3)

    def forward(self, x: Tensor) -> Tensor:
        state = None
        for step in range(x.shape[1]):
            state = self.cell(x[:, step], state)
        return self.head(state[0] if isinstance(state, tuple) else state)


class Bilinear(nn.Module):
    """Products of all pairs of units of two layers."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second, self.pairs = nn.Linear(4, 8), nn.Linear(4, 6), nn.Bilinear(8, 6, 5)
        self.last = nn.Linear(5, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.last(self.pairs(self.first(x), self.second(x)))


class Convolutions(nn.Module):
    """Two convolutions, between which ``between`` does something."""

    def __init__(self, between: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.first, self.last, self.between = nn.Conv2d(3, 8, 1), nn.Conv2d(8, 3, 1), between

    def forward(self, x: Tensor) -> Tensor:
        return self.last(self.between(self.first(x)))


class Switch(nn.Module):
    """Each token goes to its best expert, which a one-hot row selects."""

    def __init__(self) -> None:
        super().__init__()
        self.router, self.up, self.down = nn.Linear(8, 4), nn.Parameter(torch.randn(4, 8, 6)), nn.Linear(6, 3)

    def forward(self, x: Tensor) -> Tensor:
        chosen = F.one_hot(self.router(x).argmax(-1), num_classes=4).to(x.dtype)
        return self.down(torch.einsum("ne,nd,edf->nf", chosen, x, self.up).relu())


class Classify(nn.Module):
    """Takes the hidden values of one token of each sequence, where that token stands."""

    def __init__(self, way: str) -> None:
        super().__init__()
        self.embedding, self.hidden, self.head = nn.Embedding(11, 6), nn.Linear(6, 8), nn.Linear(8, 3)
        self.way = way

    def forward(self, tokens: Tensor) -> Tensor:
        y = self.hidden(self.embedding(tokens)).relu()
        place = (tokens == 10).int().argmax(-1)
        if self.way == "gather":
            return self.head(y.gather(1, place[:, None, None].expand(-1, 1, 8))[:, 0])
        return self.head(y[torch.arange(len(tokens)), place])


class Edges(nn.Module):
    """Sums messages over the edges of a graph."""

    def __init__(self, way: str) -> None:
        super().__init__()
        self.first, self.last, self.way = nn.Linear(4, 8), nn.Linear(8, 3), way

    def forward(self, x: Tensor, edges: Tensor) -> Tensor:
        y = self.first(x).relu()
        source, target = edges
        messages = y[source]
        total = torch.zeros_like(y)
        if self.way == "index_add":
            total = total.index_add(0, target, messages)
        elif self.way == "scatter_add":
            total = total.scatter_add(0, target[:, None].expand_as(messages), messages)
        else:
            total = total.index_put((target,), messages, accumulate=True)
        return self.last(total)


class Prototypes(nn.Module):
    """Distances to prototypes, which another layer reads."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.last = nn.Linear(4, 8), nn.Linear(5, 3)
        self.prototypes = nn.Parameter(torch.randn(5, 8))

    def forward(self, x: Tensor) -> Tensor:
        return self.last(torch.cdist(self.first(x), self.prototypes))


class Patches(nn.Module):
    """Patches of a feature map as rows, put together again."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.last = nn.Conv2d(3, 8, 1), nn.Conv2d(8, 3, 1)

    def forward(self, x: Tensor) -> Tensor:
        rows = F.unfold(self.first(x).relu(), 2, stride=2)
        return self.last(F.fold(rows, x.shape[-2:], 2, stride=2)).mean((2, 3))


class Frequencies(nn.Module):
    """A filter in frequency space, with complex parameters of its own for each channel."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.last = nn.Conv2d(3, 6, 1), nn.Conv2d(6, 2, 1)
        self.filter = nn.Parameter(torch.randn(6, 4, 3, dtype=torch.complex64))

    def forward(self, x: Tensor) -> Tensor:
        return self.last(torch.fft.irfft2(torch.fft.rfft2(self.first(x)) * self.filter, s=x.shape[-2:]))


class Experts(nn.Module):
    """A mixture of experts with stacked parameters; all of them see every token, or all but the best are ignored."""

    def __init__(self, best: int | None = None) -> None:
        super().__init__()
        self.router = nn.Linear(8, 4)
        self.up, self.down = nn.Parameter(torch.randn(4, 8, 12)), nn.Parameter(torch.randn(4, 12, 8))
        self.best = best

    def forward(self, x: Tensor) -> Tensor:
        weights = self.router(x).softmax(-1)
        if self.best is not None:
            values, chosen = weights.topk(self.best, dim=-1)
            weights = torch.zeros_like(weights).scatter(-1, chosen, values)
        y = torch.bmm(torch.bmm(x.expand(4, -1, -1), self.up).relu(), self.down)
        return torch.einsum("ne,end->nd", weights, y)


class Routed(Experts):
    """Sends each token to the best experts alone: rows in the order of the experts, or parameters looked up by row."""

    def __init__(self, way: str) -> None:
        super().__init__()
        self.way = way

    def forward(self, x: Tensor) -> Tensor:
        values, chosen = self.router(x).softmax(-1).topk(2, dim=-1)
        if self.way == "looked up":
            rows = chosen.flatten()
            y = torch.bmm(torch.bmm(x.repeat_interleave(2, 0)[:, None], self.up[rows]).relu(), self.down[rows])
            return (y.view(len(x), 2, 8) * values[..., None]).sum(1)
        sorted_experts, order = chosen.flatten().sort()
        ends = torch.histc(sorted_experts.float(), 4, 0, 3).cumsum(0, dtype=torch.int32)
        y = F.grouped_mm(x[order // 2].float(), self.up.float(), offs=ends).relu()
        y = F.grouped_mm(y, self.down.float(), offs=ends).to(x.dtype) * values.flatten()[order][:, None]
        back = torch.empty_like(order)
        back[order] = torch.arange(len(order))
        return y[back].view(len(x), 2, 8).sum(1)


class GatedExperts(nn.Module):
    """Experts as language models have them: gated, with biases that are looked up for rows in the order of experts."""

    def __init__(self) -> None:
        super().__init__()
        self.router = nn.Linear(8, 4)
        self.up, self.up_bias = nn.Parameter(torch.randn(4, 24, 8)), nn.Parameter(torch.randn(4, 24))
        self.down, self.down_bias = nn.Parameter(torch.randn(4, 8, 12)), nn.Parameter(torch.randn(4, 8))

    def forward(self, x: Tensor) -> Tensor:
        scores, chosen = self.router(x).topk(2, dim=-1)
        experts, order = chosen.reshape(-1).sort()
        ends = torch.bincount(experts, minlength=4).cumsum(0, dtype=torch.int32)

        def layer(rows: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
            return F.grouped_mm(rows.float(), weight.float().transpose(-2, -1), offs=ends).add_(bias.float()[experts])

        gate, value = layer(x[order // 2], self.up, self.up_bias).chunk(2, dim=-1)
        y = layer(F.silu(gate) * value, self.down, self.down_bias).to(x.dtype)
        y = y * scores.softmax(-1).reshape(-1)[order].unsqueeze(-1)
        back = torch.empty_like(order)
        back[order] = torch.arange(order.size(0))
        return y[back].view(len(x), 2, 8).sum(dim=1)


class Translated(nn.Module):
    """Scores pairs of rows of one table, which are looked up in two ways."""

    def __init__(self, size: int) -> None:
        super().__init__()
        self.table, self.size = nn.Parameter(torch.randn(9, 5)), size

    def forward(self, pairs: Tensor) -> Tensor:
        first, second = self.table[pairs[0]], self.table[pairs[1]]
        return (first * second).sum(-1) if self.size == 2 else first.square().sum(-1)


def pruned() -> nn.Module:
    model = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 3))
    for layer in (model[0], model[2]):
        prune.l1_unstructured(layer, "weight", amount=0.3)
    return model


def normalised(kind: str) -> nn.Module:
    layers = [nn.Linear(4, 8), nn.Linear(8, 6), nn.Linear(6, 3)]
    norm = {
        "weight": parametrizations.weight_norm,
        "old weight": torch.nn.utils.weight_norm,
        "spectral": parametrizations.spectral_norm,
        "old spectral": torch.nn.utils.spectral_norm,
    }[kind]
    return nn.Sequential(norm(layers[0]), nn.Tanh(), norm(layers[1]), nn.Tanh(), norm(layers[2]))


def lazy() -> nn.Module:
    model = nn.Sequential(nn.LazyLinear(8), nn.ReLU(), nn.LazyLinear(3))
    model(torch.randn(2, 4))
    return model


class Arguments(nn.Module):
    """Takes its input in a dict or a list, and other arguments."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.last = nn.Linear(4, 8), nn.Linear(8, 3)

    def forward(self, x: Any, scale: float | None = None) -> Tensor:
        x = x["x"] if isinstance(x, dict) else sum(x) if isinstance(x, list) else x
        return self.last(self.first(x).relu() * (1 if scale is None else scale))


def masked(y: Tensor) -> Tensor:
    keep = torch.ones(y.shape[:2], dtype=torch.bool)
    keep[1, 3:] = False
    return y.relu()[keep]


ROW, SEQUENCE, IMAGE = torch.randn(3, 4), torch.randn(2, 5, 4), torch.randn(2, 3, 4, 4)
WIDE = torch.randn(2, 5, 6)
TOKENS, EDGES = torch.tensor([[1, 2, 10, 4, 5], [7, 10, 9, 1, 2]]), torch.tensor([[0, 1, 2, 0], [1, 2, 0, 2]])
PADDING = torch.tensor([[1, 1, 1, 1, 1], [1, 1, 1, 0, 0]])
# In each head of Llama: queries and keys turn in pairs of positions that stay, values move.
LLAMA = [(2, 1), (4, 2), (8, 2), (16, 1), (20, 1)]

ZOO: dict[str, tuple[Callable[[], nn.Module], Any, Groups]] = {
    # of 3 × 8 units, those that are normalised together move within what is left, which moves too
    "softmax over blocks": (lambda: Net(lambda y: y.view(-1, 3, 8).softmax(1).flatten(1), 24), ROW, [(8, 1), (24, 8)]),
    "softmax in blocks": (lambda: Net(lambda y: y.view(-1, 3, 8).softmax(2).flatten(1), 24), ROW, [(3, 1), (24, 3)]),
    "log softmax": (lambda: Net(lambda y: y.view(-1, 3, 8).log_softmax(2).flatten(1), 24), ROW, [(3, 1), (24, 3)]),
    "norm in blocks": (
        lambda: Net(lambda y: F.normalize(y.view(-1, 3, 8), dim=2).flatten(1), 24),
        ROW,
        [(3, 1), (24, 3)],
    ),
    "adjacency": (Adjacency, torch.randn(2, 5, 4), [(4, 1), (8, 1)]),
    "cosines": (lambda: Adjacency(cosine=True), torch.randn(2, 5, 4), [(4, 1), (8, 1)]),
    "namespace": (lambda: Object("namespace"), ROW, [(8, 1)]),
    "dataclass": (lambda: Object("dataclass"), ROW, [(8, 1)]),
    # 2 key heads, 2 query heads in each, and within a key head 3 units of queries and keys, and 3 of values
    **{
        f"grouped queries, {way}": (lambda way=way: GroupedQuery(way), WIDE, [(2, 1), (4, 2), (6, 2), (6, 2)])
        for way in ("enable_gqa", "expand", "repeat")
    },
    "boolean mask": (lambda: Net(masked), SEQUENCE, [(8, 1)]),
    "empty slice": (lambda: Net(lambda y: torch.cat([y[:, :8].tanh(), y[:, 8:]], 1)), ROW, [(8, 1)]),
    "negative padding": (lambda: Net(lambda y: F.pad(y, (-2, -1)), 8, 5), ROW, [(2, 1), (5, 1)]),
    "chunks": (lambda: Net(lambda y: torch.ops.aten.unsafe_split(y, 4, 1)[0], 8, 4), ROW, [(4, 1), (4, 1)]),
    "dict": (Arguments, {"x": {"x": ROW}}, [(8, 1)]),
    "list and number": (Arguments, ([ROW, ROW.clone()], 0.5), [(8, 1)]),
    "none": (Arguments, (ROW, None), [(8, 1)]),
    "llama": (Llama, TOKENS, LLAMA),
    "llama, padded": (Llama, {"tokens": TOKENS, "mask": PADDING}, LLAMA),
    "llama, complex": (lambda: Llama(complex_rotation=True), TOKENS, LLAMA),
    "gpt2": (GPT2, TOKENS, [*ATTENTION, (12, 1), (20, 1)]),
    "t5": (
        T5,
        {"input_ids": TOKENS, "decoder_input_ids": TOKENS[:, :4]},
        # encoder and decoder share the biases of their heads, and so the order of these
        [(3, 1), (3, 1), *[(12, 3)] * 6, (12, 1), (20, 1)],
    ),
    "lstm": (lambda: Recurrent(nn.LSTM), SEQUENCE, [(6, 1)]),
    "lstm, two ways": (lambda: Recurrent(nn.LSTM, bidirectional=True, num_layers=2), SEQUENCE, [(6, 1)] * 4),
    "gru": (lambda: Recurrent(nn.GRU, num_layers=2), SEQUENCE, [(6, 1)] * 2),
    "rnn": (lambda: Recurrent(nn.RNN), SEQUENCE, [(6, 1)]),
    "lstm, packed": (Packed, SEQUENCE, [(6, 1)]),
    "lstm cell": (lambda: Steps(nn.LSTMCell), SEQUENCE, [(6, 1)]),
    "gru cell": (lambda: Steps(nn.GRUCell), SEQUENCE, [(6, 1)]),
    "bilinear": (Bilinear, ROW, [(5, 1), (6, 1), (8, 1)]),
    "bag": (lambda: nn.Sequential(nn.EmbeddingBag(11, 6), nn.Linear(6, 3)), TOKENS, [(6, 1)]),
    "unpooled": (
        lambda: Convolutions(lambda y: F.max_unpool2d(*F.max_pool2d(y, 2, return_indices=True), 2)),
        IMAGE,
        [(8, 1)],
    ),
    "a fixed number of images": (
        lambda: Convolutions(lambda y: F.grid_sample(y, torch.zeros(2, 3, 3, 2).to(y), align_corners=False)),
        IMAGE,
        [(8, 1)],
    ),
    "resized": (
        lambda: Convolutions(lambda y: F.interpolate(y, (5, 5), mode="bicubic", antialias=True)),
        IMAGE,
        [(8, 1)],
    ),
    "neighbours": (lambda: Net(lambda y: y[:, 1:] * y[:, :-1], 800, 799), ROW, []),
    "largest units": (lambda: Net(lambda y: y * (y >= y.topk(3, 1)[0][:, -1:])), ROW, [(8, 1)]),
    "sorted units": (lambda: Net(lambda y: y.sort(1)[0]), ROW, [(8, 1)]),
    "gather": (lambda: Classify("gather"), TOKENS, [(6, 1), (8, 1)]),
    "index": (lambda: Classify("index"), TOKENS, [(6, 1), (8, 1)]),
    **{way: (lambda way=way: Edges(way), (ROW, EDGES), [(8, 1)]) for way in ("index_add", "scatter_add", "index_put")},
    "prototypes": (Prototypes, ROW, [(5, 1), (8, 1)]),
    "patches": (Patches, IMAGE, [(8, 1)]),
    "frequencies": (Frequencies, IMAGE, [(6, 1)]),
    "experts": (Experts, torch.randn(7, 8), [(4, 1), (48, 4)]),
    "best experts": (lambda: Experts(2), torch.randn(7, 8), [(4, 1), (48, 4)]),
    # the experts keep their order where rows are sorted by it; the units of each move by themselves
    "grouped experts": (lambda: Routed("grouped"), torch.randn(7, 8), [(4, 1), (48, 4)]),
    "gated experts": (GatedExperts, torch.randn(7, 8), [(4, 1), (48, 4)]),
    "looked up experts": (lambda: Routed("looked up"), torch.randn(7, 8), [(4, 1), (48, 4)]),
    # the order of the experts is that of the router's rows; one unit serves all tokens, whichever expert made it
    "switch": (Switch, torch.randn(7, 8), [(4, 1), (6, 1)]),
    # two rows that are compared have one order; where a row is only compared with itself, it has its own
    "pairs of rows": (lambda: Translated(2), torch.tensor([[1, 2, 3], [4, 5, 1]]), [(5, 1)]),
    "rows": (lambda: Translated(1), torch.tensor([[1, 2, 3], [4, 5, 1]]), [(45, 9)]),
    "pruned": (pruned, ROW, [(8, 1)]),
    **{
        f"{kind} norm": (lambda kind=kind: normalised(kind), ROW, [(6, 1), (8, 1)])
        for kind in ("weight", "old weight", "spectral", "old spectral")
    },
    "lazy": (lazy, ROW, [(8, 1)]),
    "graph": (
        lambda: torch.fx.symbolic_trace(nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 3))),
        ROW,
        [(8, 1)],
    ),
    "parallel": (lambda: nn.DataParallel(nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 3))), ROW, [(8, 1)]),
}
