"""The course of a training: the batches of each epoch, and where a network leaves another one of its seed."""

from __future__ import annotations

import copy
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import islice
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from onebasin import seeding
from onebasin.landscape.targets import flat
from onebasin.models import layers
from onebasin.train.batches import Images

KINDS = ("order", "gaussian", "gradient")
"""How a network may leave another one."""

Batch = tuple[Tensor, Tensor]


@dataclass(frozen=True)
class Branch:
    """Where a network leaves another one with which it shares every step before, and how.

    Attributes:
        epoch: after which it leaves.
        name: of what it draws for itself.
        step: how many steps later it leaves.
        kind: "order": from there on it sees the images in another order and with other augmentation (instability
            analysis, Frankle et al. 2020, arXiv 1912.05671). Otherwise its weights are perturbed there, and it goes on
            with what the other one sees (Kwok et al. 2025, arXiv 2506.13234): by "gaussian" noise with the spread that
            each tensor of weights had at the start, or by the "gradient" of the loss of one other batch, as long as
            that noise is expected to be. Biases and norm parameters are left alone.
        sigma: the length of a perturbation; 1 is that of the weights at the start.
        share: share of the weights that are perturbed, 0 to 1, drawn from all of them; never less than one weight.
    """

    epoch: int
    name: str | int
    step: int = 0
    kind: str = "order"
    sigma: float = 0.0
    share: float = 1.0

    def __post_init__(self) -> None:
        """Check every value; raise ValueError naming it and what is allowed."""
        for name, holds, wanted in (
            ("kind", self.kind in KINDS, f"one of {', '.join(KINDS)}"),
            ("step", self.step >= 0, "at least 0"),
            ("sigma", self.sigma >= 0, "at least 0"),
            ("share", 0 <= self.share <= 1, "in [0, 1]"),
        ):
            if not holds:
                raise ValueError(f"branch {name} must be {wanted}, not {getattr(self, name)!r}")

    @property
    def about(self) -> Any:
        """What a checkpoint says of it, as JSON can hold it."""
        plain = self == Branch(self.epoch, self.name)
        return [self.epoch, self.name] if plain else asdict(self)


class Course:
    """The batches of each epoch of a training.

    Args:
        training: the training images.
        size: images of a batch; the last one of an epoch may be smaller.
        address: of all randomness of the network.
        model: the network as it is at the start; it is perturbed in place where the branch says so.
        branch: where it leaves another network of the same address; None for nowhere.
    """

    def __init__(
        self, training: Images, size: int, address: Sequence[str | int], model: nn.Module, branch: Branch | None
    ) -> None:
        self.training, self.size, self.model, self.branch = training, size, model, branch
        self.steps = math.ceil(len(training.labels) / size)
        self._address = self._own = list(address)
        # The epoch in which it leaves, from 1, and the step of it before which it does.
        self._epoch, self._step = 0, 0
        if branch is not None:
            before, self._step = divmod(branch.epoch * self.steps + branch.step, self.steps)
            self._epoch = before + 1
            self._own = [*address, "branch", branch.name]
            weights = dict(layers.weights(model))
            self._spreads = {key: float(weight.detach().square().mean().sqrt()) for key, weight in weights.items()}

    @property
    def leaves(self) -> int:
        """The epoch in which it leaves the other network, from 1; 0 without a branch."""
        return self._epoch

    def address(self, epoch: int) -> list[str | int]:
        """Return the address of the random choices at the start of an epoch, from 1."""
        left = self.branch is not None and self.branch.kind == "order" and epoch >= self._epoch + (self._step > 0)
        return self._own if left else self._address

    def batches(self, epoch: int) -> Iterator[Batch]:
        """Yield the images and labels of each step of an epoch, from 1."""
        address, labels = self.address(epoch), self.training.labels
        order = self._order(len(labels), address, epoch)
        batches = self._given(order, address, epoch)
        if self.branch is None or epoch != self._epoch or address == self._own:
            yield from batches
            return
        yield from islice(batches, self._step)
        if self.branch.kind == "order":
            rest = order[self._step * self.size :]
            batches = self._given(rest[self._order(len(rest), self._own, epoch)], self._own, epoch)
            torch.manual_seed(seeding.derive(*self._own, "layers", epoch))
        else:
            self._perturb(self.branch)
        yield from batches

    def _order(self, count: int, address: Sequence[str | int], epoch: int) -> Tensor:
        return torch.randperm(count, generator=seeding.generator(*address, "order", epoch))

    def _given(self, order: Tensor, address: Sequence[str | int], epoch: int | str) -> Iterator[Batch]:
        """Yield the batches of images in an order."""
        order = order.to(self.training.images.device)
        images = self.training.shuffled(order, self.size, seeding.generator(*address, "augment", epoch))
        return zip(images, self.training.labels[order].split(self.size), strict=True)

    def _perturb(self, branch: Branch) -> None:
        """Perturb the weights of the network in place."""
        weights = dict(layers.weights(self.model))
        chosen = self._chosen(weights, branch.share)
        sizes = {key: int(part.sum()) for key, part in chosen.items()}
        if branch.kind == "gaussian":
            generator = seeding.generator(*self._own, "noise")
            noise = {key: torch.randn(weight.shape, generator=generator) for key, weight in weights.items()}
            moved = {key: noise[key] * chosen[key] * self._spreads[key] for key in weights}
        else:
            gradient = self._gradient()
            moved = {key: gradient[key].cpu() * chosen[key] for key in weights}
            length = math.sqrt(sum(float(part.double().square().sum()) for part in moved.values()))
            expected = math.sqrt(sum(sizes[key] * self._spreads[key] ** 2 for key in weights))
            # Weights that nothing flows through have no gradient, and stay.
            moved = {key: part * (expected / length if length else 0.0) for key, part in moved.items()}
        with torch.no_grad():
            for key, weight in weights.items():
                weight.add_((branch.sigma * moved[key]).to(weight))

    def _chosen(self, weights: Mapping[str, Tensor], share: float) -> dict[str, Tensor]:
        """Return which weights are perturbed; those of a smaller share are among those of a larger one."""
        sizes = [weight.numel() for weight in weights.values()]
        order = torch.randperm(sum(sizes), generator=seeding.generator(*self._own, "entries"))
        flags = torch.zeros(sum(sizes), dtype=torch.bool)
        flags[order[: max(1, round(share * sum(sizes)))]] = True
        parts = zip(weights.items(), flags.split(sizes), strict=True)
        return {key: part.reshape(weight.shape) for (key, weight), part in parts}

    def _gradient(self) -> dict[str, Tensor]:
        """Return the gradient of the loss of a batch drawn for it; the network and its randomness stay as they are."""
        order = self._order(len(self.training.labels), self._own, 0)[: self.size]
        images, labels = next(self._given(order, self._own, 0))
        model = copy.deepcopy(self.model)
        with seeding.seeded(*self._own, "layers", 0, device=images.device):
            F.cross_entropy(*flat(model(images), labels)).backward()
        return {
            key: torch.zeros_like(weight) if weight.grad is None else weight.grad
            for key, weight in layers.weights(model)
        }
