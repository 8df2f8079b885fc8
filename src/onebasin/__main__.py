"""The command line, ``onebasin COMMAND``."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from onebasin.commands import align, barrier, diagnose, merge, permutations, store, symmetry


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; return its exit status: 0, or 1 after an error, which is printed as one line."""
    parser = argparse.ArgumentParser(prog="onebasin", description="Linear mode connectivity modulo permutation.")
    commands = parser.add_subparsers(required=True, metavar="command")
    for command in (align, barrier, merge, diagnose, symmetry, permutations, store):
        command.add(commands)
    given = parser.parse_args(arguments)
    try:
        given.run(given)
    except Exception as error:  # whatever a foreign model raises
        kind = "" if isinstance(error, ValueError) else f"{type(error).__name__}: "
        print(f"onebasin: {kind}{' '.join(str(error).split(chr(10) * 2)[0].split())}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
