"""Finished permutations of an alignment that was interrupted, kept beside the file that they will be part of."""

from __future__ import annotations

import hashlib
import json
import logging
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from onebasin import permutation
from onebasin.checkpoint import provenance
from onebasin.files import FileError
from onebasin.permutation import Permutation

log = logging.getLogger(__name__)


class Finished:
    """Permutations by the networks that they belong to, each with the hash of everything that shaped it.

    Args:
        target: the file that all of them will be written to; they lie beside it, in a folder that no rule declares, so
            that Snakemake leaves them alone when the job fails.
        shaped_by: what shapes all of them, as JSON can hold it.
    """

    def __init__(self, target: str | Path, shaped_by: Mapping[str, Any]) -> None:
        path = Path(target)
        self.folder = path.with_name(f"{path.stem}.unfinished")
        versions = {"version": provenance()["version"], "torch": torch.__version__, "threads": torch.get_num_threads()}
        self.shaped_by = {**shaped_by, **versions}

    def load(self, networks: tuple[int, ...], digests: list[str]) -> tuple[Permutation, dict[str, Any]] | None:
        """Return a finished permutation and what was saved with it; None where there is none of these networks.

        Args:
            networks: the networks.
            digests: of their states.
        """
        path = self._path(networks)
        if not path.exists():
            return None
        try:
            about = permutation.load_metadata(path)
            if about.get("hash") != self._hash(digests):
                log.warning("networks %s are matched again, for something changed since they were", networks)
                return None
            return permutation.load(path)[networks], about["row"]
        except (FileError, KeyError) as error:
            log.warning("networks %s are matched again: %s", networks, error)
            return None

    def save(self, networks: tuple[int, ...], digests: list[str], found: Permutation, row: Mapping[str, Any]) -> None:
        """Keep a finished permutation with a row of JSON values."""
        permutation.save(self._path(networks), {networks: found}, {"hash": self._hash(digests), "row": dict(row)})

    def clear(self) -> None:
        """Remove the folder, once all of it is part of the file."""
        shutil.rmtree(self.folder, ignore_errors=True)

    def _path(self, networks: tuple[int, ...]) -> Path:
        return self.folder / f"{'-'.join(map(str, networks))}.safetensors"

    def _hash(self, digests: list[str]) -> str:
        text = json.dumps([self.shaped_by, digests], sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()
