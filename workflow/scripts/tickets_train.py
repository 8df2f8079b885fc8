"""Train networks from the epoch to which they are rewound, under the masks of others."""

import re
from pathlib import Path

from job import logged

with logged(snakemake):
    from cell import open_permutations, place_of_level
    from retraining import Retraining

    from onebasin import claims, prune, seeding

    retraining = Retraining(snakemake)
    masks = {place_of_level(path): prune.Mask.load(path) for path in snakemake.input.masks}
    rewound = {retraining.seed_of(path): path for path in snakemake.input.rewound}
    for folder in (Path(table).parent for table in snakemake.output.tables):
        seed, level, source = map(int, re.search(r"/seed(\d+)/level(\d+)/.+/from(\d+)$", folder.as_posix()).groups())
        mask, ticket = masks[source, level], folder.parent.name
        if ticket == "random":
            # Drawn for the network that is trained: two networks never share a random mask.
            mask = mask.shuffled(seeding.generator(*retraining.address(seed), "ticket", source, level))
        elif ticket != "unpermuted":
            found = open_permutations(snakemake.input.permutations, ticket)
            mask = mask.permuted(retraining.symmetry, claims.between(found, seed, source))
        about = {"level": level, "ticket": ticket, "source": source, "density": mask.density}
        retraining.train(folder, rewound[seed], mask, about)
