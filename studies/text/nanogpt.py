"""A small GPT, for `factory: "nanogpt:build"`: which byte comes next, at every position of a text."""

import torch
from torch import Tensor, nn
from torch.nn import functional


class Attention(nn.Module):
    """Each position looks at those before it, and at itself."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.query, self.key, self.value = nn.Linear(width, width), nn.Linear(width, width), nn.Linear(width, width)
        self.out = nn.Linear(width, width)

    def forward(self, x: Tensor) -> Tensor:
        """Map x [n, positions, width] to its like."""
        queries, keys, values = (
            layer(x).unflatten(2, (self.heads, -1)).transpose(1, 2) for layer in (self.query, self.key, self.value)
        )
        attended = functional.scaled_dot_product_attention(queries, keys, values, is_causal=True)
        return self.out(attended.transpose(1, 2).flatten(2))


class Block(nn.Module):
    """Attention and two linear layers, each behind a norm, added to the residual stream."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.norm1, self.attention = nn.LayerNorm(width), Attention(width, heads)
        self.norm2 = nn.LayerNorm(width)
        self.wide, self.narrow = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)

    def forward(self, x: Tensor) -> Tensor:
        """Map x [n, positions, width] to its like."""
        x = x + self.attention(self.norm1(x))
        return x + self.narrow(functional.gelu(self.wide(self.norm2(x))))


class GPT(nn.Module):
    """Embeddings of bytes and of their positions, blocks, and a head that shares nothing with the embeddings."""

    def __init__(self, width: int, context: int, classes: int, layers: int, heads: int) -> None:
        super().__init__()
        self.tokens, self.positions = nn.Embedding(classes, width), nn.Parameter(torch.empty(context, width))
        self.blocks = nn.Sequential(*[Block(width, heads) for _ in range(layers)])
        self.norm, self.head = nn.LayerNorm(width), nn.Linear(width, classes)
        for name, parameter in self.named_parameters():
            if parameter.dim() > 1:
                # What is added to the residual stream shrinks with the number of additions, as in GPT-2.
                adds = name.endswith(("out.weight", "narrow.weight"))
                nn.init.normal_(parameter, std=0.02 / (2 * layers) ** 0.5 if adds else 0.02)
            elif name.endswith("bias"):
                nn.init.zeros_(parameter)

    def forward(self, x: Tensor) -> Tensor:
        """Map bytes int64 [n, positions] to logits [n, classes, positions]."""
        return self.head(self.norm(self.blocks(self.tokens(x) + self.positions))).mT


def build(width: int, context: int, classes: int, layers: int = 2, heads: int = 4) -> nn.Module:
    """Build the network; layers and heads are options of the study, and the width must be a multiple of the heads."""
    return GPT(width, context, classes, layers, heads)
