"""``onebasin align`` brings networks into the frame of the first one, and writes them as they came."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

from onebasin.commands import arguments, progress

if TYPE_CHECKING:
    from onebasin.networks import Aligned

METHODS = ("weights", "activations", "moments", "sinkhorn", "universe")


def add(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command."""
    command = commands.add_parser(
        "align",
        help="bring networks into one frame",
        description="Permute the hidden units of networks so that they fit those of the first, which stays as it is. "
        "Every permuted network computes what it computed before. Written to --out: each network under its own file "
        "name, with the keys and the precision it came with, and permutations.safetensors.",
        epilog="example: onebasin align own_net:build width=64 a.pt b.pt --data own_data.pt --out aligned",
    )
    arguments.add_networks(command)
    add_method(command)
    command.add_argument("--out", required=True, metavar="DIR", help="folder that the files are written to")
    command.set_defaults(run=run)


def add_method(command: argparse.ArgumentParser, name: str = "--method", default: str | None = "activations") -> None:
    """Add the argument that names the matching."""
    command.add_argument(
        name,
        choices=METHODS,
        default=default,
        metavar="NAME",
        help="weights, activations, sinkhorn (learned through the loss; slower), moments (two networks) or universe; "
        f"three or more networks share one common frame (default: {default or 'none'})",
    )


def run(given: argparse.Namespace) -> None:
    """Align, write, and print what was reached."""
    from pathlib import Path

    from onebasin import foreign, permutation
    from onebasin.commands import files
    from onebasin.networks import align

    with progress.shown():
        brought = arguments.networks(given)
        targets = files.targets(brought.paths, Path(given.out))
        images, labels = brought.train
        aligned = align(brought.model, brought.states, method=given.method, images=images, labels=labels)
    files_of = zip(targets, aligned.states, brought.originals, brought.wrappings, strict=True)
    for target, state, original, wrapping in files_of:
        files.write(target, foreign.restore(brought.model, state, original), wrapping)
    stored = Path(given.out) / "permutations.safetensors"
    about = {"method": given.method, "networks": [str(path) for path in brought.paths]}
    permutation.save(stored, {(index,): one for index, one in enumerate(aligned.permutations)}, about)
    result = {**reached(aligned, given.method, brought.names), "files": [str(path) for path in (*targets, stored)]}
    arguments.show(given, result, told(result))


def reached(aligned: Aligned, method: str, names: list[str]) -> dict[str, Any]:
    """Return what an alignment reached, by the names of the networks."""
    pairs = [
        {"networks": [names[a], names[b]], "similarity_before": before, "similarity": after}
        for (a, b), (before, after) in aligned.similarity.items()
    ]
    moved = {
        name: 1 - sum(share * one.sizes[group] for group, share in one.fixed_points().items()) / sum(one.sizes.values())
        for name, one in zip(names, aligned.permutations, strict=True)
    }
    return {"method": method, "seconds": aligned.seconds, "pairs": pairs, "units_moved": moved}


def told(result: dict[str, Any]) -> str:
    """Say what an alignment reached."""
    rows = [("networks", "cosine before", "after")]
    for pair in result["pairs"]:
        rows.append((" and ".join(pair["networks"]), f"{pair['similarity_before']:.3f}", f"{pair['similarity']:.3f}"))
    moved = ", ".join(f"{name} {share:.0%}" for name, share in result["units_moved"].items())
    lines = [f"aligned by {result['method']} in {result['seconds']:.1f} s; units moved: {moved}", arguments.table(rows)]
    return "\n".join([*lines, *(f"wrote {path}" for path in result["files"])])
