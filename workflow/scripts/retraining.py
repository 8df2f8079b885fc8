"""Training of networks from the epoch to which they are rewound, under a mask; prune and tickets jobs share it."""

import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import network
import torch
from cell import place_of_level
from gpu import device

from onebasin import checkpoint, data, prune, seeding, symmetry, train
from onebasin.permutation import Permutation


class Retraining:
    """What every training of such a job has in common: data, model, settings, and the addresses of its randomness."""

    def __init__(self, snakemake: Any) -> None:
        torch.set_num_threads(snakemake.threads)
        self.snakemake = snakemake
        self.device = device(snakemake)
        self.dataset = data.open_(snakemake.input.data)
        self.cell = snakemake.wildcards.model, int(snakemake.wildcards.width)
        self.model = self._build().eval()
        self.symmetry = symmetry.discover(self.model, self.dataset.tensors("train", limit=2)[0])

    def _build(self) -> torch.nn.Module:
        return network.build(self.snakemake.params.architecture, self.cell[1], self.dataset)

    def full_mask(self, output_layer: bool) -> prune.Mask:
        """Give the mask of level 0."""
        return prune.full(self.model, self.symmetry, output_layer)

    def address(self, seed: int) -> tuple[str | int, ...]:
        """Give the address of the randomness of a network: that of its dense training."""
        return ("network", *self.cell, seed)

    def about(self, seed: int) -> dict[str, Any]:
        """Say which network it is."""
        model, width = self.cell
        return {"model": model, "width": width, "seed": seed, "architecture": self.snakemake.params.architecture}

    @staticmethod
    def seed_of(path: str | Path) -> int:
        """Read the seed from the path of a file of a network."""
        return int(re.search(r"/seed(\d+)/", Path(path).as_posix())[1])

    def train_tickets(self, permutation: Callable[[str, int, int], Permutation]) -> None:
        """Train the networks of the job under the masks of others: as they are, at random, and permuted.

        Args:
            permutation: takes the network of a source into the frame of another; given a method, that network's seed
                and the source's.
        """
        job = self.snakemake
        masks = {place_of_level(path): prune.Mask.load(path) for path in job.input.masks}
        rewound = {self.seed_of(path): path for path in job.input.rewound}
        for folder in (Path(table).parent for table in job.output.tables):
            place = re.search(r"/seed(\d+)/level(\d+)/.+/from(\d+)$", folder.as_posix())
            seed, level, source = map(int, place.groups())
            mask, ticket = masks[source, level], folder.parent.name
            if ticket == "random":
                # Drawn for the network that is trained: two networks never share a random mask.
                mask = mask.shuffled(seeding.generator(*self.address(seed), "ticket", source, level))
            elif ticket != "unpermuted":
                mask = mask.permuted(self.symmetry, permutation(ticket, seed, source))
            about = {"level": level, "ticket": ticket, "source": source, "density": mask.density}
            self.train(folder, rewound[seed], mask, about)

    def train(self, folder: Path, rewound: str, mask: prune.Mask, about: Mapping[str, Any]) -> None:
        """Train under a mask, with the settings, rates and order of the epochs that follow the rewinding.

        Args:
            folder: where checkpoints and table go; its path names the seed.
            rewound: checkpoint of the network at the epoch to which it is rewound.
            mask: what remains of it.
            about: what its checkpoints say besides model, width and seed.
        """
        params, seed = self.snakemake.params, self.seed_of(folder / "training.csv")
        model = self._build()
        model.load_state_dict(checkpoint.load(rewound)[0])
        train.train(
            model,
            self.dataset,
            train.Settings(**params.training),
            seed_address=self.address(seed),
            checkpoints={epoch: folder / f"epoch{epoch}.safetensors" for epoch in params.epochs},
            table=folder / "training.csv",
            # Undeclared, so that Snakemake leaves it alone when the job fails, and a later one continues from it.
            work=folder / "unfinished",
            metadata={**self.about(seed), **about},
            device=self.device,
            start=params.pruning["rewind"],
            mask=mask,
            warmup_again=params.pruning["warmup_again"],
        )
