"""``onebasin store`` lists what the store of finished work holds, and removes what no study refers to."""

from __future__ import annotations

import argparse

# What a job has kept is referred to once the job has ended; jobs take hours.
GRACE_HOURS = 24


def add(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command."""
    command = commands.add_parser(
        "store",
        help="list the store of finished work, or remove what no study refers to",
        description="List how much the store of finished work holds, by kind, and how much of it the studies beside it "
        "refer to. With --remove, remove the rest; what the studies refer to stays.",
        epilog="example: onebasin store --remove",
    )
    command.add_argument("folder", nargs="?", default="results/.store", help="of the store (default: %(default)s)")
    command.add_argument(
        "--studies", default="results", metavar="FOLDER", help="where the studies lie (default: %(default)s)"
    )
    command.add_argument("--remove", action="store_true", help="remove what no study refers to")
    command.add_argument(
        "--grace",
        type=float,
        default=GRACE_HOURS,
        metavar="HOURS",
        help="keep what is younger, which a running job may have made (default: %(default)s)",
    )
    command.set_defaults(run=run)


def run(given: argparse.Namespace) -> None:
    """Print the list; remove what is asked for."""
    from pathlib import Path

    from onebasin.study import stores

    if not Path(given.folder).is_dir():
        raise ValueError(f"there is no store in {given.folder}: give its folder, or run a study first")
    listed = stores.contents(given.folder, given.studies)
    print(f"{'kind':14}{'pieces':>8}{'MB':>10}{'referred to':>13}{'MB':>10}")
    for kind, held in listed.items():
        print(f"{kind:14}{held.pieces:8d}{held.bytes / 1e6:10.1f}{held.referred:13d}{held.bytes_referred / 1e6:10.1f}")
    if given.remove:
        pieces, size = stores.remove(given.folder, given.studies, given.grace * 3600)
        print(f"removed {pieces} pieces, {size / 1e6:.1f} MB")
