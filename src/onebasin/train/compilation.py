"""Fused kernels of a training step, by torch.compile."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from onebasin.train.settings import TrainingError


def options(device: torch.device) -> dict[str, str | int | bool | Callable[..., Any]]:
    """What `torch.compile` is asked for."""
    return {
        # Nothing that shapes a number is chosen by its measured time.
        "deterministic": True,
        # Kernels are kept on disk for later processes, and those for another number of threads are wrong ones.
        "cpp.threads": torch.get_num_threads(),
        # Python between kernels, and a product apart from its sum, take narrow networks a few hundredths of a step.
        "cpp_wrapper": device.type == "cpu",
        "cpp.enable_floating_point_contract_flag": "fast",
        # Narrow networks wait for the launches of their kernels more than for the kernels.
        "triton.cudagraphs": device.type == "cuda",
    }


def compiled(model: nn.Module, device: torch.device) -> Callable[[Tensor], Tensor]:
    """Make the network's fused kernels at its first call, with gradients; it goes on sharing its parameters."""
    from torch._dynamo.exc import TorchDynamoException

    warnings.filterwarnings("ignore", "CUTLASS backend", UserWarning)  # said on CPUs too, which have none
    # Otherwise what was compiled before in this process would count towards a limit, above which nothing is.
    torch.compiler.reset()
    fused = torch.compile(model, dynamic=False, options=options(device))

    def forward(images: Tensor) -> Tensor:
        try:
            return fused(images)
        except TorchDynamoException as error:
            reason = str(error).strip().partition("\n")[0]
            raise TrainingError(f"torch.compile fails, so that compile must be false here: {reason}") from error

    return forward
