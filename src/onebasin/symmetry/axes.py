"""The algebra of axes: which indices of which axes must move together.

An axis is described by a *term*. An ``Atom`` is a set of units that can be reordered as one. A ``Product`` is an axis
that a reshape made out of several (flattening channels × height × width gives a product of three atoms, slowest
first), and a ``Sum`` is a concatenation. Two axes that an operation pairs index by index are *unified*, as types are in
type inference: atoms are bound to terms, and split into products or sums where the other side is finer. Whatever
cannot be brought together is fixed, with the reason, so that a failure costs completeness and never correctness.
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


Term = Atom | Product | Sum
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
    return sum(size(part) for part in term.parts)


def product(terms: Iterable[Term]) -> Term:
    """Return the product of axes, in normal form."""
    factors: list[Term] = []
    for term in terms:
        factors.extend(term.factors if isinstance(term, Product) else (term,))
    return factors[0] if len(factors) == 1 else Product(tuple(factors))


def concatenation(terms: Iterable[Term]) -> Term:
    """Return the concatenation of axes, in normal form."""
    parts: list[Term] = []
    for term in terms:
        parts.extend(term.parts if isinstance(term, Sum) else (term,))
    return parts[0] if len(parts) == 1 else Sum(tuple(parts))


def resolve(term: Term) -> Term:
    """Return the term with every bound atom replaced by what it is bound to."""
    if isinstance(term, Atom):
        if term.bound is None:
            return term
        term.bound = resolve(term.bound)
        return term.bound
    if isinstance(term, Product):
        return product(resolve(factor) for factor in term.factors)
    return concatenation(resolve(part) for part in term.parts)


def atoms(term: Term) -> Iterator[Atom]:
    """Yield the atoms of a resolved term from left to right, with repetitions."""
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
    else:
        _zip(_parts(first), _parts(second), cut)


def _parts(term: Term) -> list[Term]:
    return list(term.parts) if isinstance(term, Sum) else [term]


def _zip(first: list[Term], second: list[Term], split) -> None:  # type: ignore[no-untyped-def]
    while first and second:
        a, b = resolve(first[0]), resolve(second[0])
        if size(a) == size(b):
            unify(a, b)
            del first[0], second[0]
            continue
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
    head, tail = term.factors[0], product(term.factors[1:])
    if length % size(tail):
        return None
    pieces = cut(head, length // size(tail))
    return None if pieces is None else (product((pieces[0], tail)), product((pieces[1], tail)))


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


def reshape(terms: Sequence[Term], shape: Sequence[int]) -> list[Term]:
    """Follow the axes of a tensor through a reshape to ``shape``, in row-major order."""
    factors: list[Term] = []
    for term in terms:
        resolved = resolve(term)
        factors.extend(resolved.factors if isinstance(resolved, Product) else (resolved,))
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
