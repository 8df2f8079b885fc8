"""Adam (Kingma and Ba 2015) in one fused operation; ``torch.optim`` imports a compiler, which costs seconds."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor


def adam_step(
    values: Sequence[Tensor],
    gradients: Sequence[Tensor],
    moments: Sequence[Sequence[Tensor]],
    count: Tensor,
    lr: float,
    weight_decay: float = 0.0,
) -> None:
    """Update tensors, and their moments, in place.

    Args:
        values: the tensors.
        gradients: of each of them.
        moments: the first moments of all tensors, and the second ones.
        count: number of this step, from 1, a tensor without axes on the same device.
        lr: learning rate.
        weight_decay: L2 penalty added to the gradient.
    """
    torch.ops.aten._fused_adam_(
        list(values),
        list(gradients),
        list(moments[0]),
        list(moments[1]),
        [],
        [count] * len(values),
        lr=lr,
        beta1=0.9,
        beta2=0.999,
        weight_decay=weight_decay,
        eps=1e-8,
        amsgrad=False,
        maximize=False,
    )
