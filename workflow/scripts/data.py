"""Bring a data set into one file."""

from job import logged

with logged(snakemake):
    from onebasin import data

    # Where a data set lies is mostly no param of the rule: moving it must not train every network again.
    dataset = data.load(**{"data_dir": snakemake.config["data"]["data_dir"], **snakemake.params.data})
    data.save(dataset, snakemake.output[0])
