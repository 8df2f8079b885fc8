"""Put the permutations of the parts of an alignment, and their tables, together."""

import shutil
from pathlib import Path

from job import logged

with logged(snakemake):
    from onebasin import tables
    from onebasin.files import atomic

    folders = [Path(folder) for folder in snakemake.input.folders]
    found = {path.name: path for folder in folders for path in folder.glob("*.safetensors")}
    for path in snakemake.output.permutations:
        with atomic(path) as temporary:
            shutil.copyfile(found[Path(path).name], temporary)
    tables.gather(snakemake.output.table, "matching", [folder / "matching.csv" for folder in folders])
