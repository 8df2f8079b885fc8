"""What a job takes: time and memory, estimated from its work before it starts.

The work of a job is counted in trainings of a network, matchings of two networks and evaluations of one network. What
each of them costs follows from the layers of the model, its width and the data set by closed formulas. The constants of
a CPU were fitted to the benchmarks of 90 finished jobs (digits, MNIST and CIFAR-10, one core with AVX-512), which took
from a quarter to twice of what is estimated. Those of a GPU, a large one, are assumptions that no benchmark has tested.
"""

import functools
import math
from typing import NamedTuple


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


class Images(NamedTuple):
    """The size of the data set."""

    train: int
    held_out: int
    test: int
    shape: tuple[int, int, int]
    classes: int

    @property
    def megabytes(self):
        return (self.train + self.held_out + self.test) * math.prod(self.shape) / 2**20


@functools.cache
def images():
    """The size of the data set of the study; image files of a folder of one's own are counted."""
    settings = config["data"]
    if settings["name"] in DATA_SETS:
        train, test, shape, classes = DATA_SETS[settings["name"]]
    else:
        folder = Path(settings["data_dir"]).expanduser()
        split = (folder / "train").is_dir()
        counted = {path: sum(len(files) for *_, files in os.walk(path, followlinks=True)) for path in folder.glob("*")}
        train = counted[folder / "train"] if split else round(0.8 * sum(counted.values()))
        test = counted.get(folder / "test", 0) if split else sum(counted.values()) - train
        shape = (3, settings["image_size"], settings["image_size"])
        classes = len(list(folder.glob("train/*"))) if split else len(counted)
    held_out = round(train * settings["held_out"])
    return Images(train - held_out, held_out, test, shape, classes)


class Layer(NamedTuple):
    """A convolution, or at one position a linear layer: inputs of one output, outputs, positions of an image."""

    inputs: int
    outputs: int
    positions: int


def layers(model, width):
    """The layers of a network of the model."""
    channels, *sides = images().shape
    found = []

    def convolve(outputs):
        nonlocal channels
        found.append(Layer(9 * channels, outputs, math.prod(sides)))
        channels = outputs

    family = model.get("family")
    if family == "mlp":
        sizes = [channels * math.prod(sides), *(round(width * multiple) for multiple in model["hidden"])]
        return [Layer(a, b, 1) for a, b in zip(sizes, [*sizes[1:], images().classes])]
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
        # ResNet-20, which stands for a network of the user's own too, at a width of at least 64.
        width = width if family else max(64, width)
        convolve(width)
        for stage, multiple in enumerate((1, 2, 4)):
            if stage:
                sides = [math.ceil(side / 2) for side in sides]
                found.append(Layer(channels, width * multiple, math.prod(sides)))
            for _ in range(6):
                convolve(width * multiple)
    return [*found, Layer(channels, images().classes, 1)]


class Work:
    """What a job of a rule does, and so what it takes.

    Each of the arguments is a number (or a list), or a function from the wildcards of the job to it.

    Args:
        trainings: networks that it trains, one after another.
        pairs: pairs of networks that it matches by each method.
        methods: the settings of these methods.
        evaluations: networks that it evaluates on the images of the section `barrier`.
        correction: how the statistics of these are corrected.
        networks: networks that it has in memory.
        reads: files of images that it decodes.
    """

    def __init__(self, *, trainings=0, pairs=0, methods=(), evaluations=0, correction=None, networks=1, reads=0):
        self.given = {"trainings": trainings, "pairs": pairs, "methods": methods, "evaluations": evaluations}
        self.given |= {"correction": correction, "networks": networks, "reads": reads}

    def gpu(self, wildcards):
        """The GPUs of a job: none where the study has none, for what has no model, and to match small networks."""
        if not config["resources"]["gpu"] or "model" not in wildcards.keys():
            return 0
        found, *_ = self._of(wildcards, CPU)
        only_matches = found["pairs"] and not found["evaluations"]
        return int(not only_matches or self.seconds(wildcards, CPU) > MATCHED_ON_CPU_S)

    def _of(self, wildcards, machine=None):
        """The arguments for these wildcards, the machine, and the layers of the model, none where there is no model."""
        found = {key: value(wildcards) if callable(value) else value for key, value in self.given.items()}
        has_model = "model" in wildcards.keys()
        network = layers(MODELS[wildcards.model], int(wildcards.width)) if has_model else []
        found["compiles"] = bool(network and found["trainings"] and training_of(wildcards)["compile"])
        if machine is None:
            machine = GPU if self.gpu(wildcards) and config["resources"]["device"] == "cuda" else CPU
        return found, machine, network

    def seconds(self, wildcards, machine=None):
        """The seconds that a job is expected to take, on a machine other than its own if one is given."""
        found, machine, network = self._of(wildcards, machine)
        size = images()
        if not network:
            return machine.startup_s + found["reads"] / READ_PER_S + size.megabytes / WRITTEN_MB_PER_S
        settings, measured = training_of(wildcards), config["barrier"]
        operations = sum(2 * layer.inputs * layer.outputs * layer.positions for layer in network)
        elements = sum(layer.outputs * layer.positions for layer in network)
        threads = 1 if machine is GPU else config["resources"]["threads"]

        def forward(count, batch):
            speed = operations / machine.operations + elements / machine.elements
            return count * speed / threads + math.ceil(count / batch) * len(network) / machine.layers

        def match(method):
            # What decides is the Gram matrix of the units of each layer, and the assignment of these units.
            columns = sum(layer.inputs * layer.outputs**2 for layer in network)
            taken = sum(layer.outputs**3 for layer in network[:-1]) / machine.assigned
            if method["algorithm"] != "activations":
                return 4 * method.get("restarts", 1) * (columns / machine.operations / threads + taken)
            count = min(size.train, method.get("n_images", size.train))
            products = count * sum(2 * layer.positions * layer.outputs**2 for layer in network)
            return 2 * forward(count, method.get("batch_size", 512)) + products / machine.operations / threads + taken

        training = settings["epochs"] * (3 * forward(size.train, settings["batch_size"]) + forward(size.test, 512))
        seen = min(size.train, measured["train_images"]) + size.test + size.held_out
        passes = {"none": 0, "reset": 1, "repair": 3}[found["correction"] or measured["correction"]]
        seen += passes * min(size.train, measured["fit_images"])
        return (
            machine.startup_s
            + found["compiles"] * COMPILATION_S
            + found["trainings"] * training
            + found["pairs"] * sum(match(method) for method in found["methods"])
            + found["evaluations"] * forward(seen, measured["batch_size"])
        )

    def memory(self, wildcards):
        """The megabytes that a job is expected to need at most."""
        found, machine, network = self._of(wildcards)
        size = images()
        parameters = sum(layer.inputs * layer.outputs for layer in network)
        # Bytes as read, then float32, once for a split and once for the part of it that is in hand.
        data = 9 * size.megabytes
        # Permuted copies, gradients and the state of the optimiser.
        states = (found["networks"] + 8) * parameters * 4 / 2**20
        batch = max(512, config["barrier"]["batch_size"], config["training"]["batch_size"])
        maps = 4 * batch * sum(layer.outputs * layer.positions for layer in network) * 4 / 2**20
        if found["methods"]:
            # Gram matrices of all layers, and the assignment problem of the largest in float64.
            maps += sum(layer.outputs**2 for layer in network) * 16 / 2**20
        return machine.memory_mb + found["compiles"] * COMPILATION_MB + data + states + maps

    def runtime(self, wildcards, attempt):
        """The time limit of a job in minutes."""
        return math.ceil(MINUTES_MORE + SLOWER * self.seconds(wildcards) / 60) * attempt

    def mem_mb(self, wildcards, attempt):
        """The memory limit of a job in megabytes."""
        return math.ceil(1.2 * self.memory(wildcards) / 500) * 500 * attempt


def files_to_decode(wildcards):
    """The number of image files that become part of the data set, 0 where it comes in one piece."""
    return 0 if config["data"]["name"] in DATA_SETS else sum(images()[:3])


def points_of_paths(wildcards):
    """The points on the paths of a measure job: of each pair once, and by a method in each third network's frame too."""
    unpermuted = config["methods_together"] or wildcards.method == "none"
    times = unpermuted + len(methods_of(wildcards)) * (len(SEEDS) - 1) + len(frames_of(wildcards))
    return times * len(PAIRS) * config["barrier"]["points"]


def hybrids(wildcards):
    """The pairs of hybrids of a layers job: of each pair of networks and epoch four for each layer, and one without."""
    depth = len(layers(MODELS[wildcards.model], int(wildcards.width)))
    return (4 * depth + 1) * len(HISTORY_PAIRS) * len(REWOUND)


def matchings_of_frames(wildcards):
    """What the frames of a job are counted as: matchings of two networks, for each pair of networks."""
    found = []
    for frame in settings_of_frames(wildcards):
        options = frame["options"]
        if frame["similarity"] == "activations":
            times = 2
        elif frame["algorithm"] == "universe":
            times = 4 + 8 * options.get("climbs", 5)
        elif frame["algorithm"] == "ste":
            times = 4 + options.get("steps", 200) // 4
        else:
            times = 4
        found += times * [{**options, "algorithm": frame["similarity"]}]
    return found


def points_of_frames(wildcards):
    """The points at which frames found through the loss are compared, after each step."""
    found = [frame["options"] for frame in settings_of_frames(wildcards) if frame["algorithm"] == "ste"]
    return sum(options.get("steps", 200) * (1 + options.get("points", 8)) for options in found)
