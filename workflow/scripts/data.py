"""Bring a data set into one file."""

from job import logged

with logged(snakemake):
    from onebasin import data

    # Where a data set lies is no param of the rule: moving it must not train every network again.
    settings = {"data_dir": snakemake.config["data"]["data_dir"], **snakemake.params.data}
    held_out = settings.pop("held_out")
    data.save(data.hold_out(data.load(**settings), held_out), snakemake.output[0])
