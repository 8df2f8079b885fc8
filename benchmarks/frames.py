"""The methods for n networks side by side in one run, on networks of three hidden layers of 512 units on MNIST.

    python benchmarks/frames.py --data-dir FOLDER   (where MNIST lies, or is downloaded to)

For each method and similarity: seconds (wall and processor), the mean objective of a pair and its ratio to that of the
best reference, the loss of the average of all networks, and the largest and the mean barrier of a pair.
"""

import argparse
import tempfile
import time
from itertools import combinations
from pathlib import Path

import torch
from weight_matching import mlp_networks

from onebasin import barrier, data, match, symmetry

ALPHAS = 9
SIMILARITIES = ("weights", "activations")


def describe(
    model: torch.nn.Module, networks: list[symmetry.State], splits: dict[str, tuple[torch.Tensor, torch.Tensor]]
) -> str:
    """Measure the average of all networks, and the line between each pair."""
    parts = []
    line = barrier.line(ALPHAS)
    curves = [barrier.measure(model, pair, line, splits) for pair in combinations(networks, 2)]
    average = torch.full((1, len(networks)), 1 / len(networks), dtype=torch.float64)
    merged = barrier.measure(model, networks, average, splits)
    for split in splits:
        heights = [barrier.height(line[:, 1].numpy(), curve[split].error) for curve in curves]
        losses = [barrier.height(line[:, 1].numpy(), curve[split].loss) for curve in curves]
        parts.append(
            f"{split}: merged loss {merged[split].loss[0]:.3f} error {merged[split].error[0]:.3f}, "
            f"mean barrier of a pair {sum(losses) / len(losses):.3f} nats, error {sum(heights) / len(heights):.3f}"
        )
    return "; ".join(parts)


def main() -> None:
    """Run all methods."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data-dir", default="data", help="folder of MNIST")
    parser.add_argument("--keep", type=Path, help="folder where the networks are kept, and found by the next run")
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--networks", type=int, default=5)
    parser.add_argument("--images", type=int, default=2000, help="on which barriers and activations are measured")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument("--similarities", nargs="+", choices=SIMILARITIES, default=SIMILARITIES)
    parser.add_argument("--steps", type=int, default=500, help="of sinkhorn")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    dataset = data.load("mnist", arguments.data_dir)
    with tempfile.TemporaryDirectory() as temporary:
        folder = arguments.keep or Path(temporary)
        model, sym, found = mlp_networks(dataset, arguments.networks, arguments.epochs, folder)
    model = model.to(arguments.device)
    states = {
        seed: {key: tensor.to(arguments.device) for key, tensor in state.items()} for seed, state in enumerate(found)
    }
    splits = {
        split: dataset.tensors(split, limit=arguments.images, device=arguments.device) for split in ("train", "test")
    }
    images, labels = splits["train"]
    print(f"{len(states)} networks 3x512, {arguments.epochs} epochs, {torch.get_num_threads()} threads")
    print(f"  as trained: {describe(model, list(states.values()), splits)}", flush=True)
    for similarity in arguments.similarities:
        best = 0.0
        for name, method in match.FRAMES.items():
            options = {"labels": labels, "steps": arguments.steps} if name == "sinkhorn" else {}
            processor = time.process_time()
            frame = method(sym, states, model=model, images=images, similarity=similarity, **options)
            processor = time.process_time() - processor
            mean = sum(frame.objectives.values()) / len(frame.objectives)
            best = mean if name == "reference" else best
            aligned = [sym.apply(frame.permutations[seed], states[seed]) for seed in states]
            print(
                f"  {name} of {similarity}: {frame.seconds:.1f} s ({processor:.1f} s of processors), "
                f"{frame.iterations} iterations, objective {mean:.4g} ({mean / best:.3f} of the reference)\n"
                f"    {describe(model, aligned, splits)}",
                flush=True,
            )


if __name__ == "__main__":
    main()
