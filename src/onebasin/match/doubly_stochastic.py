"""Doubly stochastic matrices from logits, as Sinkhorn and Knopp (1967) scale them, with the exact gradient."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

FLOOR = -60.0  # of logits below the largest of their row: smaller entries do not change a sum in single precision


def balance(logits: Tensor, iterations: int = 20) -> Tensor:
    """Return exp(logits) with rows and columns scaled so that all of them sum to one.

    The gradient is that of the limit, from a linear system that the same kind of iteration solves, so that nothing is
    kept of the iterations (Luise et al. 2018, arXiv 1805.11897; Eisenberger et al. 2022, arXiv 2205.06688).

    Args:
        logits: [..., units, units].
        iterations: scalings of rows and columns, and steps of the solution of the system.
    """
    return _Balanced.apply(logits, iterations)


class _Balanced(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, logits: Tensor, iterations: int) -> Tensor:
        kernel = (logits - logits.amax(-1, keepdim=True)).clamp_(min=FLOOR).exp_()
        columns = torch.ones_like(kernel[..., :1])
        for _ in range(iterations):
            rows = 1 / (kernel @ columns)
            columns = 1 / (kernel.mT @ rows)
        rows = 1 / (kernel @ columns)
        matrix = kernel.mul_(rows).mul_(columns.mT)
        ctx.save_for_backward(matrix)
        ctx.iterations = iterations
        return matrix

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        (matrix,) = ctx.saved_tensors
        weighted = matrix * gradient
        by_row, by_column = weighted.sum(-1, keepdim=True), weighted.sum(-2).unsqueeze(-1)
        column = torch.zeros_like(by_column)
        for _ in range(ctx.iterations):
            row = by_row - matrix @ column
            column = by_column - matrix.mT @ row
        row = by_row - matrix @ column
        return weighted.sub_(matrix * row).sub_(matrix * column.mT), None
