"""Stars, networks that are trained on the lines to others, and the networks of the same cost beside them.

Sonthalia et al. 2024 (arXiv 2403.07968).
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call

from onebasin import checkpoint, data, seeding, train
from onebasin.data import Dataset
from onebasin.landscape import repair
from onebasin.permutation import Permutation
from onebasin.study import match, network
from onebasin.study.job import Job
from onebasin.study.train import about, address_of, kept, on_parts, part_of, settings_of, shaped_by, trainings
from onebasin.symmetry import State, Symmetry, discover

# Training images on which the running statistics of a star are reset.
RESET_IMAGES = 2000


class Star:
    """Judges the steps of a network by mixtures with others, the sources, as ``train.train`` takes it.

    A step draws one source and its share t, and computes the outputs of (1 - t) · network + t · source. The sources are
    permuted to match the network when an epoch begins. A mixture has the statistics of its batch where it normalises;
    running statistics of the network itself are reset after every epoch.

    Args:
        model: a module like that of the network, in evaluation mode.
        groups: its symmetry.
        sources: the states of the sources, on the device of the training.
        matching: an item of the section `matching` of the config.
        images: training images [N, …], unaugmented, on the device of the training.
        labels: their classes [N].
        every: epochs from one matching to the next.
        beta: the two parameters of the Beta distribution of t; 1, 1 is uniform.
    """

    def __init__(
        self,
        model: nn.Module,
        groups: Symmetry,
        sources: Sequence[State],
        matching: Mapping[str, Any],
        images: Tensor,
        labels: Tensor,
        *,
        every: int = 1,
        beta: Sequence[float] = (1, 1),
    ) -> None:
        self.model, self.groups, self.sources, self.matching = model, groups, sources, matching
        self.images, self.labels, self.every, self.beta = images, labels, every, beta
        self.state: Mapping[str, Tensor] = {
            f"{i}/{name}": torch.arange(size) for i in range(len(sources)) for name, size in groups.sizes.items()
        }
        self._reset = repair.correction("reset", model, sources, images[:RESET_IMAGES])

    def begin(self, model: nn.Module, address: Sequence[str | int], epoch: int) -> None:
        """Permute the sources, by what is found now if it is time to match them."""
        if (epoch - 1) % self.every == 0:
            own = self._settled(model)
            for i, source in enumerate(self.sources):
                pair = own, source
                found = match.pair(self.model, self.groups, pair, self.matching, self.images, self.labels)
                for name, order in found.permutation.items():
                    self.state[f"{i}/{name}"].copy_(torch.tensor(order))
        self._permuted = []
        for i, source in enumerate(self.sources):
            orders = {name: self.state[f"{i}/{name}"].numpy() for name in self.groups.sizes}
            self._permuted.append(self.groups.apply(Permutation(orders), source))
        self._draws = random.Random(seeding.derive(*address, "star", epoch))  # noqa: S311

    def __call__(self, model: nn.Module, images: Tensor) -> Tensor:
        """Map images [n, …] to the outputs of a mixture that is drawn."""
        source, share = self._draws.choice(self._permuted), self._draws.betavariate(*self.beta)
        mixture = {name: own.lerp(source[name], share) for name, own in model.named_parameters()}
        outputs: Tensor = functional_call(model, mixture, (images,))
        return outputs

    def end(self, model: nn.Module) -> None:
        """Reset running statistics, which mixtures have left behind."""
        if self._reset:
            model.load_state_dict(self._settled(model))

    def _settled(self, model: nn.Module) -> State:
        state = {name: tensor.detach().clone() for name, tensor in model.state_dict().items()}
        return self._reset(state, [1.0]) if self._reset else state


def train_stars(job: Job) -> None:
    """Train stars of some of the networks, and others as long: as they are, and with strong weight decay."""
    torch.set_num_threads(job.threads)
    dataset, settings = data.open_(job.input.data), job.params.star
    sources = [checkpoint.load(path, job.device)[0] for path in job.input.sources]
    shared = {key: settings[key] for key in ("every", "beta", "warm_start")}
    shared |= match.shaped_by_method(job.params.matching)
    for training in trainings(job):
        address, checkpoints, table, _ = training
        kind, how = address["star"], dict(job.params.training)
        if kind == "decay":
            how["weight_decay"] = settings["weight_decay"]
        if isinstance(kind, int):
            towards = sources[:kind]
            which = {"star": {**shared, "sources": [checkpoint.digest(source) for source in towards]}}
            shapes = {**shaped_by(job, dataset, address["seed"], "star"), **which}
        else:
            # An ordinary network, but for its settings.
            towards, which = [], {}
            shapes = {**shaped_by(job, dataset, address["seed"], "train"), "shared": None}
        make = partial(_train, job, dataset, training, how, towards, which)
        job.store.files("network", {**shapes, "training": how}, kept(checkpoints, table), make)


def _train(
    job: Job,
    dataset: Dataset,
    training: tuple[Any, ...],
    how: Mapping[str, Any],
    towards: Sequence[State],
    which: Mapping[str, Any],
) -> None:
    """Train one network, a star where there are sources to train it towards."""
    address, checkpoints, table, work = training
    settings, randomness = job.params.star, address_of(job, address["seed"])
    model = network.initialised(job.params.architecture, job.width, dataset, randomness)
    outputs = None
    if towards:
        if settings["warm_start"]:
            model.load_state_dict(towards[0])
        images, labels = dataset.tensors("train", device=job.device)
        own = network.build(job.params.architecture, job.width, dataset).to(job.device).eval()
        given = own, discover(own, images[:2]), towards, job.params.matching, images, labels
        outputs = Star(*given, every=settings["every"], beta=settings["beta"])
    train.train(
        model,
        dataset,
        settings_of(how),
        seed_address=randomness,
        checkpoints=checkpoints,
        table=table,
        work=work,
        metadata={**about(job, address["seed"]), **on_parts(how, address["seed"]), **which},
        device=job.device,
        part=part_of(dataset, how, address["seed"]),
        outputs=outputs,
        title=network.spell(address),
    )
