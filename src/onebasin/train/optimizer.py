"""SGD and Adam in one fused operation per group of parameters; pruned and fixed entries stay as they are."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from onebasin.adam import adam_step
from onebasin.models import asymmetric
from onebasin.train.settings import Settings


class Optimizer:
    """SGD or Adam (Kingma and Ba 2015) as `torch.optim` has them, in one fused operation per group of parameters.

    `torch.optim` itself imports torch._dynamo, which costs every process a second. A weight that the mask prunes is 0
    after every step, and an entry that an asymmetric model holds has its fixed value; other entries do not notice.
    """

    def __init__(self, model: nn.Module, settings: Settings, mask: Mapping[str, Tensor]) -> None:
        self.settings = settings
        self.state: dict[str, Tensor] = {}
        self.count = torch.zeros((), device=next(model.parameters()).device)
        free = set()
        if not settings.decay_norm_and_bias:
            for prefix, module in model.named_modules():
                for name, _ in module.named_parameters(recurse=False):
                    if not (isinstance(module, nn.Linear | nn.Conv2d) and name == "weight"):
                        free.add(f"{prefix}.{name}" if prefix else name)
        trained = {name: parameter for name, parameter in model.named_parameters() if parameter.requires_grad}
        # Which entries are trained, and the values of the others: fixed ones, and 0 where they are pruned.
        held = {name: (~places, values) for name, (places, values) in asymmetric.fixed(model).items()}
        for name, kept in mask.items():
            if name not in trained or trained[name].shape != kept.shape:
                raise ValueError(f"the mask does not fit the network: {name!r} has another shape, or is missing")
            moved, values = held.get(name, (kept, torch.zeros(())))
            held[name] = moved & kept, values.where(kept, 0.0)
        self.held = [
            (trained[name].detach(), moved.to(self.count.device), values.to(trained[name]))
            for name, (moved, values) in held.items()
        ]
        self._hold()
        decayed = [name for name in trained if name not in free]
        self.groups = [
            self._group({name: trained[name] for name in names}, weight_decay)
            for names, weight_decay in ((decayed, settings.weight_decay), (sorted(free & trained.keys()), 0.0))
            if names
        ]
        if settings.optimizer == "adam":
            self.state["count"] = self.count

    def _group(
        self, trained: dict[str, nn.Parameter], weight_decay: float
    ) -> tuple[list[nn.Parameter], list[list[Tensor]], float]:
        moments = {"adam": 2, "sgd": 1 if self.settings.momentum else 0}[self.settings.optimizer]
        buffers = []
        for moment in range(1, moments + 1):
            zeros = {f"moment{moment}/{name}": torch.zeros_like(p.detach()) for name, p in trained.items()}
            self.state |= zeros
            buffers.append(list(zeros.values()))
        return list(trained.values()), buffers, weight_decay

    def remember(self, memory: Mapping[str, Tensor]) -> None:
        """Take over what an optimiser of the same settings and parameters remembered, its ``state``.

        Raises:
            ValueError: if it is of another network, or of other settings.
        """
        shapes = [{name: tensor.shape for name, tensor in state.items()} for state in (self.state, memory)]
        if shapes[0] != shapes[1]:
            raise ValueError("the memory does not fit the optimiser: it is of another network, or of other settings")
        for name, tensor in self.state.items():
            tensor.copy_(memory[name])

    def step(self, lr: float) -> None:
        """Update the parameters by their gradients, which are then dropped."""
        self.count.add_(1)
        for parameters, buffers, weight_decay in self.groups:
            values = [parameter.detach() for parameter in parameters]
            # A parameter that the network does not use has none: only weight decay moves it.
            gradients = [torch.zeros_like(p) if p.grad is None else p.grad for p in parameters]
            if self.settings.optimizer == "adam":
                adam_step(values, gradients, buffers, self.count, lr, weight_decay)
            else:
                torch.ops.aten._fused_sgd_(
                    values,
                    gradients,
                    buffers[0] if buffers else [],
                    weight_decay=weight_decay,
                    momentum=self.settings.momentum,
                    lr=lr,
                    dampening=0.0,
                    nesterov=self.settings.nesterov,
                    maximize=False,
                    # The buffers start at 0, from which the general rule gives the first step.
                    is_first_step=False,
                )
            for parameter in parameters:
                parameter.grad = None
        self._hold()

    def _hold(self) -> None:
        """Give the entries that are not trained their values."""
        for parameter, moved, values in self.held:
            torch.where(moved, parameter, values, out=parameter)
