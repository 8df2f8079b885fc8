"""The training of one network, resumable after every epoch."""

from __future__ import annotations

import logging
import math
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any, Protocol

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from onebasin import checkpoint, seeding
from onebasin.data import Dataset
from onebasin.files import save_tensors
from onebasin.landscape.targets import flat
from onebasin.provenance import provenance
from onebasin.train import resume
from onebasin.train.batches import Images
from onebasin.train.compilation import compiled
from onebasin.train.course import Branch, Course
from onebasin.train.optimizer import Optimizer
from onebasin.train.settings import Settings, TrainingError, rate

log = logging.getLogger(__name__)

_EVALUATION_BATCH = 512
# Outputs of a language model are many: no more than 64 MB of them wait to be judged.
_HELD_OUTPUTS = 2**24


class Outputs(Protocol):
    """What gives the outputs that a step is judged by, in place of the network itself.

    Attributes:
        state: what it remembers from one epoch to the next, changed in place; it is there again after an interruption.
    """

    state: Mapping[str, Tensor]

    def begin(self, model: nn.Module, address: Sequence[str | int], epoch: int) -> None:
        """Prepare for an epoch of a network; whatever it draws in this epoch, it draws by the address."""

    def __call__(self, model: nn.Module, images: Tensor) -> Tensor:
        """Map images [n, …] to outputs, of which the parameters of the network get their gradients."""

    def end(self, model: nn.Module) -> None:
        """Do to the network what is to be done after an epoch, before it is evaluated and kept."""


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
    branch: Branch | None = None,
    start: int = 0,
    mask: Mapping[str, Tensor] | None = None,
    warmup_again: bool = False,
    part: Tensor | None = None,
    outputs: Outputs | None = None,
    memory: Mapping[str, Tensor] | None = None,
    memories: Mapping[int, str | Path] | None = None,
    save_every_s: float = 1.0,
    title: str = "",
) -> None:
    """Train a network in place; write its checkpoints and the table of its epochs.

    Killed at any moment and started again in the same way (same initial network, machine and threads), it writes the
    same bytes as if never stopped, but for the seconds in the table.

    Args:
        model: the initialised network.
        dataset: training and test images, or text.
        settings: how to train.
        seed_address: address of all randomness of this network: the order of the images and their augmentation.
        checkpoints: file of each epoch to be kept; `start` is the network as given, pruned by the mask.
        table: CSV file with one row per epoch and the columns `tables.TRAINING`: learning rate of the last step, loss
            (mean cross-entropy in nats) and error (fraction of labels missed) as a running mean over the epoch's own
            batches for training and after the epoch for the test images, and seconds.
        work: folder of this training alone, beside the files above; removed at the end.
        metadata: what the checkpoints shall say besides epoch, settings, seed address, data set and provenance.
        device: where to train.
        branch: where it leaves another network of the same seed address, with which it shares every step before.
        start: epoch at which the network is as given. Training goes on from there to the last epoch with the learning
            rates, order and augmentation that these epochs have for a network trained from 0, and an optimiser that
            remembers nothing (weight rewinding, Frankle et al. 2020, arXiv 1912.05671) or `memory`.
        mask: by the name of a parameter, truth values of its shape: False where a weight is 0 and remains so.
        warmup_again: whether the warmup begins at `start`, not at 0.
        part: indices of the training images that it sees, int64; all unless it is given.
        outputs: what gives the outputs that a step is judged by; those of the network itself, compiled if the settings
            say so, unless it is given. What shapes it stands in the metadata.
        memory: what the optimiser remembers at `start`, as a file of `memories` holds it; nothing unless it is given.
        memories: for each epoch to be kept, the file of what the optimiser remembers after it (``Optimizer.state``).
            With the checkpoint of that epoch as the network and this as `memory`, a training that starts there goes on
            as this one does, bit for bit.
        save_every_s: least seconds between two savings of the state to resume from; the result does not depend on it.
        title: with which its lines in the log begin, such as which network it is.

    Raises:
        TrainingError: the loss is not finite, the network cannot be compiled, or training ends before a branch leaves;
            no file has been written under its name.
        FileError: a file cannot be written.
        ValueError: a start, checkpoint or branch epoch that training does not reach, or a mask or memory of another
            network.
    """
    if not 0 <= start < settings.epochs:
        raise ValueError(f"start {start} does not lie in 0..{settings.epochs - 1}")
    promised: dict[tuple[int, str], str | Path] = {
        **{(epoch, "checkpoint"): path for epoch, path in checkpoints.items()},
        **{(epoch, "memory"): path for epoch, path in (memories or {}).items()},
    }
    for epoch, _ in promised:
        if not start <= epoch <= settings.epochs:
            raise ValueError(f"checkpoint epoch {epoch} does not lie in {start}..{settings.epochs}")
    if branch is not None and not 0 <= branch.epoch <= settings.epochs:
        raise ValueError(f"branch epoch {branch.epoch} does not lie in 0..{settings.epochs}")
    device = torch.device(device)
    work = Path(work)
    # torch's stubs know the memory format only as a keyword alone.
    model.to(device)
    if settings.channels_last:
        model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    optimizer = Optimizer(model, settings, mask or {})
    if memory is not None:
        optimizer.remember(memory)
    training = Images(dataset, "train", settings, device, part)
    course = Course(training, settings.batch_size, seed_address, model, branch)
    if branch is not None and branch.step and course.leaves > settings.epochs:
        raise TrainingError(
            f"step {branch.step} after epoch {branch.epoch} lies behind the last one: "
            f"{settings.epochs} epochs have {course.steps} steps each"
        )
    forward = _forward(model, settings, device) if outputs is None else partial(outputs, model)
    state = {**optimizer.state, **(outputs.state if outputs else {})}
    identity = resume.identity_of(model, dataset, settings, seed_address, branch, metadata, device)
    identity |= {"start": start, "mask": checkpoint.digest(mask) if mask else None, "warmup again": warmup_again}
    identity |= {"memory": checkpoint.digest(memory) if memory else None}
    if part is not None:
        identity["part"] = checkpoint.digest({"part": part})
    about: dict[str, Any] = {
        **metadata,
        **provenance(),
        "settings": asdict(settings),
        "seed_address": list(seed_address),
        "branch": branch and branch.about,
        "dataset": {"name": dataset.name, "digest": dataset.digest},
    }
    if start or mask:
        about |= {"start": start, "mask": identity["mask"], "warmup_again": warmup_again}

    def keep(epoch: int) -> None:
        for kind, tensors in (("checkpoint", model.state_dict()), ("memory", optimizer.state)):
            if (epoch, kind) in promised:
                save_tensors(resume.kept_file(work, epoch, kind), tensors, about | {"epoch": epoch}, kind)

    prefix = f"{title}, " if title else ""
    done, rows = resume.restore(work, identity, promised, model, state, device)
    if done:
        log.info("%scontinues at epoch %d", prefix, done + 1)
    else:
        done = start
        keep(start)
    warmup_after = start if warmup_again else 0
    test = Images(dataset, "test", settings, device)
    saved = time.monotonic()
    try:
        with _deterministic_convolutions(), seeding.seeded(*seed_address, device=device):
            for epoch in range(done + 1, settings.epochs + 1):
                began = time.perf_counter()
                # For layers that draw from the global generator, such as dropout.
                address = course.address(epoch)
                torch.manual_seed(seeding.derive(*address, "layers", epoch))
                if outputs:
                    outputs.begin(model, address, epoch)
                lr, train_loss, train_error = _train_epoch(
                    model, forward, optimizer, course, settings, epoch, warmup_after
                )
                if outputs:
                    outputs.end(model)
                test_loss, test_error = _evaluate(model, test)
                if not math.isfinite(test_loss):
                    raise TrainingError(
                        f"the loss is {test_loss} after the last step of epoch {epoch}: lower lr or lengthen the warmup"
                    )
                seconds = round(time.perf_counter() - began, 4)
                rows.append([epoch, lr, train_loss, train_error, test_loss, test_error, seconds])
                log.info(
                    "%sepoch %d/%d: lr %.4g, train loss %.4f error %.4f, test loss %.4f error %.4f, %.2f s",
                    prefix,
                    epoch,
                    settings.epochs,
                    lr,
                    train_loss,
                    train_error,
                    test_loss,
                    test_error,
                    seconds,
                )
                keep(epoch)
                if epoch < settings.epochs and time.monotonic() - saved >= save_every_s:
                    resume.save(work, identity, epoch, rows, model, state)
                    saved = time.monotonic()
    except TrainingError:
        resume.clear(work)
        raise
    resume.write_table(work / "training.csv", rows)
    for (epoch, kind), path in promised.items():
        resume.publish(resume.kept_file(work, epoch, kind), Path(path))
    resume.publish(work / "training.csv", Path(table))
    resume.clear(work)


def _forward(model: nn.Module, settings: Settings, device: torch.device) -> Callable[[Tensor], Tensor]:
    if not settings.compile:
        return model
    fused = compiled(model, device)
    # The smaller last batch is not worth a compilation of its own.
    return lambda images: (fused if len(images) == settings.batch_size else model)(images)


def _train_epoch(
    model: nn.Module,
    forward: Callable[[Tensor], Tensor],
    optimizer: Optimizer,
    course: Course,
    settings: Settings,
    epoch: int,
    warmup_after: int,
) -> tuple[float, float, float]:
    """Train for one epoch; return the rate of its last step, and the mean loss and error of its batches."""
    size, steps = settings.batch_size, course.steps
    seen = _Outputs()
    precision = _autocast(settings, course.training.images.device)
    lr = settings.lr
    model.train()
    batches = course.batches(epoch)
    for index, (x, y) in enumerate(_with_bar(batches, f"epoch {epoch}/{settings.epochs}", steps)):
        lr = rate(settings, (epoch - 1) * steps + index, steps, warmup_after)
        with precision():
            logits, targets = flat(forward(x), y)
            loss = F.cross_entropy(logits, targets, label_smoothing=settings.label_smoothing)
        loss.backward()
        optimizer.step(lr)
        seen.add(logits.detach().to(torch.float32, copy=True), targets)
    losses, error = seen.losses_and_error()
    finite = torch.isfinite(losses)
    if not finite.all():
        first = int(torch.nonzero(~finite)[0])
        step = first // (size * course.training.labels[0].numel())
        raise TrainingError(
            f"the loss is {losses[first].item()} in epoch {epoch}, step {step + 1} of {steps}: "
            "lower lr or lengthen the warmup"
        )
    return lr, losses.double().mean().item(), error


def _evaluate(model: nn.Module, images: Images) -> tuple[float, float]:
    """Give mean loss and error of a split, from one pass in float32."""
    model.eval()
    with torch.inference_mode():
        seen, targets = _Outputs(), images.labels.split(_EVALUATION_BATCH)
        for batch, labels in zip(images.in_order(_EVALUATION_BATCH), targets, strict=True):
            seen.add(*flat(model(batch), labels))
        losses, error = seen.losses_and_error()
        return losses.double().mean().item(), error


class _Outputs:
    """Outputs and their labels, judged many batches at once: no waiting for the device at every step."""

    def __init__(self) -> None:
        self.held: list[tuple[Tensor, Tensor]] = []
        self.judged: list[tuple[Tensor, Tensor]] = []
        self.size = 0

    def add(self, logits: Tensor, labels: Tensor) -> None:
        """Take logits [n, classes] and labels [n]."""
        self.held.append((logits, labels))
        self.size += logits.numel()
        if self.size > _HELD_OUTPUTS:
            self._judge()

    def losses_and_error(self) -> tuple[Tensor, float]:
        """Give the loss of every label [n], and the share of labels that are missed."""
        self._judge()
        losses, missed = (torch.cat(parts) for parts in zip(*self.judged, strict=True))
        return losses, missed.double().mean().item()

    def _judge(self) -> None:
        if self.held:
            logits, labels = (torch.cat(parts) for parts in zip(*self.held, strict=True))
            self.judged.append((F.cross_entropy(logits, labels, reduction="none"), logits.argmax(1) != labels))
            self.held, self.size = [], 0


def _autocast(settings: Settings, device: torch.device) -> Callable[[], AbstractContextManager[Any]]:
    if settings.precision == "float32":
        return nullcontext
    return lambda: torch.autocast(device.type, torch.bfloat16)


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
