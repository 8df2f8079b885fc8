"""What the values of integers say about an axis, and rows in the order of such values."""

from __future__ import annotations

from dataclasses import dataclass, field

from torch import Tensor

from onebasin.symmetry.axes import Term


@dataclass(frozen=True, eq=False)
class Label:
    """The values of a tensor: indices along an axis, how often each of these occurs, or the running sum of that.

    Attributes:
        axis: the axis; only some operations undo what its order does to the values.
        kind: "index", "count" or "end".
        choice: one object for all tensors that hold the same indices, whatever their order, or that count them.
    """

    axis: Term
    kind: str = "index"
    choice: object = field(default_factory=object)


@dataclass(frozen=True, eq=False)
class Sorting:
    """Rows in the order of indices: they move with what is indexed, by a permutation that the data decide.

    Attributes:
        rows: the axis of the rows, which is fixed together with what is indexed.
        by: the indices.
        given: the tensor of the indices before it was sorted.
        order: for each row the index at which it was before.
    """

    rows: Term
    by: Label
    given: Tensor
    order: Label
