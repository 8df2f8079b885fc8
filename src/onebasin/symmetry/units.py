"""Which unit of which atom stands at which index of an axis."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from onebasin.symmetry.axes import Atom, Product, Share, Shuffle, Sum, Term, concatenation, size


@dataclass(frozen=True)
class Occurrence:
    """Where one atom lies along an axis: the unit at each index (-1 where absent), and the index step per unit."""

    item: Atom
    units: np.ndarray
    stride: np.ndarray


@dataclass(frozen=True)
class Axis:
    """An axis as index arithmetic: index = place[offset + sum over occurrences of stride × unit]."""

    place: np.ndarray
    offset: np.ndarray
    occurrences: list[Occurrence]

    def units(self, item: Atom) -> np.ndarray:
        """Return the unit of an atom at each index, -1 where it is absent; an atom that occurs is present once."""
        return np.max([o.units for o in self.occurrences if o.item is item], axis=0)


def arithmetic(term: Term) -> Axis:
    """Return how the units of an axis's atoms follow from an index."""
    assert not isinstance(term, Share)
    length = size(term)
    if isinstance(term, Atom):
        ones = np.ones(length, dtype=np.int64)
        return Axis(np.arange(length), 0 * ones, [Occurrence(term, np.arange(length), ones)])
    if isinstance(term, Product):
        result = Axis(np.zeros(1, dtype=np.int64), np.zeros(1, dtype=np.int64), [])
        for factor in term.factors:
            inner = arithmetic(factor)
            old, new = len(result.offset), len(inner.offset)
            slow, fast = np.repeat(np.arange(old), new), np.tile(np.arange(new), old)
            result = Axis(
                result.place[slow] * new + inner.place[fast],
                result.offset[slow] * new + inner.offset[fast],
                [Occurrence(o.item, o.units[slow], o.stride[slow] * new) for o in result.occurrences]
                + [Occurrence(o.item, o.units[fast], o.stride[fast]) for o in inner.occurrences],
            )
        return result
    if isinstance(term, Shuffle):
        inner, order = arithmetic(concatenation(term.parts)), np.array(term.order)
        return Axis(
            np.argsort(order)[inner.place],
            inner.offset[order],
            [Occurrence(o.item, o.units[order], o.stride[order]) for o in inner.occurrences],
        )
    places: list[np.ndarray] = []
    offsets: list[np.ndarray] = []
    occurrences: list[Occurrence] = []
    start = 0
    for part in term.parts:
        inner = arithmetic(part)
        end = start + len(inner.offset)
        places.append(inner.place + start)
        offsets.append(inner.offset + start)
        for o in inner.occurrences:
            units, stride = np.full(length, -1), np.zeros(length, dtype=np.int64)
            units[start:end], stride[start:end] = o.units, o.stride
            occurrences.append(Occurrence(o.item, units, stride))
        start = end
    return Axis(np.concatenate(places), np.concatenate(offsets), occurrences)


def companions_of(term: Term) -> Iterator[tuple[Atom, set[Atom], Counter[Atom]]]:
    """For every occurrence of an atom, yield which atoms are always indexed with it, and how often at most.

    Parts of a sum exclude each other.
    """
    if isinstance(term, Atom):
        yield term, set(), Counter()
    elif isinstance(term, Sum | Shuffle):
        for part in term.parts:
            yield from companions_of(part)
    elif isinstance(term, Product):
        for position, factor in enumerate(term.factors):
            others = Product(term.factors[:position] + term.factors[position + 1 :])
            always, most = _always(others), _most(others)
            for item, companions, count in companions_of(factor):
                yield item, companions | always, count + most


def _always(term: Term) -> set[Atom]:
    if isinstance(term, Product):
        return {item for factor in term.factors for item in _always(factor)}
    return {term} if isinstance(term, Atom) else set()


def _most(term: Term) -> Counter[Atom]:
    count: Counter[Atom] = Counter()
    if isinstance(term, Atom):
        count[term] = 1
    elif isinstance(term, Product):
        for factor in term.factors:
            count += _most(factor)
    elif isinstance(term, Sum | Shuffle):
        for part in term.parts:
            count |= _most(part)
    return count
