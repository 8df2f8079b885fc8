"""Models of the user's own, and networks from elsewhere, are looked at while a study is planned, in a process apart.

What was found right is remembered where Snakemake keeps what it knows, and not looked at again until the code, the
options, the data or a file changes.
"""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from snakemake.logging import logger

from onebasin import shards
from onebasin.files import FileError
from workflow.estimate import Estimate
from workflow.validation import Config, locate, network_file, refuse

REMEMBERED = Path(".snakemake/onebasin/checked")
NOTE = (
    "models[{}] has batch norm, and barrier.correction is none: the running statistics of networks between two others "
    "fit neither. barrier: {{correction: reset}} recomputes them."
)


def check(
    config: Config,
    architecture: Callable[[Mapping[str, Any]], Mapping[str, Any]],
    estimate: Estimate,
    folders: Sequence[Path],
    code: str,
) -> None:
    """Refuse models that cannot be built or followed, and networks that do not fit; note batch norm without correction.

    Args:
        config: the checked config.
        architecture: from an item of `models` to what the jobs know of it.
        estimate: of the study, which knows the size of the data set.
        folders: where files of the user's own are looked for.
        code: the hash of the library.
    """
    request = _request(config, architecture, estimate, folders)
    found = _answer(request, code) if request["models"] else {"batch_norm": []}
    if "problem" in found:
        refuse(found["key"], found["problem"])
    if config["barrier"]["correction"] == "none":
        for index, model in enumerate(config["models"]):
            if model.get("norm") == "batch" or f"models[{index}].factory" in found["batch_norm"]:
                logger.info(NOTE.format(index))


def _request(
    config: Config,
    architecture: Callable[[Mapping[str, Any]], Mapping[str, Any]],
    estimate: Estimate,
    folders: Sequence[Path],
) -> dict[str, Any]:
    models = []
    for index, model in enumerate(config["models"]):
        if "factory" not in model and not config["networks"] and config["data"]["name"] != "file":
            continue
        # The narrowest network costs least, and the others are built as it is.
        widths = sorted(model["widths"]) if config["networks"] else [min(model["widths"])]
        looked_at = [
            (
                width,
                [
                    (f"networks[{number}]", locate(network_file(path, model["name"], width), folders))
                    for number, path in enumerate(config["networks"])
                ],
            )
            for width in widths
        ]
        kind = "factory" if "factory" in model else "family"
        models.append({"key": f"models[{index}].{kind}", "architecture": architecture(model), "widths": looked_at})
    data = {key: config["data"][key] for key in ("name", "path", "normalise")}
    if models:
        data |= {"shape": estimate.images.shape, "classes": estimate.images.classes}
    return {"data": data, "models": models}


def _answer(request: Mapping[str, Any], code: str) -> dict[str, Any]:
    text = json.dumps(request)
    networks = [path for model in request["models"] for _, files in model["widths"] for _, path in files]
    files = [part for path in networks for part in _files_of(path)]
    files += [request["data"]["path"]] if request["data"]["name"] == "file" else []
    states = [(file.st_size, file.st_mtime_ns) for file in map(os.stat, files)]
    known = REMEMBERED / hashlib.sha256(json.dumps([text, states, code]).encode()).hexdigest()
    if known.exists():
        found: dict[str, Any] = json.loads(known.read_text())
        return found
    done = subprocess.run([sys.executable, "-m", "onebasin.study.check"], input=text, capture_output=True, text=True)
    if done.returncode:
        lines = done.stderr.strip().splitlines() or ["no reason given"]
        logger.warning(f"Models could not be looked at before the jobs, which will: {lines[-1]}")
        return {"batch_norm": []}
    found = json.loads(done.stdout)
    if "problem" not in found:
        known.parent.mkdir(parents=True, exist_ok=True)
        known.write_text(done.stdout)
    return found


def _files_of(path: Path) -> list[Path]:
    try:
        return shards.parts(path)
    except FileError:
        return [path]  # the process that looks at it says what is wrong
