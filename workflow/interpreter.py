"""The path of Python, which Snakemake hands to the shell as it is, without quotes."""

from __future__ import annotations

import os
import re
import sys

SPECIAL = re.compile(r"[^\w@%+=:,./-]")


def plain(executable: str) -> str:
    """Return the path of an executable without blanks, brackets and the like: from here, where it has some on the way.

    Args:
        executable: the path; where no other will do, Snakemake ends with one line.
    """
    if not SPECIAL.search(executable):
        return executable
    from_here = os.path.join(os.curdir, os.path.relpath(executable))
    if SPECIAL.search(from_here) or not os.path.exists(from_here):
        sys.exit(
            f"Python lies at {executable!r}, and Snakemake cannot call what has a blank, a bracket or the like in its"
            " path: run it in the folder that holds .venv, or move this folder"
        )
    return from_here
