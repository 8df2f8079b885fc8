"""Which code is running: the version of the package, and the commit of its repository."""

from __future__ import annotations

import functools
import importlib.metadata
import subprocess
from pathlib import Path


@functools.cache
def _provenance() -> tuple[str, str | None]:
    try:
        version = importlib.metadata.version("onebasin")
    except importlib.metadata.PackageNotFoundError:
        version = "unknown"
    root = Path(__file__).parents[2]
    # An installed copy may lie inside the repository of something else, whose commit would mean nothing.
    if not (root / ".git").exists():
        return version, None
    try:
        answer = subprocess.run(
            ["git", "-C", str(root), "rev-parse", "HEAD"], capture_output=True, text=True, timeout=10, check=True
        )
    except (OSError, subprocess.SubprocessError):
        return version, None
    return version, answer.stdout.strip()


def provenance() -> dict[str, str | None]:
    """Say which code is running.

    Returns:
        `version` of the package, and `commit` of its git repository (None for an installed copy).
    """
    version, commit = _provenance()
    return {"version": version, "commit": commit}
