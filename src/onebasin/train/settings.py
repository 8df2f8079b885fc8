"""How a network is trained: settings, and the learning rate of every step."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

OPTIMIZERS = ("sgd", "adam")
"""Values of ``optimizer``."""
SCHEDULES = ("constant", "step", "cosine")
"""Values of ``schedule``."""
WARMUP_UNITS = ("epochs", "steps")
"""Values of ``warmup_unit``."""
AUGMENTATIONS = ("none", "flip", "crop", "flip_crop")
"""Values of ``augment``."""
PRECISIONS = ("float32", "bfloat16")
"""Values of ``precision``."""

_KINDS: Mapping[Any, str] = {
    int: "an integer",
    float: "a number",
    str: "a word",
    bool: "true or false",
    tuple[int, ...]: "a list of integers",
}


class TrainingError(RuntimeError):
    """A training that cannot give a network, such as one whose loss is no longer a number."""


@dataclass(frozen=True)
class Settings:
    """How a network is trained; each option that is not needed has a default that changes nothing.

    Attributes:
        epochs: passes over the training images.
        batch_size: images per step; the last batch of an epoch may be smaller.
        optimizer: "sgd" or "adam".
        lr: learning rate, before schedule and warmup.
        momentum: of "sgd".
        nesterov: Nesterov momentum, of "sgd".
        weight_decay: L2 penalty added to the gradient.
        decay_norm_and_bias: whether norm parameters and biases decay too.
        schedule: "constant", "step" (times `gamma` after each of `milestones`) or "cosine" (to 0 at the end).
        milestones: epochs after which "step" lowers the rate.
        gamma: factor of "step".
        warmup: length of the linear warmup from 0; 0 for none.
        warmup_unit: "epochs" or "steps".
        label_smoothing: share of the target spread over all classes.
        augment: "none", "flip" (horizontal), "crop" (random, after padding with 0) or "flip_crop", for each image.
        crop_padding: pixels of padding on each side for "crop".
        precision: "float32", or "bfloat16" for autocast.
        channels_last: memory order of images and convolutions.
        compile: whether `torch.compile` makes fused kernels of the network's training step, which takes a minute at
            the start of a process. Sums round differently then, and in bfloat16 equal maxima of a pooling share their
            gradient. On the CPU it needs a C++ compiler.
    """

    epochs: int = 30
    batch_size: int = 64
    optimizer: str = "adam"
    lr: float = 1e-3
    momentum: float = 0.0
    nesterov: bool = False
    weight_decay: float = 0.0
    decay_norm_and_bias: bool = True
    schedule: str = "constant"
    milestones: tuple[int, ...] = ()
    gamma: float = 0.1
    warmup: float = 0.0
    warmup_unit: str = "epochs"
    label_smoothing: float = 0.0
    augment: str = "none"
    crop_padding: int = 4
    precision: str = "float32"
    channels_last: bool = False
    compile: bool = False

    def __post_init__(self) -> None:
        """Check every value; raise ValueError naming the key and what is allowed."""
        for field in fields(self):
            value = getattr(self, field.name)
            if field.type is float and isinstance(value, int | float) and not isinstance(value, bool):
                object.__setattr__(self, field.name, float(value))
            elif field.name == "milestones" and isinstance(value, Sequence) and not isinstance(value, str):
                object.__setattr__(self, field.name, tuple(value))
            elif type(value) is not field.type:
                raise ValueError(f"training setting {field.name} must be {_KINDS[field.type]}, not {value!r}")
            if field.type is float and not math.isfinite(value):
                raise ValueError(f"training setting {field.name} must be finite, not {value}")
        for name, allowed in (
            ("optimizer", OPTIMIZERS),
            ("schedule", SCHEDULES),
            ("warmup_unit", WARMUP_UNITS),
            ("augment", AUGMENTATIONS),
            ("precision", PRECISIONS),
        ):
            if getattr(self, name) not in allowed:
                raise ValueError(
                    f"training setting {name} must be one of {', '.join(allowed)}, not {getattr(self, name)!r}"
                )
        for name, holds, wanted in (
            ("epochs", self.epochs >= 1, "at least 1"),
            ("batch_size", self.batch_size >= 1, "at least 1"),
            ("lr", self.lr > 0, "above 0"),
            ("momentum", 0 <= self.momentum < 1, "in [0, 1)"),
            ("momentum", self.optimizer == "sgd" or self.momentum == 0, "0 with adam"),
            ("nesterov", not self.nesterov or self.momentum > 0, "false without momentum"),
            ("weight_decay", self.weight_decay >= 0, "at least 0"),
            ("gamma", self.gamma > 0, "above 0"),
            ("warmup", self.warmup >= 0, "at least 0"),
            ("label_smoothing", 0 <= self.label_smoothing < 1, "in [0, 1)"),
            ("crop_padding", self.crop_padding >= 0, "at least 0"),
            ("milestones", all(type(epoch) is int for epoch in self.milestones), "integers"),
            ("milestones", list(self.milestones) == sorted(set(self.milestones)), "increasing"),
            ("milestones", all(epoch >= 1 for epoch in self.milestones), "epochs of at least 1"),
        ):
            if not holds:
                raise ValueError(f"training setting {name} must be {wanted}, not {getattr(self, name)!r}")


def rate(settings: Settings, step: int, steps_per_epoch: int, warmup_after: int = 0) -> float:
    """Give the learning rate of a step.

    Args:
        settings: schedule and warmup.
        step: number of the step from the start of training, from 0.
        steps_per_epoch: steps in an epoch.
        warmup_after: epoch after which the warmup begins.

    Returns:
        The learning rate.
    """
    value = settings.lr
    if settings.schedule == "step":
        value *= settings.gamma ** sum(step >= milestone * steps_per_epoch for milestone in settings.milestones)
    elif settings.schedule == "cosine":
        value *= 0.5 * (1 + math.cos(math.pi * step / (settings.epochs * steps_per_epoch)))
    warmup = settings.warmup * (steps_per_epoch if settings.warmup_unit == "epochs" else 1)
    begun = step - warmup_after * steps_per_epoch
    return value * min(1.0, (begun + 1) / warmup) if warmup > 0 else value
