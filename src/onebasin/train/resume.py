"""What a training needs to go on after it was killed, and how its files get their promised names."""

from __future__ import annotations

import csv
import hashlib
import json
import logging
import os
import shutil
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from onebasin import checkpoint
from onebasin.data import Dataset
from onebasin.files import FileError, atomic, load_metadata, load_tensors, save_tensors
from onebasin.provenance import provenance
from onebasin.train import compilation
from onebasin.train.course import Branch
from onebasin.train.settings import Settings

log = logging.getLogger(__name__)

COLUMNS = ("epoch", "lr", "train_loss", "train_error", "test_loss", "test_error", "seconds")
"""What is recorded of every epoch."""
_RESUME = "resume.safetensors"


def identity_of(
    model: nn.Module,
    dataset: Dataset,
    settings: Settings,
    seed_address: Sequence[str | int],
    branch: Branch | None,
    metadata: Mapping[str, Any],
    device: torch.device,
) -> dict[str, Any]:
    """Everything that shapes the result, as JSON gives it back."""
    parts = {f"setting {name}": value for name, value in asdict(settings).items()}
    parts |= {
        "seed address": list(seed_address),
        "branch": branch and branch.about,
        "data set": dataset.digest,
        "architecture": hashlib.sha256(str(model).encode()).hexdigest(),
        "initial network": checkpoint.digest(model.state_dict()),
        # A commit that leaves the version alone does not send a long training back to its start.
        "metadata": {name: value for name, value in metadata.items() if name != "commit"},
        "onebasin version": provenance()["version"],
        "torch version": torch.__version__,
        "device": torch.cuda.get_device_name(device) if device.type == "cuda" else device.type,
        "threads": torch.get_num_threads() if device.type == "cpu" else None,
        "compilation": compilation.options(device) if settings.compile else None,
    }
    return json.loads(json.dumps(parts))


def kept_file(work: Path, epoch: int, kind: str) -> Path:
    """Return where the checkpoint, or the memory of the optimiser, of an epoch waits until all are complete."""
    return work / f"{'epoch' if kind == 'checkpoint' else kind}{epoch}.safetensors"


def save(
    work: Path,
    identity: dict[str, Any],
    epoch: int,
    rows: list[list[Any]],
    model: nn.Module,
    state: Mapping[str, Tensor],
) -> None:
    """Save how far a training is: the network, and the state of what trains it."""
    tensors = {f"model/{name}": tensor for name, tensor in model.state_dict().items()}
    tensors |= {f"optimizer/{name}": tensor for name, tensor in state.items()}
    save_tensors(work / _RESUME, tensors, {"identity": identity, "epoch": epoch, "rows": rows}, "resume")


def restore(
    work: Path,
    identity: dict[str, Any],
    promised: Iterable[tuple[int, str]],
    model: nn.Module,
    state: Mapping[str, Tensor],
    device: torch.device,
) -> tuple[int, list[list[Any]]]:
    """Restore the state of an earlier run; return its last epoch and its rows, or 0 and none for a fresh start.

    What waits for the epochs up to then, by epoch and kind, must be there too.
    """
    path = work / _RESUME
    if not path.exists():
        clear(work)
        return 0, []
    try:
        tensors, saved = load_tensors(path, "resume", device)
        epoch, rows = saved["epoch"], saved["rows"]
        names = sorted(identity.keys() | saved["identity"].keys())
        changed = [name for name in names if identity.get(name) != saved["identity"].get(name)]
        for kept, kind in promised:
            if kept <= epoch:
                load_metadata(kept_file(work, kept, kind), kind)
    except (FileError, KeyError) as error:
        log.warning("starting afresh, for the earlier run cannot be continued: %s", error)
        clear(work)
        return 0, []
    if changed:
        log.warning("starting afresh, for something changed since the earlier run: %s", ", ".join(changed))
        clear(work)
        return 0, []
    model.load_state_dict({n.removeprefix("model/"): t for n, t in tensors.items() if n.startswith("model/")})
    for name, tensor in state.items():
        tensor.copy_(tensors[f"optimizer/{name}"])
    return epoch, rows


def write_table(path: Path, rows: list[list[Any]]) -> None:
    """Write the table of the epochs."""
    with atomic(path) as temporary, open(temporary, "w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(COLUMNS)
        writer.writerows(rows)


def publish(source: Path, target: Path) -> None:
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


def clear(work: Path) -> None:
    """Remove the work folder, its resume state first: what remains after a kill is then never mistaken for whole."""
    if not work.is_dir():
        return
    (work / _RESUME).unlink(missing_ok=True)
    for path in work.iterdir():
        if path.suffix in (".safetensors", ".csv", ".tmp"):
            path.unlink(missing_ok=True)
    if not any(work.iterdir()):
        work.rmdir()
