"""A look at models before any job: whether they can be built and followed, and networks from elsewhere fit them.

Run as a program, for PyTorch is loaded here and not where a study is planned: it reads a request as JSON, and prints
the answer as JSON. A request has `data`, the settings of the data set with its `shape` and `classes`, and `models`: for
each its `key`, the `architecture`, and the `widths` to look at, each with the `networks` of that width, by their keys.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from contextlib import redirect_stdout
from dataclasses import replace
from typing import Any

import torch
from torch import nn

from onebasin import data, foreign, seeding, symmetry
from onebasin.data import Dataset
from onebasin.files import FileError
from onebasin.landscape.repair import has_running_statistics
from onebasin.study import network


def check(request: Mapping[str, Any]) -> dict[str, Any]:
    """Look at the models of a request.

    Returns:
        Of the first model that is wrong, `key` and `problem`; otherwise `batch_norm`, the keys of models that have
        running statistics.
    """
    batch_norm = []
    try:
        key = "data"
        dataset = _two_images(request["data"])
        for item in request["models"]:
            key = item["key"]
            for width, networks in item["widths"]:
                model = network.build(item["architecture"], width, dataset)
                symmetry.discover(model, dataset.tensors("train")[0], verify=False)
                for name, path in networks:
                    key = name
                    _fit(model, path, item, width)
            batch_norm += [item["key"]] * has_running_statistics(model)
    except ValueError as error:
        return {"key": key, "problem": " ".join(str(error).split())}
    return {"batch_norm": batch_norm}


def _fit(model: nn.Module, path: str, item: Mapping[str, Any], width: int) -> None:
    """Hold a file against the model; say at which width that was built, for a factory may have another default."""
    state = foreign.read(path)
    try:
        foreign.fit(model, state, path)
    except FileError as error:
        raise FileError(
            f"{error}; the model was built with width {width}, of {item['key'].removesuffix('.factory')}.widths"
        ) from None


def _two_images(settings: Mapping[str, Any]) -> Dataset:
    """Return two images and their labels, like those of the study."""
    if settings["name"] == "file":
        dataset = data.normalised(data.load("file", path=settings["path"]), settings["normalise"])
        images, labels = (part[:2].repeat(2, *[1] * (part.ndim - 1))[:2] for part in dataset.raw("train"))
        return replace(dataset, train_images=images, train_labels=labels, held_out_images=None, held_out_labels=None)
    shape, classes = settings["shape"], settings["classes"]
    images = torch.randint(256, (2, *shape), generator=seeding.generator("check"), dtype=torch.uint8)
    labels = torch.tensor([0, classes - 1]) if len(shape) > 1 else images.long()
    return Dataset(settings["name"], images, labels, images, labels, classes)


if __name__ == "__main__":
    # What the user's code prints is no part of the answer.
    with redirect_stdout(sys.stderr):
        answer = check(json.load(sys.stdin))
    print(json.dumps(answer))
