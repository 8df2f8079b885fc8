"""Weight matching against a plain implementation of the same algorithm, side by side in one run.

    python benchmarks/weight_matching.py --data-dir FOLDER   (where MNIST lies, or is downloaded to)

The plain one does what the published pseudo-code says: in every sweep it visits every group, permutes all parameters of
network b, sums the Gram matrices of the group's axes and solves the assignment, until a sweep changes nothing.
"""

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from scipy.optimize import linear_sum_assignment

from onebasin import checkpoint, data, match, models, seeding, symmetry, train
from onebasin.permutation import Permutation

State = dict[str, torch.Tensor]


def plain(sym: symmetry.Symmetry, a: State, b: State, seed: int = 0) -> tuple[float, int]:
    """Match as the pseudo-code says; return the objective and the number of sweeps."""
    permutation = {name: np.arange(size) for name, size in sym.sizes.items()}
    names = list(permutation)
    generator = seeding.generator("weight matching", seed, 0)
    sweeps, changed = 0, True
    while changed:
        changed = False
        sweeps += 1
        for index in torch.randperm(len(names), generator=generator).tolist():
            name = names[index]
            held = {**permutation, name: np.arange(len(permutation[name]))}
            moved = sym.apply(Permutation(held), b)
            gram = sum(place.units(a[place.key]) @ place.units(moved[place.key]).T for place in sym.places(name))
            order = linear_sum_assignment(gram.numpy(), maximize=True)[1]
            units = np.arange(len(order))
            gain = (gram[units, order] - gram[units, permutation[name]]).sum().item()
            if gain > 1e-6 * gram[units, order].abs().sum().item():
                permutation[name], changed = order, True
    aligned = sym.apply(Permutation(permutation), b)
    keys = {key for group in sym.groups.values() for key, _ in group.axes}
    return sum(float((a[key].double() * aligned[key].double()).sum()) for key in keys), sweeps


def seconds(work: Callable[[], object]) -> tuple[float, object]:
    """Time one call."""
    start = time.perf_counter()
    result = work()
    return time.perf_counter() - start, result


def compare(title: str, sym: symmetry.Symmetry, pairs: list[tuple[State, State]], rounds: int) -> None:
    """Time both on all pairs in turns, each round with another seed, and print medians and the ratio."""
    ours, theirs = [], []
    for seed in range(rounds):
        for a, b in pairs:
            time_plain, (objective_plain, sweeps_plain) = seconds(lambda a=a, b=b, seed=seed: plain(sym, a, b, seed))
            time_ours, found = seconds(lambda a=a, b=b, seed=seed: match.weights(sym, a, b, seed=seed))
            ours.append((time_ours, found.objective, found.sweeps))
            theirs.append((time_plain, objective_plain, sweeps_plain))
    ratios = [slow[0] / fast[0] for slow, fast in zip(theirs, ours, strict=True)]
    middle = [[statistics.median(values) for values in zip(*rows, strict=True)] for rows in (theirs, ours)]
    print(f"{title}: {len(pairs)} pairs, {rounds} seeds, {torch.get_num_threads()} threads")
    for name, (wall, objective, sweeps) in zip(("plain", "onebasin"), middle, strict=True):
        print(f"  {name:<9} {wall:8.3f} s   objective {objective:10.3f}   sweeps {sweeps:g}")
    quality = [mine[1] / other[1] for mine, other in zip(ours, theirs, strict=True)]
    total = sum(slow[0] for slow in theirs) / sum(fast[0] for fast in ours)
    print(f"  {total:.1f} times faster in all (pairs from {min(ratios):.1f} to {max(ratios):.1f}); ", end="")
    print(
        f"objective {statistics.mean(quality):.4f} of the plain one's (from {min(quality):.4f} to {max(quality):.4f})"
    )


def mlp_networks(
    dataset: data.Dataset, count: int, epochs: int, folder: Path, width: int = 512
) -> tuple[torch.nn.Module, symmetry.Symmetry, list[State]]:
    """Train networks of three hidden layers, or read those that lie in the folder."""
    states: list[State] = []
    for seed in range(count):
        model = models.build("mlp", width=width, image_shape=dataset.image_shape, classes=dataset.classes)
        models.initialise(model, seeding.generator("benchmark", seed))
        settings = train.Settings(epochs=epochs, batch_size=128, optimizer="adam", lr=1e-3)
        path = folder / f"seed{seed}-epoch{epochs}.safetensors"
        if not path.exists():
            train.train(
                model,
                dataset,
                settings,
                seed_address=("benchmark", seed),
                checkpoints={epochs: path},
                table=folder / f"seed{seed}.csv",
                work=folder / "work",
                metadata={},
            )
        states.append(checkpoint.load(path)[0])
    return model, symmetry.discover(model, dataset.tensors("train", limit=2)[0]), states


def vgg_networks(width: int, shared: bool) -> tuple[torch.nn.Module, symmetry.Symmetry, list[State]]:
    """Two VGG-16 with random parameters, independent, or a network and its permuted copy with as much noise again."""
    model = models.build("vgg16", width=width, image_shape=(3, 32, 32), classes=10, norm="layer")
    generator = seeding.generator("benchmark", "vgg16", width)
    models.initialise(model, generator)
    a = {key: value.clone() for key, value in model.state_dict().items()}
    sym = symmetry.discover(model, torch.randn(2, 3, 32, 32, generator=generator))
    models.initialise(model, generator)
    noisy = {key: shared * a[key] + value for key, value in model.state_dict().items()}
    return model, sym, [a, sym.apply(sym.random(generator), noisy)]


def main() -> None:
    """Run both comparisons."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data-dir", default="data", help="folder of MNIST")
    parser.add_argument("--epochs", type=int, default=5)
    parser.add_argument("--networks", type=int, default=3)
    parser.add_argument("--rounds", type=int, default=3, help="each with a seed of its own")
    parser.add_argument("--width", type=int, default=64, help="of VGG-16")
    arguments = parser.parse_args()
    torch.set_num_threads(2)
    for shared, title in ((True, "a permuted copy with noise"), (False, "independent")):
        _, sym, (a, b) = vgg_networks(arguments.width, shared)
        compare(f"VGG-16, width {arguments.width}, {title}", sym, [(a, b)], arguments.rounds)
    with tempfile.TemporaryDirectory() as folder:
        dataset = data.load("mnist", arguments.data_dir)
        _, sym, states = mlp_networks(dataset, arguments.networks, arguments.epochs, Path(folder))
    pairs = [(states[a], states[b]) for a in range(len(states)) for b in range(a + 1, len(states))]
    compare("MLP 3x512 on MNIST", sym, pairs, arguments.rounds)


if __name__ == "__main__":
    main()
