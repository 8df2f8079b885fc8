"""Training of one network: data on the device, resumable after every epoch, the same bytes whether stopped or not.

Work happens in a folder of its own, beside the files that are promised. After an epoch the whole state (parameters,
optimiser, history) is saved there with the identity of the run: everything that shapes its result. A later start with
the same identity continues from it; with another it starts afresh. Files get their promised names at the end, when all
of them are complete.
"""

import csv
import hashlib
import json
import logging
import math
import os
import shutil
import sys
import time
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from onebasin import checkpoint, seeding
from onebasin.data import Dataset
from onebasin.files import FileError, atomic, load_metadata, load_tensors, save_tensors

log = logging.getLogger(__name__)

OPTIMIZERS = ("sgd", "adam")
SCHEDULES = ("constant", "step", "cosine")
WARMUP_UNITS = ("epochs", "steps")
AUGMENTATIONS = ("none", "flip", "crop", "flip_crop")
PRECISIONS = ("float32", "bfloat16")
COLUMNS = ("epoch", "lr", "train_loss", "train_error", "test_loss", "test_error", "seconds")

_KINDS: Mapping[Any, str] = {
    int: "an integer",
    float: "a number",
    str: "a word",
    bool: "true or false",
    tuple[int, ...]: "a list of integers",
}

# Images up to this size are normalised once and kept as floats; larger ones stay bytes and are normalised by batch.
_FLOAT_LIMIT_BYTES = 256 * 2**20
_EVALUATION_BATCH = 512
_RESUME = "resume.safetensors"


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


def train(
    model: nn.Module,
    dataset: Dataset,
    settings: Settings,
    *,
    seed_address: Sequence[str | int],
    checkpoints: Mapping[int, str | Path],
    table: str | Path,
    work: str | Path,
    metadata: Mapping[str, Any],
    device: str | torch.device = "cpu",
    branch: tuple[int, str | int] | None = None,
    start: int = 0,
    mask: Mapping[str, Tensor] | None = None,
    warmup_again: bool = False,
    save_every_s: float = 1.0,
) -> None:
    """Train a network in place; write its checkpoints and the table of its epochs.

    Killed at any moment and started again in the same way (same initial network, machine and threads), it writes the
    same bytes as if never stopped, but for the seconds in the table.

    Args:
        model: the initialised network.
        dataset: training and test images.
        settings: how to train.
        seed_address: address of all randomness of this network: the order of the images and their augmentation.
        checkpoints: file of each epoch to be kept; `start` is the network as given, pruned by the mask.
        table: CSV file with one row per epoch and the columns `COLUMNS`: learning rate of the last step, loss (mean
            cross-entropy in nats) and error (fraction) as a running mean over the epoch's own batches for training and
            after the epoch for the test images, and seconds.
        work: folder of this training alone, beside the files above; removed at the end.
        metadata: what the checkpoints shall say besides epoch, settings, seed address, data set and provenance.
        device: where to train.
        branch: `(k, name)` gives the epochs after the k-th an order and augmentation of their own, by name, so that
            several branches share their first k epochs (instability analysis, Frankle et al. 2020).
        start: epoch at which the network is as given. Training goes on from there to the last epoch with the learning
            rates, order and augmentation that these epochs have for a network trained from 0, and an optimiser that
            remembers nothing (weight rewinding, Frankle et al. 2020, arXiv 1912.05671).
        mask: by the name of a parameter, truth values of its shape: False where a weight is 0 and remains so.
        warmup_again: whether the warmup begins at `start`, not at 0.
        save_every_s: least seconds between two savings of the state to resume from; the result does not depend on it.

    Raises:
        TrainingError: the loss is not finite, or the network cannot be compiled; no file has been written under its
            name.
        FileError: a file cannot be written.
        ValueError: a start, checkpoint or branch epoch that training does not reach, or a mask of another network.
    """
    if not 0 <= start < settings.epochs:
        raise ValueError(f"start {start} does not lie in 0..{settings.epochs - 1}")
    for epoch in checkpoints:
        if not start <= epoch <= settings.epochs:
            raise ValueError(f"checkpoint epoch {epoch} does not lie in {start}..{settings.epochs}")
    if branch is not None and not 0 <= branch[0] <= settings.epochs:
        raise ValueError(f"branch epoch {branch[0]} does not lie in 0..{settings.epochs}")
    device = torch.device(device)
    work = Path(work)
    # torch's stubs know the memory format only as a keyword alone.
    model.to(device)
    if settings.channels_last:
        model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    optimizer = _Optimizer(model, settings, mask or {})
    forward = _compiled(model, device) if settings.compile else model
    identity = _identity(model, dataset, settings, seed_address, branch, metadata, device)
    identity |= {"start": start, "mask": _digest(mask) if mask else None, "warmup again": warmup_again}
    about: dict[str, Any] = {
        **metadata,
        **checkpoint.provenance(),
        "settings": asdict(settings),
        "seed_address": list(seed_address),
        "branch": branch,
        "dataset": {"name": dataset.name, "digest": dataset.digest},
    }
    if start or mask:
        about |= {"start": start, "mask": identity["mask"], "warmup_again": warmup_again}

    def keep(epoch: int) -> None:
        if epoch in checkpoints:
            checkpoint.save(_kept(work, epoch), model.state_dict(), about | {"epoch": epoch})

    done, rows = _resume(work, identity, checkpoints, model, optimizer, device)
    if done == 0:
        done = start
        keep(start)
    warmup_after = start if warmup_again else 0
    training = _Images(dataset, "train", settings, device)
    test = _Images(dataset, "test", settings, device)
    saved = time.monotonic()
    try:
        with _deterministic_convolutions(), seeding.seeded(*seed_address, device=device):
            for epoch in range(done + 1, settings.epochs + 1):
                began = time.perf_counter()
                address = [*seed_address]
                if branch is not None and epoch > branch[0]:
                    address += ["branch", branch[1]]
                # For layers that draw from the global generator, such as dropout.
                torch.manual_seed(seeding.derive(*address, "layers", epoch))
                lr, train_loss, train_error = _train_epoch(
                    *(model, forward, optimizer, training, settings, address, epoch, warmup_after)
                )
                test_loss, test_error = _evaluate(model, test)
                if not math.isfinite(test_loss):
                    raise TrainingError(
                        f"the loss is {test_loss} after the last step of epoch {epoch}: lower lr or lengthen the warmup"
                    )
                seconds = round(time.perf_counter() - began, 4)
                rows.append([epoch, lr, train_loss, train_error, test_loss, test_error, seconds])
                log.info(
                    "epoch %d/%d: lr %.4g, train loss %.4f error %.4f, test loss %.4f error %.4f, %.2f s",
                    *(epoch, settings.epochs, lr, train_loss, train_error, test_loss, test_error, seconds),
                )
                keep(epoch)
                if epoch < settings.epochs and time.monotonic() - saved >= save_every_s:
                    _save(work, identity, epoch, rows, model, optimizer)
                    saved = time.monotonic()
    except TrainingError:
        _clear(work)
        raise
    _write_table(work / "training.csv", rows)
    for epoch, path in checkpoints.items():
        _publish(_kept(work, epoch), Path(path))
    _publish(work / "training.csv", Path(table))
    _clear(work)


class _Optimizer:
    """SGD or Adam (Kingma and Ba 2015) as `torch.optim` has them, in one fused operation per group of parameters.

    `torch.optim` itself imports torch._dynamo, which costs every process a second. A weight that the mask prunes is set
    to 0 and has no gradient: momentum, Adam and weight decay all leave it there.
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
        for name, kept in mask.items():
            if name not in trained or trained[name].shape != kept.shape:
                raise ValueError(f"the mask does not fit the network: {name!r} has another shape, or is missing")
            trained[name].data.masked_fill_(~kept.to(self.count.device), 0)
        self.masked = [trained[name] for name in mask]
        self.masks = [kept.to(trained[name]) for name, kept in mask.items()]
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

    def step(self, lr: float) -> None:
        """Update the parameters by their gradients, which are then dropped."""
        self.count.add_(1)
        if self.masked:
            gradients: Any = [parameter.grad for parameter in self.masked]
            torch._foreach_mul_(gradients, self.masks)
        for parameters, buffers, weight_decay in self.groups:
            values = [parameter.detach() for parameter in parameters]
            # A parameter that the network does not use has none: only weight decay moves it.
            gradients = [torch.zeros_like(p) if p.grad is None else p.grad for p in parameters]
            if self.settings.optimizer == "adam":
                torch.ops.aten._fused_adam_(
                    *(values, gradients, buffers[0], buffers[1], [], [self.count] * len(values)),
                    lr=lr,
                    beta1=0.9,
                    beta2=0.999,
                    weight_decay=weight_decay,
                    eps=1e-8,
                    amsgrad=False,
                    maximize=False,
                )
            else:
                torch.ops.aten._fused_sgd_(
                    *(values, gradients, buffers[0] if buffers else []),
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


class _Images:
    """The images of a split on the device, given out in normalised batches."""

    def __init__(self, dataset: Dataset, split: str, settings: Settings, device: torch.device) -> None:
        images, labels = dataset.raw(split)
        self.images, self.labels = images.to(device), labels.to(device)
        self.mean = dataset.mean.to(device)[:, None, None]
        self.std = dataset.std.to(device)[:, None, None]
        self.size = images.shape[-2:]
        self.classes = dataset.classes
        self.flip = split == "train" and settings.augment in ("flip", "flip_crop")
        self.padding = settings.crop_padding if split == "train" and settings.augment in ("crop", "flip_crop") else 0
        self.format = torch.channels_last if settings.channels_last else torch.contiguous_format
        self.normalised = not self.flip and not self.padding and 4 * images.numel() <= _FLOAT_LIMIT_BYTES
        if self.normalised:
            self.images = self._normalise(self.images)
        elif self.padding:
            self.images = F.pad(self.images, (self.padding,) * 4)

    def _normalise(self, images: Tensor) -> Tensor:
        return images.float().sub_(self.mean).div_(self.std).contiguous(memory_format=self.format)

    def in_order(self, batch_size: int) -> Iterator[Tensor]:
        """Give the images of an unaugmented split as they come."""
        for images in self.images.split(batch_size):
            yield images if self.normalised else self._normalise(images)

    def shuffled(self, order: Tensor, batch_size: int, generator: torch.Generator) -> Iterator[Tensor]:
        """Give the images in the order of the index `order`, augmented by draws from `generator`."""
        if self.normalised:
            yield from self.images[order].contiguous(memory_format=self.format).split(batch_size)
            return
        device = self.images.device
        # Drawn on the CPU, so that every device sees the same images.
        shifts = torch.randint(2 * self.padding + 1, (2, len(order)), generator=generator).to(device)
        flips = torch.randint(2, (len(order), 1, 1, 1), generator=generator, dtype=torch.bool).to(device)
        windows = self.images.unfold(2, self.size[0], 1).unfold(3, self.size[1], 1) if self.padding else None
        for start in range(0, len(order), batch_size):
            batch = slice(start, start + batch_size)
            if windows is None:
                images = self.images[order[batch]]
            else:
                images = windows[order[batch], :, shifts[0, batch], shifts[1, batch]]
            if self.flip:
                images = torch.where(flips[batch], images.flip(3), images)
            yield self._normalise(images)


def _train_epoch(
    model: nn.Module,
    forward: Callable[[Tensor], Tensor],
    optimizer: _Optimizer,
    training: _Images,
    settings: Settings,
    address: Sequence[str | int],
    epoch: int,
    warmup_after: int,
) -> tuple[float, float, float]:
    """Train for one epoch; return the rate of its last step, and the mean loss and error of its batches."""
    device, n, size = training.images.device, len(training.labels), settings.batch_size
    order = torch.randperm(n, generator=seeding.generator(*address, "order", epoch)).to(device)
    images = training.shuffled(order, size, seeding.generator(*address, "augment", epoch))
    labels = training.labels[order]
    # Loss and error of the whole epoch come from this at its end: no waiting for the device at every step.
    outputs = torch.empty(n, training.classes, device=device)
    precision = _autocast(settings, device)
    steps = math.ceil(n / size)
    lr = settings.lr
    model.train()
    batches = zip(images, labels.split(size), outputs.split(size), strict=True)
    for index, (x, y, output) in enumerate(_with_bar(batches, f"epoch {epoch}/{settings.epochs}", steps)):
        lr = rate(settings, (epoch - 1) * steps + index, steps, warmup_after)
        with precision():
            # The smaller last batch is not worth a compilation of its own.
            logits = (forward if len(x) == size else model)(x)
            loss = F.cross_entropy(logits, y, label_smoothing=settings.label_smoothing)
        loss.backward()
        optimizer.step(lr)
        output.copy_(logits.detach())
    losses = F.cross_entropy(outputs, labels, reduction="none")
    finite = torch.isfinite(losses)
    if not finite.all():
        first = int(torch.nonzero(~finite)[0])
        raise TrainingError(
            f"the loss is {losses[first].item()} in epoch {epoch}, step {first // size + 1} of {steps}: "
            "lower lr or lengthen the warmup"
        )
    error = (outputs.argmax(1) != labels).double().mean().item()
    return lr, losses.double().mean().item(), error


def _evaluate(model: nn.Module, images: _Images) -> tuple[float, float]:
    """Give mean loss and error of a split, from one pass in float32."""
    model.eval()
    with torch.inference_mode():
        outputs = torch.cat([model(batch) for batch in images.in_order(_EVALUATION_BATCH)])
        loss = F.cross_entropy(outputs, images.labels, reduction="none").double().mean().item()
        return loss, (outputs.argmax(1) != images.labels).double().mean().item()


def _autocast(settings: Settings, device: torch.device) -> Callable[[], AbstractContextManager[Any]]:
    if settings.precision == "float32":
        return nullcontext
    return lambda: torch.autocast(device.type, torch.bfloat16)


def _compilation(device: torch.device) -> dict[str, str | int | bool | Callable[..., Any]]:
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


def _compiled(model: nn.Module, device: torch.device) -> Callable[[Tensor], Tensor]:
    """Make the network's fused kernels at its first call, with gradients; it goes on sharing its parameters."""
    from torch._dynamo.exc import TorchDynamoException

    warnings.filterwarnings("ignore", "CUTLASS backend", UserWarning)  # said on CPUs too, which have none
    # Otherwise what was compiled before in this process would count towards a limit, above which nothing is.
    torch.compiler.reset()
    fused = torch.compile(model, dynamic=False, options=_compilation(device))

    def forward(images: Tensor) -> Tensor:
        try:
            return fused(images)
        except TorchDynamoException as error:
            reason = str(error).strip().partition("\n")[0]
            raise TrainingError(f"torch.compile fails, so that compile must be false here: {reason}") from error

    return forward


def _with_bar(batches: Iterable[Any], title: str, steps: int) -> Iterable[Any]:
    """Show how far an epoch is, where the log is a terminal; elsewhere the line at its end must do."""
    if not sys.stderr.isatty():
        return batches
    from tqdm import tqdm

    return tqdm(batches, desc=title, total=steps, unit="step", leave=False)


@contextmanager
def _deterministic_convolutions() -> Iterator[None]:
    before = torch.backends.cudnn.deterministic, torch.backends.cudnn.benchmark
    torch.backends.cudnn.deterministic, torch.backends.cudnn.benchmark = True, False
    try:
        yield
    finally:
        torch.backends.cudnn.deterministic, torch.backends.cudnn.benchmark = before


def _identity(
    model: nn.Module,
    dataset: Dataset,
    settings: Settings,
    seed_address: Sequence[str | int],
    branch: tuple[int, str | int] | None,
    metadata: Mapping[str, Any],
    device: torch.device,
) -> dict[str, Any]:
    """Everything that shapes the result, as JSON gives it back."""
    parts = {f"setting {name}": value for name, value in asdict(settings).items()}
    parts |= {
        "seed address": list(seed_address),
        "branch": branch,
        "data set": dataset.digest,
        "architecture": hashlib.sha256(str(model).encode()).hexdigest(),
        "initial network": _digest(model.state_dict()),
        # A commit that leaves the version alone does not send a long training back to its start.
        "metadata": {name: value for name, value in metadata.items() if name != "commit"},
        "onebasin version": checkpoint.provenance()["version"],
        "torch version": torch.__version__,
        "device": torch.cuda.get_device_name(device) if device.type == "cuda" else device.type,
        "threads": torch.get_num_threads() if device.type == "cpu" else None,
        "compilation": _compilation(device) if settings.compile else None,
    }
    return json.loads(json.dumps(parts))


def _digest(tensors: Mapping[str, Tensor]) -> str:
    digest = hashlib.sha256()
    for name, tensor in tensors.items():
        digest.update(f"{name} {tuple(tensor.shape)} {tensor.dtype}".encode())
        digest.update(tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()


def _kept(work: Path, epoch: int) -> Path:
    return work / f"epoch{epoch}.safetensors"


def _save(
    work: Path, identity: dict[str, Any], epoch: int, rows: list[list[Any]], model: nn.Module, optimizer: _Optimizer
) -> None:
    tensors = {f"model/{name}": tensor for name, tensor in model.state_dict().items()}
    tensors |= {f"optimizer/{name}": tensor for name, tensor in optimizer.state.items()}
    save_tensors(work / _RESUME, tensors, {"identity": identity, "epoch": epoch, "rows": rows}, "resume")


def _resume(
    work: Path,
    identity: dict[str, Any],
    checkpoints: Mapping[int, str | Path],
    model: nn.Module,
    optimizer: _Optimizer,
    device: torch.device,
) -> tuple[int, list[list[Any]]]:
    """Restore the state of an earlier run; return its last epoch and its rows, or 0 and none for a fresh start."""
    path = work / _RESUME
    if not path.exists():
        _clear(work)
        return 0, []
    try:
        tensors, saved = load_tensors(path, "resume", device)
        epoch, rows = saved["epoch"], saved["rows"]
        names = sorted(identity.keys() | saved["identity"].keys())
        changed = [name for name in names if identity.get(name) != saved["identity"].get(name)]
        for kept in checkpoints:
            if kept <= epoch:
                load_metadata(_kept(work, kept), "checkpoint")
    except (FileError, KeyError) as error:
        log.warning("starting afresh, for the earlier run cannot be continued: %s", error)
        _clear(work)
        return 0, []
    if changed:
        log.warning("starting afresh, for something changed since the earlier run: %s", ", ".join(changed))
        _clear(work)
        return 0, []
    model.load_state_dict({n.removeprefix("model/"): t for n, t in tensors.items() if n.startswith("model/")})
    for name, tensor in optimizer.state.items():
        tensor.copy_(tensors[f"optimizer/{name}"])
    log.info("continuing after epoch %d", epoch)
    return epoch, rows


def _write_table(path: Path, rows: list[list[Any]]) -> None:
    with atomic(path) as temporary, open(temporary, "w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(COLUMNS)
        writer.writerows(rows)


def _publish(source: Path, target: Path) -> None:
    """Give a finished file its promised name, and leave it in the work folder until all have theirs."""
    staged = source.with_suffix(".tmp")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        staged.unlink(missing_ok=True)
        os.link(source, staged)
        os.utime(staged)
        os.replace(staged, target)
    except OSError:
        # Another file system, or one without links.
        with atomic(target) as temporary:
            shutil.copyfile(source, temporary)


def _clear(work: Path) -> None:
    """Remove the work folder, its resume state first: what remains after a kill is then never mistaken for whole."""
    if not work.is_dir():
        return
    (work / _RESUME).unlink(missing_ok=True)
    for path in work.iterdir():
        if path.suffix in (".safetensors", ".csv", ".tmp"):
            path.unlink(missing_ok=True)
    if not any(work.iterdir()):
        work.rmdir()
