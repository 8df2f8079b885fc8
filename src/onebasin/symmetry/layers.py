"""The layers of a model, in the order in which its evaluation uses them."""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn
from torch.utils._pytree import tree_leaves

from onebasin.symmetry.network import Network
from onebasin.symmetry.trace import Operations
from onebasin.symmetry.values import Call


def layers(model: nn.Module, example_input: Any) -> list[list[str]]:
    """Divide the parameters and buffers of a model into layers, by their place in the traced graph.

    A layer is a weight, a tensor with at least two axes, together with the tensors with fewer axes that are used after
    it and before the next weight: its bias, and the norm behind it. What comes before the first weight belongs to the
    first layer, and what evaluation never uses to the last.

    Args:
        model: any module whose evaluation is deterministic; it is evaluated once, and not changed.
        example_input: as for ``discover``.

    Returns:
        For each layer, in the order in which evaluation first uses its weight, the keys of its tensors in the state
        dict. Tensors that the model uses several times, or under several keys, have the place of their first use.
    """
    network = Network(model)
    owned = network.tensors
    ids = {id(tensor) for tensor in owned.values()}
    first: dict[int, int] = {}

    def visit(index: int, func: Any, call: dict[str, Any], outs: list[Tensor]) -> None:
        for leaf in tree_leaves(call):
            if id(leaf) in ids:
                first.setdefault(id(leaf), index)

    with Operations(visit):
        network.run(Call.of(example_input))
    used = [key for key, value in owned.items() if id(value) in first]
    # Of what one operation uses, the weight comes first.
    used.sort(key=lambda key: (first[id(owned[key])], -owned[key].dim()))
    result: list[list[str]] = [[]]
    weight = None
    for key in used:
        if owned[key].dim() > 1 and owned[key] is not weight:
            if weight is not None:
                result.append([])
            weight = owned[key]
        result[-1].append(key)
    result[-1] += [key for key in owned if key not in used]
    return result
