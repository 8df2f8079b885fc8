"""Bring the second data set into one file, if it fits the networks of the first."""

from job import logged

with logged(snakemake):
    from onebasin import data

    settings = {"data_dir": snakemake.config["data"]["data_dir"], **snakemake.params.data}
    held_out, variant = settings.pop("held_out"), settings.pop("variant")
    first = data.open_(snakemake.input.data)
    second = data.hold_out(data.vary(data.load(**settings), variant), held_out)
    if (second.image_shape, second.classes) != (first.image_shape, first.classes):
        raise data.DataError(
            f"transfer.data: {second.name} has images of {second.image_shape} and {second.classes} classes, the data "
            f"set of the study {first.image_shape} and {first.classes}: both must be the same"
        )
    data.save(second, snakemake.output[0])
