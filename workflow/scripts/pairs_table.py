"""Gather the curves between every pair of networks, without a permutation and with one of their own."""

from job import logged

with logged(snakemake):
    from onebasin import tables

    parts = snakemake.input.measurements
    tables.gather(snakemake.output[0], "pairs", parts, keep=lambda row: row["claim"] != "strong")
