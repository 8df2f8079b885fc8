"""What the layers of a mixture of two networks compute, held against what those of the two networks compute.

Two mechanisms are said to predict it. *Linear*: the output of each layer is the mixture of the outputs of the layer in
the two networks, as after matching (Zhou et al. 2023, arXiv 2307.08286). *Exponentially weighted*: the shares count
once for each layer that was passed, as without a permutation in wide networks, where the weights of one network hardly
see what the other one computes (arXiv 2510.08023).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import torch
from scipy.sparse.linalg import eigsh
from torch import Tensor, nn
from torch.nn import functional

from onebasin import seeding
from onebasin.landscape.evaluate import BATCH_SIZE
from onebasin.landscape.interpolate import State, interpolate
from onebasin.symmetry import Network

MECHANISMS = ("linear", "exponential")
Layer = nn.Linear | nn.Conv2d


@dataclass(frozen=True)
class Prediction:
    """How well the output of a layer of a mixture is predicted.

    Attributes:
        share: of network a in the mixture.
        layer: its name.
        depth: its place in the order of evaluation, from 1.
        cosine: for each mechanism the cosine of output and prediction, its mean over images, -1 to 1.
        error: for each mechanism the squared error over the square of the output, both summed over images and units.
    """

    share: float
    layer: str
    depth: int
    cosine: Mapping[str, float]
    error: Mapping[str, float]


class Layers:
    """The linear layers and convolutions of a model, what they read and what they compute.

    Outputs are those of the layer itself, before a norm or an activation function.

    Args:
        model: the networks' module.
        images: [N, …], normalised, on the device to compute on.
        batch_size: images per forward pass.
    """

    def __init__(self, model: nn.Module, images: Tensor, batch_size: int = BATCH_SIZE) -> None:
        self._batches = images.split(batch_size)
        self._network = Network(model)
        self._seen: dict[str, tuple[Layer, Tensor, Tensor]] = {}
        keys = {id(tensor): key for key, tensor in self._network.tensors.items()}
        self._keys = {
            module: keys[id(module.weight)]
            for module in self._network.names
            if isinstance(module, Layer) and id(module.weight) in keys
        }
        for module in self._keys:
            module.register_forward_hook(self._remember, with_kwargs=True)

    def _remember(self, module: Layer, given: tuple[Tensor, ...], named: Mapping[str, Tensor], output: Tensor) -> None:
        self._seen[self._keys[module]] = module, given[0] if given else named["input"], output

    def _evaluate(self, state: State, images: Tensor) -> dict[str, tuple[Layer, Tensor, Tensor]]:
        """Return, by the key of its weight, each layer, its input and its output, in the order of evaluation."""
        self._seen = {}
        self._network.load(state)
        self._network(images)
        return self._seen

    def stable_ranks(self, state: State) -> dict[str, float]:
        """Return the stable rank of the weights of each layer of a network."""
        return {key.removesuffix(".weight"): stable_rank(state[key]) for key in self._keys.values()}

    def predictions(self, state_a: State, state_b: State, shares: Sequence[float]) -> Iterator[Prediction]:
        """Hold the layers of mixtures of two networks against what both mechanisms predict.

        Args:
            state_a: network a.
            state_b: network b, permuted if it is to be.
            shares: of network a in the mixtures.

        Yields:
            A prediction for each share and layer.
        """
        sums: dict[tuple[float, int, str], Tensor] = {}
        for images in self._batches:
            ends = [self._evaluate(state, images) for state in (state_a, state_b)]
            for share in shares:
                mixed = self._evaluate(interpolate([state_a, state_b], [share, 1 - share]), images)
                for depth, (key, (_, _, output)) in enumerate(mixed.items(), start=1):
                    part = _compared(output, [end[key][2] for end in ends], share, depth)
                    sums[share, depth, key] = sums.get((share, depth, key), torch.zeros_like(part)) + part
        for (share, depth, key), total in sums.items():
            square, *found = total.tolist()
            images_seen = sum(map(len, self._batches))
            yield Prediction(
                share,
                key.removesuffix(".weight"),
                depth,
                {name: value / images_seen for name, value in zip(MECHANISMS, found[::2], strict=True)},
                {name: value / square for name, value in zip(MECHANISMS, found[1::2], strict=True)},
            )

    def overlaps(self, state: State, other: State) -> dict[str, float]:
        """Return, for each layer, how much the weights of another network see of what this one computes.

        Args:
            state: the network.
            other: the other one.

        Returns:
            |W' z| / |W z|: z is what the layer reads, W its weights, and W' those of the other network, all without
            biases; the norms are over all images and units.
        """
        sums: dict[str, Tensor] = {}
        for images in self._batches:
            for key, (layer, inputs, _) in self._evaluate(state, images).items():
                squares = [_product(layer, weights[key], inputs).double().square().sum() for weights in (other, state)]
                sums[key] = sums.get(key, torch.zeros(2, device=inputs.device)) + torch.stack(squares)
        return {key.removesuffix(".weight"): float((seen / own).sqrt()) for key, (seen, own) in sums.items()}


def _product(layer: Layer, weight: Tensor, inputs: Tensor) -> Tensor:
    if isinstance(layer, nn.Linear):
        return functional.linear(inputs, weight)
    return layer._conv_forward(inputs, weight, None)


def _compared(output: Tensor, ends: Sequence[Tensor], share: float, depth: int) -> Tensor:
    """Return the sum of squares of an output, then for each mechanism the sums of cosines and of squared errors."""
    output, a, b = (values.flatten(1).double() for values in (output, *ends))
    found = [output.square().sum()]
    for power in (1, depth):
        predicted = share**power * a + (1 - share) ** power * b
        found += [functional.cosine_similarity(output, predicted).sum(), (output - predicted).square().sum()]
    return torch.stack(found)


def stable_rank(weight: Tensor) -> float:
    """Return the stable rank of a weight: the sum of its squared singular values over the largest of them.

    Args:
        weight: [outputs, …]; what stands behind the first axis is one row of a matrix.
    """
    rows = weight.flatten(1).double()
    gram = rows @ rows.T if rows.shape[0] < rows.shape[1] else rows.T @ rows
    if len(gram) < 64 or not gram.any():
        largest = torch.linalg.eigvalsh(gram)[-1]
    else:
        # All eigenvalues of wide layers take minutes, and the largest one seconds.
        start = torch.randn(len(gram), dtype=torch.float64, generator=seeding.generator("stable rank"))
        (largest,) = eigsh(gram.cpu().numpy(), k=1, v0=start.numpy(), return_eigenvectors=False)
    return float(gram.diagonal().sum() / largest)
