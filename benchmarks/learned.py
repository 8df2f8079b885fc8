"""Barriers between the default study's networks in frames that are learned, and the processor seconds of learning.

    python benchmarks/learned.py mlp:64x4 cnn:16x4 --seeds 3 --keep FOLDER --table FILE --version NAME

For each model, width and number of networks: means over all pairs, and over seeds of the learning, which the table has
one row each split. Another version of the code is measured on the same networks by the PYTHONPATH of its checkout and
another NAME, which adds its rows to the table.
"""

import argparse
import tempfile
import time
from itertools import combinations
from pathlib import Path

import pandas as pd
import torch
import yaml

from onebasin import barrier, checkpoint, data, match, symmetry, train
from onebasin.study import network

ROOT = Path(__file__).resolve().parents[1]
POINTS = 25
TRAIN_IMAGES = 1000
COLUMNS = ["version", "model", "width", "networks", "split"]


def trained(dataset: data.Dataset, model: dict, width: int, seed: int, training: dict, folder: Path) -> symmetry.State:
    """Train a network as the study does, or read it where it lies in the folder."""
    address = ("network", model["name"], width, seed)
    path = folder / f"{model['name']}{width}-{seed}.safetensors"
    if not path.exists():
        settings = train.Settings(**{key: value for key, value in training.items() if key != "checkpoints"})
        train.train(
            network.initialised(architecture(model), width, dataset, address),
            dataset,
            settings,
            seed_address=address,
            checkpoints={settings.epochs: path},
            table=path.with_suffix(".csv"),
            work=path.with_suffix(".unfinished"),
            metadata={},
        )
    return checkpoint.load(path)[0]


def architecture(model: dict) -> dict:
    """Return what of a model of the config says how it is built."""
    return {key: value for key, value in model.items() if key not in ("name", "widths", "training")}


def main() -> None:
    """Learn and measure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("networks", nargs="+", help="MODEL:WIDTHxNETWORKS of config.yaml, such as mlp:64x4")
    parser.add_argument("--seeds", type=int, default=1, help="of the learning")
    parser.add_argument("--keep", type=Path, help="folder where the networks are kept, and found by the next run")
    parser.add_argument("--table", type=Path, help="a table to which rows are added")
    parser.add_argument("--version", default="this")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    config = yaml.safe_load((ROOT / "config.yaml").read_text())
    models = {model["name"]: model for model in config["models"]}
    dataset = data.load(config["data"]["name"])
    images, labels = dataset.tensors("train")
    splits = {"train": dataset.tensors("train", limit=TRAIN_IMAGES), "test": dataset.tensors("test")}
    line = barrier.line(POINTS)
    rows = []
    with tempfile.TemporaryDirectory() as temporary:
        folder = arguments.keep or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        for name in arguments.networks:
            model = models[name.partition(":")[0]]
            width, count = (int(part) for part in name.partition(":")[2].split("x"))
            training = {**config["training"], **model.get("training", {})}
            states = {seed: trained(dataset, model, width, seed, training, folder) for seed in range(count)}
            module = network.build(architecture(model), width, dataset).eval()
            groups = symmetry.discover(module, images[:2])
            for seed in range(arguments.seeds):
                start = time.process_time()
                frame = match.sinkhorn(groups, states, model=module, images=images, labels=labels, seed=seed)
                seconds = time.process_time() - start
                moved = [groups.apply(found, states[number]) for number, found in frame.permutations.items()]
                curves = [barrier.measure(module, pair, line, splits) for pair in combinations(moved, 2)]
                for split in splits:
                    here = {"version": arguments.version, "model": model["name"], "width": width, "networks": count}
                    heights = {
                        metric: sum(barrier.height(line[:, 1].numpy(), getattr(one[split], metric)) for one in curves)
                        / len(curves)
                        for metric in ("error", "loss")
                    }
                    rows.append({**here, "split": split, **heights, "seconds": seconds})
                    print(*(f"{value:.4g}" if isinstance(value, float) else value for value in rows[-1].values()))
    grouped = pd.DataFrame(rows).groupby(COLUMNS, sort=False)
    table = grouped[["error", "loss", "seconds"]].mean().assign(rows=grouped.size()).reset_index()
    if arguments.table:
        new = not arguments.table.exists()
        table.to_csv(arguments.table, mode="a", header=new, index=False, float_format="%.6g", lineterminator="\n")
    print(table.to_string(index=False))


if __name__ == "__main__":
    main()
