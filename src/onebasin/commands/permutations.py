"""``onebasin permutations FILE`` lists the permutations of a file, or prints one of them."""

from __future__ import annotations

import argparse


def add(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command."""
    command = commands.add_parser(
        "permutations",
        help="list or print the permutations of a file",
        description="List the permutations of a file: a line for each, with its groups, their units and the share of "
        "them that stays in place. With NETWORKS, print the orders of one: unit i of the permuted network is unit "
        "indices[i] of the original.",
        epilog="example: onebasin permutations results/digits/permutations/mlp/width64/weights/epoch20.safetensors 0-1",
    )
    command.add_argument("file", help="a file of permutations, of pairs or of a common frame")
    command.add_argument("networks", nargs="?", metavar="NETWORKS", help="0-1 of a pair, or 0 in a common frame")
    command.add_argument("--group", help="print the order of this group alone")
    command.set_defaults(run=run)


def run(given: argparse.Namespace) -> None:
    """Print the list, or one permutation."""
    from onebasin import permutation

    found = {"-".join(map(str, networks)): one for networks, one in permutation.load(given.file).items()}
    if given.networks is None:
        print(f"{'networks':10}{'groups':>8}{'units':>8}{'fixed':>8}")
        for name, one in found.items():
            units = sum(one.sizes.values())
            fixed = sum(share * one.sizes[group] for group, share in one.fixed_points().items()) / max(units, 1)
            print(f"{name:10}{len(one):8d}{units:8d}{fixed:8.3f}")
        return
    if given.networks not in found:
        raise ValueError(f"{given.file} has no permutation {given.networks!r}: give one of {', '.join(found)}")
    chosen = found[given.networks]
    if given.group is not None and given.group not in chosen:
        raise ValueError(f"there is no group {given.group!r}: give one of {', '.join(chosen)}")
    for group, order in chosen.items():
        if given.group in (None, group):
            print(f"{group}: {' '.join(map(str, order.tolist()))}")
