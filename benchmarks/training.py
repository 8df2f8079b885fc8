"""Training and barrier evaluation against plain loops, side by side in one run.

    python benchmarks/training.py --data-dir FOLDER   (where MNIST lies; random images of its size without)

The plain loop is the one of tutorials: a DataLoader, transforms of one sample at a time, torch.optim, the loss read at
every step, float32. It trains the same network on the same images with the same settings. Each way of training has
processes of its own, as in use, and they take turns: the time of layer norm was seen to depend on what ran before in
the same process. The floor is the time that the floating-point operations of a step take at the rate of a large matrix
product, measured in the same run.
"""

import argparse
import csv
import logging
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.data import DataLoader
from torch.utils.flop_counter import FlopCounterMode
from torchvision import transforms
from torchvision.transforms.functional import to_pil_image

from onebasin import barrier, data, models, seeding, train

BATCH = 128
TEST = 10  # Our epochs end with the test images, the plain ones do not.
SGD: dict[str, Any] = {"batch_size": BATCH, "optimizer": "sgd", "lr": 0.01, "momentum": 0.9, "weight_decay": 1e-4}
MEASURED = 3  # epochs of a process, after a first one that makes kernels and fills memory
PLAIN = "plain"
DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16}
WAYS: dict[str, dict[str, Any]] = {
    f"{precision}{', compiled' * compiled}": {"precision": precision, "compile": compiled}
    for compiled in (False, True)
    for precision in DTYPES
}
# What jobs of a study have in their environment (workflow/rules/common.smk), and a check of torch.compile left out that
# takes ten seconds in each process.
JOB = {
    "MALLOC_MMAP_THRESHOLD_": str(32 * 2**20),
    "MALLOC_TRIM_THRESHOLD_": str(2**30),
    "TORCHINDUCTOR_VEC_ISA_OK": "1",
}


class Samples(torch.utils.data.Dataset[tuple[Tensor, int]]):
    """The training images one by one, each transformed when it is asked for."""

    def __init__(self, dataset: data.Dataset, augment: bool) -> None:
        self.images = [to_pil_image(image) for image in dataset.train_images]
        self.labels = dataset.train_labels.tolist()
        size = dataset.image_shape[1]
        random = [transforms.RandomCrop(size, padding=4), transforms.RandomHorizontalFlip()] if augment else []
        scale = transforms.Normalize((dataset.mean / 255).tolist(), (dataset.std / 255).tolist())
        self.transform = transforms.Compose([*random, transforms.ToTensor(), scale])

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        return self.transform(self.images[index]), self.labels[index]


def network(dataset: data.Dataset, family: str, **options: Any) -> nn.Module:
    """Build and initialise a network."""
    model = models.build(family, image_shape=dataset.image_shape, classes=dataset.classes, **options)
    models.initialise(model, seeding.generator("benchmark"))
    return model


def random_images(shape: tuple[int, int, int], n: int) -> data.Dataset:
    """Give random images with random labels of 10 classes."""
    generator = seeding.generator("benchmark", "images")
    images = torch.randint(256, (n, *shape), generator=generator, dtype=torch.uint8)
    labels = torch.randint(10, (n,), generator=generator)
    return data.Dataset("random", images, labels, images[:TEST], labels[:TEST], 10)


def plain_epochs(model: nn.Module, dataset: data.Dataset, augment: bool, workers: int, device: str) -> Iterator[float]:
    """Train as tutorials do; give the seconds of each epoch."""
    model.to(device).train()
    optimizer = torch.optim.SGD(model.parameters(), lr=SGD["lr"], momentum=0.9, weight_decay=1e-4)
    loader = DataLoader(
        Samples(dataset, augment), BATCH, shuffle=True, num_workers=workers, persistent_workers=workers > 0
    )
    while True:
        start, total = time.perf_counter(), 0.0
        for images, labels in loader:
            optimizer.zero_grad()
            loss = F.cross_entropy(model(images.to(device)), labels.to(device))
            loss.backward()
            optimizer.step()
            total += loss.item()
        yield time.perf_counter() - start


def our_epochs(model: nn.Module, dataset: data.Dataset, settings: train.Settings, device: str) -> list[float]:
    """Train as a study does; return the seconds of each epoch."""
    with tempfile.TemporaryDirectory() as folder:
        table = Path(folder, "training.csv")
        train.train(
            model,
            dataset,
            settings,
            seed_address=("benchmark",),
            checkpoints={},
            table=table,
            work=Path(folder, "work"),
            metadata={},
            device=device,
        )
        return [float(row["seconds"]) for row in csv.DictReader(table.read_text().splitlines())]


def rate_of_products(dtype: torch.dtype, device: str, size: int | None = None) -> float:
    """Measure floating-point operations per second in products of large matrices."""
    size = size or (2048 if device == "cpu" else 8192)
    matrix = torch.randn(size, size, device=device, dtype=dtype)
    return 2 * size**3 / min(seconds(lambda: matrix @ matrix, device) for _ in range(8))


def seconds(work: Callable[[], object], device: str) -> float:
    """Time one call."""
    start = time.perf_counter()
    work()
    if device == "cuda":
        torch.cuda.synchronize()
    return time.perf_counter() - start


def operations(model: nn.Module, dataset: data.Dataset) -> int:
    """Count the floating-point operations of a training step."""
    images, labels = dataset.tensors("train", limit=BATCH)
    with FlopCounterMode(display=False) as counter:
        F.cross_entropy(model(images), labels).backward()
    return counter.get_total_flops()


def forward_operations(model: nn.Module, images: Tensor) -> int:
    """Count the floating-point operations of a forward pass."""
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        model(images)
    return counter.get_total_flops()


class EachEpoch(logging.Handler):
    """Calls a function at the end of each epoch, which training logs; for use in a `with`."""

    def __init__(self, call: Callable[[], None]) -> None:
        super().__init__()
        self.call = call

    def emit(self, record: logging.LogRecord) -> None:
        """Call it."""
        if record.getMessage().startswith("epoch"):
            self.call()

    def __enter__(self) -> None:
        logger = logging.getLogger("onebasin.train")
        logger.addHandler(self)
        logger.setLevel(logging.INFO)

    def __exit__(self, *_: object) -> None:
        logging.getLogger("onebasin.train").removeHandler(self)


def epochs_of(
    way: str,
    dataset: data.Dataset,
    family: str,
    options: dict[str, Any],
    arguments: argparse.Namespace,
    warmed: Callable[[], None] = lambda: None,
) -> None:
    """Train in one of the ways; print the seconds of each epoch but the first, after which `warmed` is called."""
    model = network(dataset, family, **options)
    augment = family != "mlp"
    if way == PLAIN:
        epochs = plain_epochs(model, dataset, augment, arguments.workers, arguments.device)
        next(epochs)
        warmed()
        times = [next(epochs) for _ in range(MEASURED)]
    else:
        settings = train.Settings(
            epochs=MEASURED + 1, augment="flip_crop" if augment else "none", channels_last=True, **WAYS[way], **SGD
        )
        first = iter([warmed])
        with EachEpoch(lambda: next(first, lambda: None)()):
            times = our_epochs(model, dataset, settings, arguments.device)[1:]
    print(*times)


def compare_training(
    title: str, dataset: data.Dataset, family: str, options: dict[str, Any], arguments: argparse.Namespace
) -> None:
    """Time epochs of all ways in turns, and print medians, ratios and the floor."""
    device, steps = arguments.device, -(-len(dataset.train_images) // BATCH)
    times: dict[str, list[float]] = {way: [] for way in (PLAIN, *WAYS)}
    rates: dict[str, list[float]] = {precision: [] for precision in DTYPES}
    for _ in range(arguments.rounds):
        for way, measured in times.items():
            command = [sys.executable, *sys.argv, "--case", title, "--way", way]
            environment = os.environ if way == PLAIN else os.environ | JOB
            output = subprocess.run(command, env=environment, check=True, capture_output=True, text=True).stdout
            measured.append(statistics.median(map(float, output.split())))
        for precision, dtype in DTYPES.items():
            rates[precision].append(rate_of_products(dtype, device))
    work = operations(network(dataset, family, **options), dataset)
    print(f"{title}: {work / 1e9:.2f} GFLOP a step of {BATCH} images, {steps} steps, {arguments.rounds} rounds")
    for way, measured in times.items():
        line = f"  {way:<18} {1e3 * statistics.median(measured) / steps:8.2f} ms a step"
        if way != PLAIN:
            ratios = [slow / fast for slow, fast in zip(times[PLAIN], measured, strict=True)]
            floor = work / statistics.median(rates[WAYS[way]["precision"]])
            line += f"   {statistics.median(ratios):5.2f} times faster (from {min(ratios):.2f} to {max(ratios):.2f})"
            line += f"   floor {1e3 * floor:7.2f} ms"
        print(line, flush=True)


def evaluation_seconds(
    dataset: data.Dataset, family: str, options: dict[str, Any], rounds: int, device: str
) -> tuple[int, list[tuple[float, float]]]:
    """Time as many bare forward passes as a barrier's evaluation needs, and the evaluation, in turns.

    Returns:
        The number of images that each evaluates, and the seconds of both in each round.
    """
    points, size = 5, 1024
    model = network(dataset, family, **options).to(device).eval()
    other = network(dataset, family, **options).to(device)
    states = [model.state_dict(), {key: value + 0.01 for key, value in other.state_dict().items()}]
    images, labels = dataset.tensors("train", limit=10000, device=device)
    weights = barrier.line(points)

    def bare() -> None:
        with torch.inference_mode():
            for _ in range(points):
                for batch in images.split(size):
                    model(batch)

    def ours() -> None:
        barrier.losses(model, states, weights, images, labels, batch_size=size)

    times = [(seconds(bare, device), seconds(ours, device)) for _ in range(rounds + 1)]
    return points * len(images), times[1:]


def compare_barrier(
    title: str, dataset: data.Dataset, family: str, options: dict[str, Any], arguments: argparse.Namespace
) -> None:
    """Print the rate of a barrier's evaluation against that of bare forward passes."""
    count, times = evaluation_seconds(dataset, family, options, arguments.rounds, arguments.device)
    shares = [forward / measured for forward, measured in times]
    print(
        f"{title}: barrier at {statistics.median(shares):.3f} of the rate of a bare forward pass "
        f"(from {min(shares):.3f} to {max(shares):.3f}; {count / times[-1][0]:.0f} images/s)",
        flush=True,
    )


def watch_memory(title: str, dataset: data.Dataset, family: str, epochs: int, device: str, **options: Any) -> None:
    """Print how much memory, in MiB, training takes after its first epochs and after its last."""
    after: list[float] = []

    def read() -> None:
        pages = int(Path("/proc/self/statm").read_text().split()[1])
        after.append(pages * os.sysconf("SC_PAGE_SIZE") / 2**20)

    settings = train.Settings(epochs=epochs, augment="flip_crop", channels_last=True, **SGD)
    with EachEpoch(read):
        our_epochs(network(dataset, family, **options), dataset, settings, device)
    early, late = after[epochs // 4], after[-1]
    print(f"{title}: {early:.1f} MiB after epoch {epochs // 4 + 1}, {late:.1f} MiB after epoch {epochs}")


def cases(small: data.Dataset, coloured: data.Dataset) -> dict[str, tuple[data.Dataset, str, dict[str, Any]]]:
    """Give the networks that are trained: data set, family and options, by title."""
    return {
        "MLP 784-300-100-10": (small, "mlp", {"width": 100, "hidden": [3, 1]}),
        "VGG-16, width 16": (coloured, "vgg16", {"width": 16, "norm": "layer"}),
        "ResNet-20, width 16": (coloured, "resnet20", {"width": 16, "norm": "layer"}),
    }


def main() -> None:
    """Run all comparisons."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data-dir", help="folder of MNIST")
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument("--threads", type=int, default=2, help="of torch on the CPU")
    parser.add_argument("--workers", type=int, default=2, help="processes of the plain loop's DataLoader")
    parser.add_argument("--images", type=int, default=2560, help="of CIFAR-10's size")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--epochs", type=int, default=40, help="in which memory is watched")
    parser.add_argument("--case", help="this network alone")
    parser.add_argument("--way", choices=(PLAIN, *WAYS), help="this way alone, in this process: seconds of its epochs")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    mnist = random_images((1, 28, 28), 60000)
    if arguments.data_dir:
        mnist = data.load("mnist", arguments.data_dir)
        mnist = replace(mnist, test_images=mnist.test_images[:TEST], test_labels=mnist.test_labels[:TEST])
    cifar = random_images((3, 32, 32), arguments.images)
    chosen = cases(mnist, cifar)
    if arguments.case is not None:
        if arguments.case not in chosen:
            parser.error(f"unknown case {arguments.case!r}: give one of {'; '.join(chosen)}")
        chosen = {arguments.case: chosen[arguments.case]}
    if arguments.way is not None:
        for case in chosen.values():
            epochs_of(arguments.way, *case, arguments)
        return
    print(f"{arguments.device}, torch {torch.__version__}, {arguments.threads} threads, {arguments.workers} workers")
    for title, case in chosen.items():
        compare_training(title, *case, arguments)
    for title, case in chosen.items():
        compare_barrier(title, *case, arguments)
    small = random_images((3, 32, 32), 4 * BATCH)
    watch_memory("VGG-16, width 8", small, "vgg16", arguments.epochs, arguments.device, width=8, norm="layer")


if __name__ == "__main__":
    main()
