"""What a job takes: time and memory, estimated from its work before it starts.

The work of a job is counted in trainings of a network, matchings of two networks and evaluations of one network. What
each of them costs follows from the layers of the model, its width and the data set by closed formulas. The constants of
a CPU were fitted to the benchmarks of 90 finished jobs (digits, MNIST and CIFAR-10, one core with AVX-512), which took
from a quarter to twice of what is estimated. Those of a GPU, a large one, are assumptions that no benchmark has tested.
"""

from __future__ import annotations

import functools
import math
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from workflow import data_file
from workflow.validation import TEXTS

Settings = Mapping[str, Any]


class Machine(NamedTuple):
    """What one thread of a CPU, or a GPU, gets done in a second, and what a job of it takes at least."""

    operations: float  # floating-point operations of matrix products and convolutions
    elements: float  # elements of feature maps, forward or backward, in all that surrounds the products
    layers: float  # layers forward or backward, however small
    assigned: float  # cubes of the number of units of assignment problems
    startup_s: float  # seconds until the work begins
    memory_mb: float  # of a job without data: PyTorch, and Snakemake around it


CPU = Machine(operations=90e9, elements=2.5e8, layers=12e3, assigned=2e9, startup_s=2.5, memory_mb=1000)
GPU = Machine(operations=50e12, elements=1e11, layers=12e3, assigned=2e9, startup_s=20, memory_mb=4000)

# A job may take this much longer than estimated, and this many minutes more, until it is stopped.
SLOWER = 3
MINUTES_MORE = 10

# What torch.compile takes before it is of use: a minute on a core that is not fast, and processes that compile.
COMPILATION_S = 60
COMPILATION_MB = 2000

# Images that sinkhorn sees while it tries exchanges of units, for each matching that a frame counts as: up to 90,000 in
# frames of 4 and of 10 networks of digits, more where more exchanges are kept.
EXCHANGES = 500_000

# A matching that takes a CPU no longer than this asks for no GPU.
MATCHED_ON_CPU_S = 600

# Files of images decoded by a data job, and megabytes unpacked, each in a second.
READ_PER_S = 500
WRITTEN_MB_PER_S = 20

# Training images, test images, shape of an image, classes.
DATA_SETS = {
    "digits": (1437, 360, (1, 8, 8), 10),
    "mnist": (60000, 10000, (1, 28, 28), 10),
    "fashion_mnist": (60000, 10000, (1, 28, 28), 10),
    "cifar10": (50000, 10000, (3, 32, 32), 10),
    "cifar100": (50000, 10000, (3, 32, 32), 100),
    "svhn": (73257, 26032, (3, 32, 32), 10),
    "eurosat": (21600, 5400, (3, 64, 64), 10),
}
# Classes of a file, which its headers do not tell.
UNKNOWN_CLASSES = 10
# Bytes of the text that comes with Python, about as many in all versions.
PYDOC_BYTES = 470_000


class Images(NamedTuple):
    """The size of the data set."""

    train: int
    held_out: int
    test: int
    shape: tuple[int, ...]
    classes: int

    @property
    def megabytes(self) -> float:
        """As bytes of pixels."""
        return (self.train + self.held_out + self.test) * math.prod(self.shape) / 2**20


class Layer(NamedTuple):
    """A convolution, or at one position a linear layer: inputs of one output, outputs, positions of an image."""

    inputs: int
    outputs: int
    positions: int


@dataclass(frozen=True)
class Amount:
    """What a job does.

    Attributes:
        trainings: networks that it trains, one after another.
        matchings: pairs of networks that it matches by each of the methods.
        methods: the settings of these methods.
        evaluations: networks that it evaluates on the images of the section `barrier`.
        correction: how the statistics of these are corrected; as the config says unless it is given.
        networks: networks that it has in memory.
        reads: files of images that it decodes.
    """

    trainings: int = 0
    matchings: int = 0
    methods: Sequence[Settings] = ()
    evaluations: int = 0
    correction: str | None = None
    networks: int = 1
    reads: int = 0


class Estimate:
    """The costs of a study.

    Args:
        config: the checked config.
    """

    def __init__(self, config: Mapping[str, Any]) -> None:
        self.config = config
        self.models = {model["name"]: model for model in config["models"]}

    @functools.cached_property
    def images(self) -> Images:
        """The size of the data set of the study; files of a folder of one's own are counted."""
        settings = self.config["data"]
        folder = Path(settings["data_dir"]).expanduser()
        if settings["name"] in DATA_SETS:
            shape: tuple[int, ...]
            train, test, shape, classes = DATA_SETS[settings["name"]]
        elif settings["name"] == "file":
            found = data_file.shapes(settings["path"])
            count, *sides = found.get("train_images") or found.get("images") or (1000, 1, 28, 28)
            test = found["test_images"][0] if "test_images" in found else count // 5
            train, shape = count - (0 if "test_images" in found else test), tuple(sides)
            text = len(found.get("train_labels") or found.get("labels") or ()) == 2
            classes = 256 if text else UNKNOWN_CLASSES
        elif settings["name"] in TEXTS:
            files = [] if settings["name"] == "pydoc" else folder.rglob("*.txt")
            pieces = (sum(file.stat().st_size for file in files) or PYDOC_BYTES) // settings["context"]
            train, test, shape, classes = pieces - pieces // 5, pieces // 5, (settings["context"],), 256
        else:
            split = (folder / "train").is_dir()
            counted = {
                path: sum(len(files) for *_, files in os.walk(path, followlinks=True)) for path in folder.glob("*")
            }
            train = counted[folder / "train"] if split else round(0.8 * sum(counted.values()))
            test = counted.get(folder / "test", 0) if split else sum(counted.values()) - train
            shape = (3, settings["image_size"], settings["image_size"])
            classes = sum(
                path.is_dir() and not path.name.startswith(".") for path in folder.glob("train/*" if split else "*")
            )
        held_out = round(train * settings["held_out"])
        return Images(train - held_out, held_out, test, shape, classes)

    @property
    def files_to_decode(self) -> int:
        """The number of image files that become part of the data set, 0 where it comes in one piece."""
        return sum(self.images[:3]) if self.config["data"]["name"] == "image_folder" else 0

    def layers(self, model: Settings, width: int) -> list[Layer]:
        """Return the layers of a network.

        Args:
            model: an item of the section `models` of the config.
            width: of the network.
        """
        if len(self.images.shape) == 1:
            # A transformer of four blocks stands for every model of text.
            (context,) = self.images.shape
            block = [Layer(width, 3 * width, context), Layer(width, width, context)]
            block += [Layer(width, 4 * width, context), Layer(4 * width, width, context)]
            return [*4 * block, Layer(width, self.images.classes, context)]
        channels: int
        channels, *sides = self.images.shape
        found: list[Layer] = []

        def convolve(outputs: int) -> None:
            nonlocal channels
            found.append(Layer(9 * channels, outputs, math.prod(sides)))
            channels = outputs

        family = model.get("family")
        if family == "mlp":
            sizes = [channels * math.prod(sides), *(round(width * multiple) for multiple in model["hidden"])]
            return [Layer(a, b, 1) for a, b in zip(sizes, [*sizes[1:], self.images.classes], strict=True)]
        if family == "cnn":
            for index, multiple in enumerate(model["channels"]):
                sides = [side // 2 for side in sides] if index else sides
                convolve(round(width * multiple))
        elif family == "vgg16":
            for multiple, depth in ((1, 2), (2, 2), (4, 3), (8, 3), (8, 3)):
                for _ in range(depth):
                    convolve(width * multiple)
                sides = [side // 2 for side in sides]
        else:
            # ResNet-20, which stands for every other network too, at a width of at least 64.
            width = width if family == "resnet20" else max(64, width)
            convolve(width)
            for stage, multiple in enumerate((1, 2, 4)):
                if stage:
                    sides = [math.ceil(side / 2) for side in sides]
                    found.append(Layer(channels, width * multiple, math.prod(sides)))
                for _ in range(6):
                    convolve(width * multiple)
        return [*found, Layer(channels, self.images.classes, 1)]

    @functools.cache  # noqa: B019
    def layers_of(self, model: str, width: int) -> list[Layer]:
        """Return the layers of a network, by the name of its model."""
        return self.layers(self.models[model], width)

    def training(self, model: str) -> dict[str, Any]:
        """Return the training settings of a model."""
        return {**self.config["training"], **self.models[model]["training"]}


class Work:
    """What the jobs of a rule do, and so what they take.

    Args:
        estimate: of the study.
        amount: what a job does, or a function from its wildcards to it.
    """

    def __init__(self, estimate: Estimate, amount: Amount | Callable[[Any], Amount]) -> None:
        self.estimate = estimate
        self._amount = amount
        self._amounts: dict[tuple[str, ...], Amount] = {}

    def amount(self, wildcards: Any) -> Amount:
        """Return what a job does."""
        if not callable(self._amount):
            return self._amount
        key = tuple(str(getattr(wildcards, name)) for name in sorted(wildcards.keys()))
        if key not in self._amounts:
            self._amounts[key] = self._amount(wildcards)
        return self._amounts[key]

    def gpu(self, wildcards: Any) -> int:
        """Return the GPUs of a job: none where the study has none, for what has no model, to match small networks."""
        if not self.estimate.config["resources"]["gpu"] or "model" not in set(wildcards.keys()):
            return 0
        amount = self.amount(wildcards)
        only_matches = amount.matchings and not amount.evaluations
        return int(not only_matches or self.seconds(wildcards, CPU) > MATCHED_ON_CPU_S)

    def seconds(self, wildcards: Any, machine: Machine | None = None) -> float:
        """Return the seconds that a job is expected to take, on a machine other than its own if one is given."""
        amount, machine, size = self.amount(wildcards), machine or self._machine(wildcards), self.estimate.images
        network = self._network(wildcards)
        if not network:
            return machine.startup_s + amount.reads / READ_PER_S + size.megabytes / WRITTEN_MB_PER_S
        settings, measured = self.estimate.training(wildcards.model), self.estimate.config["barrier"]
        operations = sum(2 * layer.inputs * layer.outputs * layer.positions for layer in network)
        elements = sum(layer.outputs * layer.positions for layer in network)
        threads = 1 if machine is GPU else self.estimate.config["resources"]["threads"]

        def forward(count: int, batch: int) -> float:
            speed = operations / machine.operations + elements / machine.elements
            return count * speed / threads + math.ceil(count / batch) * len(network) / machine.layers

        def match(method: Settings) -> float:
            # What decides is the Gram matrix of the units of each layer, and the assignment of these units.
            columns = sum(layer.inputs * layer.outputs**2 for layer in network)
            if method["algorithm"] == "sinkhorn":
                batch, steps = method.get("batch_size", 256), method.get("steps", 350)
                balanced = sum(80 * layer.outputs**2 for layer in network) / machine.elements
                step = 3 * forward(batch, batch) + (12 * columns / machine.operations + balanced) / threads
                return method.get("restarts", 1) * steps * step + forward(EXCHANGES, 1000)
            taken = sum(layer.outputs**3 for layer in network[:-1]) / machine.assigned
            if method["algorithm"] != "activations":
                search = 4 * method.get("restarts", 1) * (columns / machine.operations / threads + taken)
                if method.get("kernel") != "moments":
                    return search
                # Products of the inputs, and the roots of their moments.
                count = min(size.train, 10_000)
                products = sum(2 * (count * layer.positions + 10 * layer.inputs) * layer.inputs**2 for layer in network)
                return search + 2 * (forward(count, 512) + products / machine.operations / threads)
            count = min(size.train, method.get("n_images", size.train))
            products = count * sum(2 * layer.positions * layer.outputs**2 for layer in network)
            return 2 * forward(count, method.get("batch_size", 512)) + products / machine.operations / threads + taken

        training = settings["epochs"] * (3 * forward(size.train, settings["batch_size"]) + forward(size.test, 512))
        seen = min(size.train, measured["train_images"]) + size.test + size.held_out
        passes = {"none": 0, "reset": 1, "repair": 3}[amount.correction or measured["correction"]]
        seen += passes * min(size.train, measured["fit_images"])
        return (
            machine.startup_s
            + self._compiles(wildcards) * COMPILATION_S
            + amount.trainings * training
            + amount.matchings * sum(match(method) for method in amount.methods)
            + amount.evaluations * forward(seen, measured["batch_size"])
        )

    def memory(self, wildcards: Any) -> float:
        """Return the megabytes that a job is expected to need at most."""
        amount, network = self.amount(wildcards), self._network(wildcards)
        config = self.estimate.config
        parameters = sum(layer.inputs * layer.outputs for layer in network)
        # Bytes as read, then float32, once for a split and once for the part of it that is in hand.
        data = 9 * self.estimate.images.megabytes
        # Permuted copies, gradients and the state of the optimiser.
        states = (amount.networks + 8) * parameters * 4 / 2**20
        batch = max(512, config["barrier"]["batch_size"], config["training"]["batch_size"])
        maps = 4 * batch * sum(layer.outputs * layer.positions for layer in network) * 4 / 2**20
        if amount.methods:
            # Gram matrices of all layers, and the assignment problem of the largest in float64.
            maps += sum(layer.outputs**2 for layer in network) * 16 / 2**20
        if any(method.get("kernel") == "moments" for method in amount.methods):
            maps += sum(layer.inputs**2 for layer in network) * 8 / 2**20
            maps += max(32 * layer.positions * layer.inputs for layer in network) * 8 / 2**20
        compilation = self._compiles(wildcards) * COMPILATION_MB
        return self._machine(wildcards).memory_mb + compilation + data + states + maps

    def runtime(self, wildcards: Any, attempt: int) -> int:
        """Return the time limit of a job in minutes."""
        return math.ceil(MINUTES_MORE + SLOWER * self.seconds(wildcards) / 60) * attempt

    def mem_mb(self, wildcards: Any, attempt: int) -> int:
        """Return the memory limit of a job in megabytes."""
        return math.ceil(1.2 * self.memory(wildcards) / 500) * 500 * attempt

    def _network(self, wildcards: Any) -> list[Layer]:
        """Return the layers of the model of a job, none where it has no model."""
        if "model" not in set(wildcards.keys()):
            return []
        return self.estimate.layers_of(wildcards.model, int(wildcards.width))

    def _machine(self, wildcards: Any) -> Machine:
        on_gpu = self.gpu(wildcards) and self.estimate.config["resources"]["device"] == "cuda"
        return GPU if on_gpu else CPU

    def _compiles(self, wildcards: Any) -> bool:
        trains = "model" in set(wildcards.keys()) and self.amount(wildcards).trainings
        return bool(trains and self.estimate.training(wildcards.model)["compile"])


def in_frames(networks: int) -> int:
    """Return as how many matchings of each kind it counts to bring so many networks into common frames.

    Each network is matched with the others together, a few times, so that this grows with their number: fitted to
    frames of 4 and of 100 networks.
    """
    return math.ceil(1.5 * networks)


def matchings_of(frame: Settings) -> list[dict[str, Any]]:
    """Return what a common frame is counted as: matchings of two networks, as often as `in_frames` says."""
    options = frame["options"]
    if frame["similarity"] == "activations":
        times = 2
    elif frame["algorithm"] == "universe":
        times = 4 + 8 * options.get("climbs", 5)
    else:
        times = 4
    learned = [{**options, "algorithm": "sinkhorn"}] if frame["algorithm"] == "sinkhorn" else []
    return learned + times * [{**options, "algorithm": frame["similarity"]}]
