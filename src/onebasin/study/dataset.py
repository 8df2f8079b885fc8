"""Data jobs: a data set in one file, the only thing that later jobs know of the data."""

from __future__ import annotations

from onebasin import data
from onebasin.study import folders
from onebasin.study.job import Job


def make(job: Job) -> None:
    """Bring the data set into one file; a second one must fit the networks of the first."""
    # Where a data set lies is no param of the rule: moving it must not train every network again.
    if job.params.folder is not None:
        state, digest = folders.state_of(job.params.folder), folders.digest_of(job.params.folder)
        job.sources["folder"] = (digest, state)
    settings = {"data_dir": job.config["data"]["data_dir"], **job.params.data}
    for path in job.input.get("file", ()):
        settings["path"] = path
    held_out, variant = settings.pop("held_out"), settings.pop("variant", "none")
    normalisation, label_noise = settings.pop("normalise", "auto"), settings.pop("label_noise", 0)
    dataset = data.normalised(data.load(**settings), normalisation)
    dataset = data.hold_out(data.vary(dataset, variant, settings["seed"]), held_out)
    dataset = data.mislabel(dataset, label_noise, settings["seed"])
    if job.input.get("first"):
        first = data.open_(job.input.first)
        if (dataset.image_shape, dataset.classes) != (first.image_shape, first.classes):
            raise data.DataError(
                f"{job.params.get('key', 'transfer.data')}: {dataset.name} has images of {dataset.image_shape} and "
                f"{dataset.classes} classes, the "
                f"data set of the study {first.image_shape} and {first.classes}: both must be the same"
            )
    data.save(dataset, job.output[0])
