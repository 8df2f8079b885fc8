"""``onebasin merge`` makes one network of several: aligned, averaged, and with corrected statistics."""

from __future__ import annotations

import argparse
from typing import Any

from onebasin.commands import arguments, progress
from onebasin.commands.align import add_method
from onebasin.commands.barrier import add_correction, advice


def add(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command."""
    command = commands.add_parser(
        "merge",
        help="make one network of several",
        description="Bring networks into one common frame, average them, and correct the statistics of the mean. "
        "Written to --out: the merged network, with the keys and the precision of the first file. Printed: loss and "
        "error of the networks, of their plain mean, and of the merged network.",
        epilog="example: onebasin merge own_net:build a.pt b.pt --data own.pt --correction reset --out merged.pt",
    )
    arguments.add_networks(command)
    add_method(command)
    add_correction(command, "of the mean: reset (running statistics of batch norm) or repair (default: none)")
    command.add_argument(
        "--weights", metavar="W,W,…", help="the share of each network, scaled to sum to one (default: equal)"
    )
    command.add_argument("--out", required=True, metavar="FILE", help="file of the merged network: .safetensors or .pt")
    command.set_defaults(run=run)


def run(given: argparse.Namespace) -> None:
    """Merge, write, and print what it reached."""
    from pathlib import Path

    import torch

    from onebasin import foreign
    from onebasin.commands import files
    from onebasin.landscape.evaluate import measure
    from onebasin.networks import merge

    correction = given.correction or "none"
    weights = None if given.weights is None else _weights(given.weights)
    with progress.shown():
        brought = arguments.networks(given)
        target = Path(given.out)
        files.refuse_input(target, brought.paths)
        images, labels = brought.train
        merged = merge(
            brought.model,
            brought.states,
            method=given.method,
            images=images,
            labels=labels,
            weights=weights,
            correction=correction,
        )
        shown = dict(zip(brought.names, brought.states, strict=True))
        shown |= {"plain mean": merged.plain, f"mean, aligned by {given.method}": merged.uncorrected}
        if correction != "none":
            shown[f"the same, {correction}"] = merged.state
        single = torch.ones(1, 1, dtype=torch.float64)
        splits = {"train": brought.train, "test": brought.test}
        rows = []
        for name, state in shown.items():
            for split, values in measure(brought.model, [state], single, splits).items():
                rows.append({"network": name, "split": split, "loss": values.loss[0], "error": values.error[0]})
    restored = foreign.restore(brought.model, merged.state, brought.originals[0])
    files.write(target, restored, brought.wrappings[0])
    result = {"networks": rows, "weights": merged.weights, "correction": correction, "file": str(target)}
    arguments.show(given, result, "\n".join([_table(rows), f"wrote {target}", *advice(brought.model, correction)]))


def _weights(text: str) -> list[float]:
    try:
        return [float(part) for part in text.split(",")]
    except ValueError:
        raise ValueError(f"--weights {text!r}: give a number for each network, such as 0.5,0.5") from None


def _table(rows: list[dict[str, Any]]) -> str:
    values = {(row["network"], row["split"]): row for row in rows}
    shown = [("network", "error: train", "test", "loss: train", "test")]
    for name in dict.fromkeys(row["network"] for row in rows):
        cells = [f"{values[name, split][metric]:.4f}" for metric in ("error", "loss") for split in ("train", "test")]
        shown.append((name, *cells))
    return arguments.table(shown)
