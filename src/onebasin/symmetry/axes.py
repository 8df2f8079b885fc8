"""The algebra of axes: which indices of which axes must move together.

An axis is described by a *term*. An ``Atom`` is a set of units that can be reordered as one. A ``Product`` is an axis
that a reshape made out of several (flattening channels × height × width gives a product of three atoms, slowest
first), a ``Sum`` is a concatenation, and a ``Shuffle`` a concatenation in another order. Two axes that an operation
pairs index by index are *unified*, as types are in type inference: atoms are bound to terms, and split into products or
sums where the other side is finer. Whatever cannot be brought together is fixed, with the reason, so that a failure
costs completeness and never correctness.

A reshape that divides an axis says nothing yet: the new axes may be put together again in another order (channel
shuffle), or one of them only be indexed (query, key and value in one packed projection, which are then parts of a
concatenation and not factors of a product). Each of them is a ``Share`` of a ``Division``, which becomes a product when
an operation asks for one of its axes by itself.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

_order = itertools.count()


@dataclass(eq=False)
class Atom:
    """A set of ``size`` units; ``fixed`` holds the reason why they may not be reordered, if there is one."""

    size: int
    fixed: str | None = None
    bound: Term | None = None
    order: int = field(default_factory=lambda: next(_order))


@dataclass(frozen=True)
class Product:
    """An axis that runs over all combinations of its factors, the last one fastest; no factors: an axis of size 1."""

    factors: tuple[Term, ...]


@dataclass(frozen=True)
class Sum:
    """An axis whose parts follow one another."""

    parts: tuple[Term, ...]


@dataclass(frozen=True)
class Shuffle:
    """An axis whose index ``i`` is index ``order[i]`` of the concatenation of ``parts``; each index occurs once."""

    parts: tuple[Term, ...]
    order: tuple[int, ...]


@dataclass(eq=False)
class Division:
    """A reshape of one axis into several, slowest first; ``factors`` once an operation has looked at one of them."""

    whole: Term
    shape: tuple[int, ...]
    factors: list[Term] | None = None

    def shares(self) -> list[Share]:
        """Return the axes that it makes."""
        return [Share(self, position) for position in range(len(self.shape))]


@dataclass(frozen=True)
class Share:
    """One of the axes that a division makes."""

    division: Division
    position: int


Term = Atom | Product | Sum | Shuffle | Share
UNIT = Product(())


def atom(size: int, fixed: str | None = None) -> Term:
    """Return a new axis of ``size`` units of which nothing is known yet."""
    return UNIT if size == 1 else Atom(size, fixed)


def size(term: Term) -> int:
    """Return the number of indices of an axis."""
    if isinstance(term, Atom):
        return term.size
    if isinstance(term, Product):
        return math.prod(size(factor) for factor in term.factors)
    if isinstance(term, Shuffle):
        return len(term.order)
    if isinstance(term, Share):
        return term.division.shape[term.position]
    return sum(size(part) for part in term.parts)


def product(terms: Iterable[Term]) -> Term:
    """Return the product of axes, in normal form."""
    factors: list[Term] = []
    for term in terms:
        term = resolve(term) if isinstance(term, Share) else term
        factors.extend(term.factors if isinstance(term, Product) else (term,))
    return factors[0] if len(factors) == 1 else Product(tuple(factors))


def concatenation(terms: Iterable[Term]) -> Term:
    """Return the concatenation of axes, in normal form."""
    parts: list[Term] = []
    for term in terms:
        term = resolve(term) if isinstance(term, Share) else term
        parts.extend(term.parts if isinstance(term, Sum) else (term,))
    return parts[0] if len(parts) == 1 else Sum(tuple(parts))


def shuffle(term: Term, order: Sequence[int]) -> Term:
    """Return the axis whose index ``i`` is index ``order[i]`` of another one, in normal form."""
    parts: list[Term] = []
    inner: list[int] = []
    for part in term.parts if isinstance(term, Sum) else (term,):
        start = sum(size(other) for other in parts)
        inner.extend(start + index for index in (part.order if isinstance(part, Shuffle) else range(size(part))))
        parts.extend(part.parts if isinstance(part, Shuffle) else (part,))
    composed = tuple(inner[index] for index in order)
    return concatenation(parts) if composed == tuple(range(len(composed))) else Shuffle(tuple(parts), composed)


def resolve(term: Term) -> Term:
    """Return the term with every bound atom replaced by what it is bound to, and every share by a factor."""
    if isinstance(term, Atom):
        if term.bound is None:
            return term
        term.bound = resolve(term.bound)
        return term.bound
    if isinstance(term, Product):
        return product(resolve(factor) for factor in term.factors)
    if isinstance(term, Shuffle):
        return shuffle(concatenation(resolve(part) for part in term.parts), term.order)
    if isinstance(term, Share):
        division = term.division
        if division.factors is None:
            division.factors = factors([resolve(division.whole)], division.shape)
        return resolve(division.factors[term.position])
    return concatenation(resolve(part) for part in term.parts)


def atoms(term: Term) -> Iterator[Atom]:
    """Yield the atoms of a resolved term from left to right, with repetitions."""
    assert not isinstance(term, Share)
    if isinstance(term, Atom):
        yield term
    else:
        for inner in term.factors if isinstance(term, Product) else term.parts:
            yield from atoms(inner)


def fix(term: Term, reason: str) -> None:
    """Forbid every reordering along an axis; the first reason is kept."""
    for item in atoms(resolve(term)):
        item.fixed = item.fixed or reason


def _bind(item: Atom, term: Term) -> None:
    if isinstance(term, Atom) and item.order < term.order:
        item, term = term, item
    if item.fixed:
        fix(term, item.fixed)
    item.bound = term


def unify(first: Term, second: Term) -> None:
    """Make two axes of equal size move together, index by index."""
    first, second = resolve(first), resolve(second)
    if first == second:
        return
    if isinstance(first, Atom):
        _bind(first, second)
    elif isinstance(second, Atom):
        _bind(second, first)
    elif isinstance(first, Product) and isinstance(second, Product):
        _zip(list(first.factors), list(second.factors), factor)
    elif isinstance(first, Shuffle) or isinstance(second, Shuffle):
        _unify_shuffled(first, second)
    else:
        _zip(_parts(first), _parts(second), cut)


def _parts(term: Term) -> list[Term]:
    return list(term.parts) if isinstance(term, Sum) else [term]


def _unify_shuffled(first: Term, second: Term) -> None:
    orders = [term.order if isinstance(term, Shuffle) else tuple(range(size(term))) for term in (first, second)]
    parts = [list(term.parts) if isinstance(term, Shuffle) else _parts(term) for term in (first, second)]
    if orders[0] == orders[1] and [size(part) for part in parts[0]] == [size(part) for part in parts[1]]:
        for a, b in zip(*parts, strict=True):
            unify(a, b)
    else:
        for term in (first, second):
            fix(term, "shuffled differently")


def _zip(first: list[Term], second: list[Term], split) -> None:  # type: ignore[no-untyped-def]
    while first and second:
        a, b = resolve(first[0]), resolve(second[0])
        if size(a) == size(b):
            unify(a, b)
            del first[0], second[0]
            continue
        if not {*atoms(a)}.isdisjoint(atoms(b)):  # each index would move with its neighbour
            for term in itertools.chain(first, second):
                fix(term, "paired with itself in other places")
            return
        longer, pieces = (first, split(a, size(b))) if size(a) > size(b) else (second, split(b, size(a)))
        if pieces is None:
            for term in itertools.chain(first, second):
                fix(term, "incompatible reshapes")
            return
        longer[0:1] = pieces


def factor(term: Term, outer: int) -> tuple[Term, Term] | None:
    """Split an axis into ``outer`` blocks: return the axis over blocks and the axis within a block, or None."""
    term, total = resolve(term), size(term)
    if outer == 1:
        return UNIT, term
    if outer == total:
        return term, UNIT
    if total % outer:
        return None
    inner = total // outer
    if isinstance(term, Atom):
        pair = Atom(outer, term.fixed), Atom(inner, term.fixed)
        term.bound = Product(pair)
        return pair
    if isinstance(term, Sum):
        return _factor_sum(term, outer, inner)
    if isinstance(term, Shuffle):
        return _factor_shuffled(term, outer)
    assert isinstance(term, Product)
    taken: list[Term] = []
    rest = list(term.factors)
    while outer > 1:
        head = size(rest[0])
        if outer % head == 0:
            taken.append(rest.pop(0))
            outer //= head
        elif (pieces := factor(rest[0], outer)) is not None:
            taken.append(pieces[0])
            rest[0] = pieces[1]
            outer = 1
        else:
            return None
    return product(taken), product(rest)


def _factor_sum(term: Sum, outer: int, inner: int) -> tuple[Term, Term] | None:
    # Blocks of a concatenation are only alike when they are made so; which block is which then stays fixed.
    blocks: list[Term] = []
    rest: Term = term
    for _ in range(outer - 1):
        pieces = cut(rest, inner)
        if pieces is None:
            return None
        blocks.append(pieces[0])
        rest = pieces[1]
    for block in blocks:
        unify(block, rest)
    return Atom(outer, "blocks of a concatenation"), resolve(rest)


def _factor_shuffled(term: Shuffle, outer: int) -> tuple[Term, Term] | None:
    # The units of a single atom may as well be numbered in this order; then they are shuffled elsewhere.
    if not (len(term.parts) == 1 and isinstance(term.parts[0], Atom)):
        return None
    renumbered = Atom(len(term.order), term.parts[0].fixed)
    place = {index: position for position, index in enumerate(term.order)}
    term.parts[0].bound = shuffle(renumbered, [place[index] for index in range(len(place))])
    return factor(renumbered, outer)


def cut(term: Term, length: int) -> tuple[Term, Term] | None:
    """Cut an axis in two, the first part of ``length`` indices; None where it cannot be cut there."""
    term, total = resolve(term), size(term)
    if isinstance(term, Atom):
        pair = atom(length, term.fixed), atom(total - length, term.fixed)
        term.bound = Sum(pair)
        return pair
    if isinstance(term, Sum):
        first: list[Term] = []
        rest = list(term.parts)
        while length and size(rest[0]) <= length:
            length -= size(rest[0])
            first.append(rest.pop(0))
        if length:
            pieces = cut(rest[0], length)
            if pieces is None:
                return None
            first.append(pieces[0])
            rest[0] = pieces[1]
        return concatenation(first), concatenation(rest)
    if isinstance(term, Shuffle):
        return _cut_shuffled(term, length)
    assert isinstance(term, Product)
    head, tail = term.factors[0], product(term.factors[1:])
    if length % size(tail):
        return None
    pieces = cut(head, length // size(tail))
    return None if pieces is None else (product((pieces[0], tail)), product((pieces[1], tail)))


def _cut_shuffled(term: Shuffle, length: int) -> tuple[Term, Term] | None:
    # Each part is divided into the units that come before the cut and those after it, wherever they lie.
    first = set(term.order[:length])
    start = 0
    for part in term.parts:
        inside = [start + index in first for index in range(size(part))]
        start += len(inside)
        if len(set(inside)) > 1:
            if not isinstance(part, Atom):
                return None
            chosen = [index for index, here in enumerate(inside) if here]
            others = [index for index, here in enumerate(inside) if not here]
            pair = Sum((atom(len(chosen), part.fixed), atom(len(others), part.fixed)))
            place = {index: position for position, index in enumerate(chosen + others)}
            part.bound = shuffle(pair, [place[index] for index in range(len(inside))])
    divided = resolve(term)
    assert isinstance(divided, Shuffle | Sum)
    order = divided.order if isinstance(divided, Shuffle) else tuple(range(size(divided)))
    return _chosen(divided.parts, order[:length]), _chosen(divided.parts, order[length:])


def _chosen(parts: Sequence[Term], order: Sequence[int]) -> Term:
    """Return the shuffle of those parts that the order takes, each of which it takes whole."""
    taken: list[Term] = []
    place: dict[int, int] = {}
    wanted = set(order)
    start = 0
    for part in parts:
        if start in wanted:
            place.update((start + index, len(place)) for index in range(size(part)))
            taken.append(part)
        start += size(part)
    return shuffle(concatenation(taken), [place[index] for index in order])


def factors(terms: Sequence[Term], shape: Sequence[int]) -> list[Term]:
    """Regroup the factors of axes to a new shape; where a unit would be torn the axes are fixed."""
    factors: list[Term] = []
    for term in terms:
        factors.extend(term.factors if isinstance(term, Product) else (term,))
    result: list[Term] = []
    for position, length in enumerate(shape):
        taken = _take(factors, length)
        if taken is None:
            for term in factors:
                fix(term, "reshape across units")
            return result + [atom(remaining, "reshape across units") for remaining in shape[position:]]
        result.append(taken)
    return result


def _take(factors: list[Term], length: int) -> Term | None:
    taken: list[Term] = []
    while length > 1:
        head = size(factors[0])
        if length % head == 0:
            taken.append(factors.pop(0))
            length //= head
        elif head % length == 0 and (pieces := factor(factors[0], length)) is not None:
            taken.append(pieces[0])
            factors[0:1] = pieces[1:]
            length = 1
        else:
            for term in taken:
                fix(term, "reshape across units")
            return None
    return product(taken)
