"""What `benchmarks/gpu.sh` measures: each part prints a piece of Markdown.

    python benchmarks/gpu_measurements.py training --device cuda

Every ratio is of two measurements of one run. Where something fails, the rest is measured all the same, and the exit
status is 1.
"""

import argparse
import datetime
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import torch
import training
from torch import Tensor, nn
from weight_matching import mlp_networks, vgg_networks

from onebasin import data, match, symmetry

AIM = 5  # times the plain loop
SAME = 1e-3  # relative difference of two objectives that count as the same
PATIENCE_S = 240  # for one network trained in one way
SEVERAL = 3, 6  # networks trained at once; the studies of CIFAR-10 say 3

Case = tuple[data.Dataset, str, dict[str, Any]]


class Way(NamedTuple):
    """A way of training, and how many processes do it at once."""

    name: str
    at_once: int


class Lost(Exception):
    """A measurement that failed."""


def cases(tiny: bool) -> dict[str, Case]:
    """Give the networks that are trained and evaluated: data set, family and options, by title."""
    count = training.BATCH if tiny else 100 * training.BATCH
    grey, coloured = training.random_images((1, 28, 28), count), training.random_images((3, 32, 32), count)
    found = training.cases(grey, coloured)
    if tiny:
        return {
            title.replace("16, width 16", "16, width 2").replace("20, width 16", "20, width 2"): (
                dataset,
                family,
                {**options, "width": 2} if family != "mlp" else options,
            )
            for title, (dataset, family, options) in found.items()
        }
    return found


def peaks(arguments: argparse.Namespace) -> dict[str, float]:
    """Measure and print the rates of large products; a CPU has no TF32."""
    size = 512 if arguments.tiny else None
    rates = {name: training.rate_of_products(dtype, arguments.device, size) for name, dtype in training.DTYPES.items()}
    if arguments.device == "cuda":
        torch.set_float32_matmul_precision("high")
        rates["TF32"] = training.rate_of_products(torch.float32, arguments.device, size)
        torch.set_float32_matmul_precision("highest")
    named = ", ".join(f"{rate / 1e12:.3g} in {name}" for name, rate in rates.items())
    print(f"Peak, as products of large matrices reach it in this run, in TFLOP/s: {named}.\n", flush=True)
    return rates


def row(*cells: object) -> None:
    """Print a row of a table."""
    print(f"| {' | '.join(map(str, cells))} |", flush=True)


def header(*cells: str) -> None:
    """Print the head of a table."""
    row(*cells)
    print("|" + "---|" * len(cells), flush=True)


def card(arguments: argparse.Namespace) -> bool:
    """Say what the measurements are taken on."""
    cuda = arguments.device == "cuda"
    driver = "none"
    if shutil.which("nvidia-smi"):
        query = ["nvidia-smi", "--query-gpu=driver_version", "--format=csv,noheader"]
        driver = subprocess.run(query, capture_output=True, text=True).stdout.partition("\n")[0].strip() or "unknown"
    facts = {
        "card": torch.cuda.get_device_name() if cuda else "none, the CPU stands in for it",
        "memory": f"{torch.cuda.get_device_properties(0).total_memory / 2**30:.0f} GiB" if cuda else "none",
        "driver": driver,
        "torch": f"{torch.__version__}, CUDA {torch.version.cuda}",
        "processor cores": os.cpu_count(),
        "date": datetime.date.today().isoformat(),
    }
    header("what", "is")
    for name, value in facts.items():
        row(name, value)
    return True


def train_at_once(title: str, way: Way, arguments: argparse.Namespace) -> list[float]:
    """Train in as many processes at once; return the median seconds of an epoch in each.

    Each process waits after its first epoch until all have finished theirs, so that none is measured alone.
    """
    options = ["--case", title, "--way", way.name, "--device", arguments.device, *["--tiny"] * arguments.tiny]
    command = [sys.executable, __file__, "way", *options]
    environment = os.environ if way.name == training.PLAIN else os.environ | training.JOB
    deadline = time.monotonic() + PATIENCE_S
    with tempfile.TemporaryFile("w+") as errors:
        processes = [
            subprocess.Popen(
                ["timeout", str(PATIENCE_S), *command],
                env=environment,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
            )
            for _ in range(way.at_once)
        ]
        try:
            ready = [process.stdout.readline() for process in processes if process.stdout]
            if all(ready):
                outputs = [_released(process) for process in processes]
                outputs = [output.read() for output in outputs]
                codes = [process.wait() for process in processes]
        finally:
            for process in processes:
                process.terminate()
                process.communicate()
        if not all(ready) or any(codes):
            if time.monotonic() > deadline:
                raise Lost(f"took more than {PATIENCE_S} s")
            errors.seek(0)
            raise Lost((errors.read().strip() or "ended without a word").splitlines()[-1])
    return [statistics.median(map(float, output.split())) for output in outputs]


def _released(process: "subprocess.Popen[str]") -> Any:
    assert process.stdin is not None
    process.stdin.write("go\n")
    process.stdin.flush()
    return process.stdout


def one_way(arguments: argparse.Namespace) -> bool:
    """Train in one way, in this process, for `train_at_once`."""

    def wait() -> None:
        print("ready", flush=True)
        sys.stdin.readline()

    torch.set_num_threads(arguments.threads)
    training.epochs_of(arguments.way, *cases(arguments.tiny)[arguments.case], arguments, warmed=wait)
    return True


def ways(tiny: bool) -> list[Way]:
    """List the ways of training, the plain one first."""
    if tiny:
        return [Way(training.PLAIN, 1), Way("bfloat16", 1), Way("bfloat16", 2)]
    alone = [Way(name, 1) for name in (training.PLAIN, "float32", "bfloat16", "bfloat16, compiled")]
    most = SEVERAL[-1]
    together = [Way("bfloat16", count) for count in SEVERAL]
    return [*alone, Way(training.PLAIN, most), *together, Way("bfloat16, compiled", most)]


def train(arguments: argparse.Namespace) -> bool:
    """Compare training with the plain loop, one network and several at once."""
    print(
        "The plain loop is the one of tutorials: a DataLoader with worker processes, transforms of single samples, "
        "`torch.optim`, the loss read at every step, float32. Several networks at once are as many processes, as jobs "
        "of a study that share the card; their speed is that of all of them together, and is compared with one plain "
        f"loop. A step is of {training.BATCH} images. Each plain loop has {arguments.workers} of these processes. "
        "Images are random. The peak is that of the precision; for convolutions in float32 on a card it is TF32, in "
        "which they compute.\n"
    )
    rates = peaks(arguments)
    header(
        "network",
        "way",
        "at once",
        "ms a step of each",
        "steps/s of all",
        "times the plain loop",
        "TFLOP/s",
        "of the peak",
    )
    fine, reached = True, []
    networks = cases(arguments.tiny)
    allotted = arguments.seconds / len(networks)
    for title, (dataset, family, options) in networks.items():
        steps = -(-len(dataset.train_images) // training.BATCH)
        work = training.operations(training.network(dataset, family, **options), dataset)
        speeds: dict[Way, list[float]] = {way: [] for way in ways(arguments.tiny)}
        failed: dict[Way, str] = {}
        began, rounds = time.monotonic(), 0
        while not rounds or (rounds + 1) * (time.monotonic() - began) / rounds < allotted:
            for way, measured in speeds.items():
                if way in failed:
                    continue
                try:
                    measured.append(sum(steps / epoch for epoch in train_at_once(title, way, arguments)))
                except Lost as error:
                    failed[way] = str(error)
            rounds += 1
            if arguments.tiny:
                break
        plain = speeds[Way(training.PLAIN, 1)]
        best = 0.0
        for way, measured in speeds.items():
            if way in failed or not plain:
                row(title, way.name, way.at_once, f"failed: {failed.get(way, 'no plain loop')}", *[""] * 4)
                fine = False
                continue
            speed = statistics.median(measured)
            times = statistics.median(ours / theirs for ours, theirs in zip(measured, plain, strict=False))
            precision = "bfloat16" if "bfloat16" in way.name else "TF32" if family != "mlp" else "float32"
            share = speed * work / rates.get(precision, rates["float32"])
            if way.name != training.PLAIN:
                best = max(best, times)
            cells = f"{1e3 * way.at_once / speed:.2f}", f"{speed:.1f}", f"{times:.2f}", f"{speed * work / 1e12:.3g}"
            row(title, way.name, way.at_once, *cells, f"{share:.1%}")
        reached.append(f"{title}: {best:.2f} times, {'reached' if best >= AIM else 'not reached'} (rounds: {rounds}).")
    print(f"\nThe aim is {AIM} times the plain loop, in the best way. {' '.join(reached)}")
    return fine


def evaluate(arguments: argparse.Namespace) -> bool:
    """Compare the evaluation of a barrier with bare forward passes and with the peak."""
    print(
        "A barrier of five points is evaluated on random images in batches of 1,024, in float32, against as many bare "
        "forward passes of one network. Convolutions of a card compute in TF32.\n"
    )
    rates = peaks(arguments)
    networks = cases(arguments.tiny)
    if not arguments.tiny:
        coloured, family, options = networks["VGG-16, width 16"]
        networks["VGG-16, width 64"] = coloured, family, {**options, "width": 64}
    header("network", "images/s", "share of the bare rate", "TFLOP/s", "of float32 peak", "of TF32 peak")
    for title, (dataset, family, options) in networks.items():
        count, times = training.evaluation_seconds(
            dataset, family, options, 1 if arguments.tiny else 5, arguments.device
        )
        bare, ours = (statistics.median(column) for column in zip(*times, strict=True))
        share = statistics.median(forward / measured for forward, measured in times)
        model = training.network(dataset, family, **options)
        images = dataset.tensors("train", limit=training.BATCH)[0]
        rate = training.forward_operations(model, images) / len(images) * count / ours
        tf32 = f"{rate / rates['TF32']:.1%}" if "TF32" in rates else "none"
        row(title, f"{count / ours:.0f}", f"{share:.3f}", f"{rate / 1e12:.3g}", f"{rate / rates['float32']:.1%}", tf32)
    return True


def compare_matching(arguments: argparse.Namespace) -> bool:
    """Match the same networks on the card and on the CPU."""
    print(
        "The same networks are matched on both: two MLPs trained on scikit-learn's digits, and a VGG-16 of random "
        "parameters with its permuted copy, to which as much noise was added. Seconds are medians after a first "
        f"matching. Objectives are the same when they differ by less than {SAME:g} of themselves.\n"
    )
    units, width, count = (32, 2, 32) if arguments.tiny else (512, 64, 1000)
    with tempfile.TemporaryDirectory() as folder:
        digits = data.load("digits")
        mlp, of_mlp, states_of_mlp = mlp_networks(digits, 2, 1 if arguments.tiny else 5, Path(folder), units)
    coloured = training.random_images((3, 32, 32), count).tensors("train")[0]
    vgg, of_vgg, states_of_vgg = vgg_networks(width, shared=True)
    subjects = {
        f"MLP 3x{units}": (mlp, of_mlp, states_of_mlp, digits.tensors("train", limit=count)[0]),
        f"VGG-16, width {width}": (vgg, of_vgg, states_of_vgg, coloured),
    }
    header("network", "method", "s on the CPU", "s on the card", "ratio", "objective on the CPU", "on the card", "same")
    fine = True
    for title, subject in subjects.items():
        for method in ("weights", "activations"):
            repeats = 1 if arguments.tiny else 3
            slow, expected = _match(method, *subject, "cpu", repeats)
            fast, found = _match(method, *subject, arguments.device, repeats)
            same = abs(found - expected) <= SAME * abs(expected)
            fine &= same
            times = f"{slow:.3f}", f"{fast:.3f}", f"{slow / fast:.2f}"
            row(title, method, *times, f"{expected:.6g}", f"{found:.6g}", "yes" if same else "no")
    return fine


def _match(
    method: str,
    model: nn.Module,
    sym: symmetry.Symmetry,
    states: Sequence[symmetry.State],
    images: Tensor,
    device: str,
    repeats: int,
) -> tuple[float, float]:
    """Match two networks on a device; return the median seconds after a first time, and the objective."""
    a, b = ({key: value.to(device) for key, value in state.items()} for state in states)
    model, images = model.to(device), images.to(device)
    found: list[match.Match] = []

    def work() -> None:
        if method == "weights":
            found.append(match.weights(sym, a, b))
        else:
            found.append(match.activations(sym, a, b, model=model, images=images))

    times = [training.seconds(work, device) for _ in range(repeats + 1)]
    return statistics.median(times[1:]), found[-1].objective


PARTS = {
    "card": card,
    "training": train,
    "evaluation": evaluate,
    "matching": compare_matching,
    "way": one_way,
}


def main() -> None:
    """Print one part."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("part", choices=PARTS)
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cuda")
    parser.add_argument("--tiny", action="store_true", help="sizes with which a CPU is done in a moment")
    parser.add_argument("--seconds", type=float, default=600, help="in which training is measured again and again")
    parser.add_argument("--workers", type=int, default=min(4, os.cpu_count() or 1), help="of a plain loop")
    parser.add_argument("--threads", type=int, default=2, help="of torch in each process that trains")
    parser.add_argument("--case", help="for the part `way`: the network")
    parser.add_argument("--way", choices=(training.PLAIN, *training.WAYS), help="for the part `way`")
    arguments = parser.parse_args()
    if arguments.tiny:
        arguments.threads = arguments.workers = 1
        torch.set_num_threads(1)
    sys.exit(not PARTS[arguments.part](arguments))


if __name__ == "__main__":
    main()
