"""Reshapes of axes: parts of an axis, divisions that say nothing yet, and axes that are put together again."""

from __future__ import annotations

import itertools
import math
from collections import Counter
from collections.abc import Iterator, Sequence

from onebasin.symmetry.axes import (
    UNIT,
    Atom,
    Division,
    Product,
    Share,
    Term,
    atom,
    cut,
    factor,
    factors,
    fix,
    resolve,
    shuffle,
    size,
)


def segments(term: Term, lengths: Sequence[int], reason: str) -> list[Term]:
    """Cut an axis into consecutive parts of the given lengths; where that is impossible the axis is fixed."""
    result: list[Term] = []
    rest = term
    for index, length in enumerate(lengths[:-1]):
        pieces = cut(rest, length) if 0 < length < size(rest) else None
        if pieces is None:
            fix(term, reason)
            return result + [atom(remaining, reason) for remaining in lengths[index:]]
        result.append(pieces[0])
        rest = pieces[1]
    return [*result, rest]


def is_open(term: Term) -> bool:
    """Say whether an axis comes from a division of which nothing has looked at one axis yet."""
    return isinstance(term, Share) and term.division.factors is None


def parts(terms: Sequence[Term], axis: int, lengths: Sequence[int], reason: str) -> list[list[Term]]:
    """Cut a tensor along one axis into consecutive parts of the given lengths; return the axes of each part."""
    term = terms[axis]
    if not is_open(term):
        return [[*terms[:axis], part, *terms[axis + 1 :]] for part in segments(term, lengths, reason)]
    assert isinstance(term, Share)
    division, position = term.division, term.position
    # Axes slower than this one become factors; then the parts follow one another, and each is divided by itself.
    outer, rest = math.prod(division.shape[:position]), division.shape[position + 1 :]
    pieces = factor(division.whole, outer)
    if pieces is None:
        resolve(term)
        return parts(terms, axis, lengths, reason)
    slower = factors([pieces[0]], division.shape[:position])
    result = []
    for length, part in zip(
        lengths, segments(pieces[1], [length * math.prod(rest) for length in lengths], reason), strict=True
    ):
        faster = divide(part, (length, *rest))
        new = [*slower, *faster]
        result.append(
            [new[t.position] if isinstance(t, Share) and t.division is division else t for t in terms],
        )
    return result


def divide(term: Term, shape: Sequence[int]) -> list[Term]:
    """Divide an axis into several, slowest first."""
    term = term if isinstance(term, Share) else resolve(term)
    lengths = [length for length in shape if length > 1]
    if len(lengths) < 2:
        shares: Iterator[Term] = iter([term] * len(lengths))
    elif isinstance(term, Product | Share) or (isinstance(term, Atom) and term.fixed):
        shares = iter(factors([resolve(term)], lengths))
    else:
        shares = iter(list[Term](Division(term, tuple(lengths)).shares()))
    return [next(shares) if length > 1 else UNIT for length in shape]


def settle(terms: Sequence[Term]) -> list[Term]:
    """Return the axes that index a tensor, each division that is still open as the axis that it divides.

    A division of which the tensor lacks an axis, or has one twice, is no longer open.
    """
    count = Counter(term for term in terms if isinstance(term, Share))
    result: list[Term] = []
    for term in terms:
        if isinstance(term, Share) and any(count[share] != 1 for share in term.division.shares()):
            resolve(term)
        if not isinstance(term, Share) or not is_open(term):
            result.append(term)
        elif term.position == 0:
            result.append(term.division.whole)
    return result


def reshape(terms: Sequence[Term], shape: Sequence[int]) -> list[Term]:
    """Follow the axes of a tensor through a reshape to ``shape``, in row-major order."""
    if 0 in shape:
        return [atom(length, "empty") for length in shape]
    result: list[Term] = []
    old = [term for term in terms if size(term) != 1]
    new = [length for length in shape if length != 1]
    while old or new:
        # The shortest runs of axes, before and after, that have the same number of indices.
        before, after = [old.pop(0)], [new.pop(0)]
        count = [size(before[0]), after[0]]
        while count[0] != count[1]:
            if count[0] < count[1]:
                before.append(old.pop(0))
                count[0] *= size(before[-1])
            else:
                after.append(new.pop(0))
                count[1] *= after[-1]
        result += _reshape_run(before, after)
    lengthy = iter(result)
    return [next(lengthy) if length != 1 else UNIT for length in shape]


def _reshape_run(before: list[Term], after: list[int]) -> list[Term]:
    if len(before) > 1 and (whole := _reunite(before)) is not None:
        before = [whole]
    return divide(before[0], after) if len(before) == 1 else factors([resolve(term) for term in before], after)


def _reunite(terms: Sequence[Term]) -> Term | None:
    """Put all axes of an open division together again, in any order."""
    shares = [term for term in terms if isinstance(term, Share)]
    division = shares[0].division if shares else None
    positions = [share.position for share in shares if share.division is division]
    if division is None or division.factors is not None or len(positions) < len(terms):
        return None
    if sorted(positions) != list(range(len(division.shape))):
        return None
    steps = [math.prod(division.shape[position + 1 :]) for position in range(len(division.shape))]
    indices = itertools.product(*(range(division.shape[position]) for position in positions))
    order = [sum(i * steps[position] for i, position in zip(index, positions, strict=True)) for index in indices]
    return shuffle(resolve(division.whole), order)
