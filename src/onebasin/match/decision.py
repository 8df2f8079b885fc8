"""Where weight matching starts: the groups get their order one after another, by what has one already.

Before any group has its order, most axes say nothing of it, for the units at their other end are in no order yet: from
the identity, coordinate ascent decides all layers but the first by noise. So what is fixed comes first, inputs and
outputs, and then always the group of which most is known: from the input on in a plain network, the residual stream by
embeddings and outputs before the units inside its blocks. Any number of networks get the order of a group together:
each is aligned to the sum of the others, until no network can be improved, before the next group is decided.
"""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from onebasin.match.coordinate_ascent import Search
from onebasin.permutation import Permutation
from onebasin.symmetry import Place, State, Symmetry


def decide(
    symmetry: Symmetry, states: Sequence[State], *, cosine: bool = False, biases: bool = True, max_rounds: int = 100
) -> list[Permutation]:
    """Give every group of several networks an order by what is fixed, or was decided before it.

    Args:
        symmetry: the symmetry of the networks' model.
        states: two networks or more, on one device.
        cosine: compare units by the cosine of their parameters in place of the inner product.
        biases: whether parameters with one axis count.
        max_rounds: a group is decided after this many rounds over all networks.

    Returns:
        One permutation a network; that of the first of two is the identity.
    """
    searches = [Search(symmetry, state, cosine=cosine, biases=biases) for state in states]
    undecided = list(symmetry.groups)
    while undecided:
        name, known = _most_known(searches[0], undecided)
        undecided.remove(name)
        keys = list(dict.fromkeys(place.key for places in known.values() for place in places))
        if keys:
            _align(searches, name, known, keys, max_rounds)
    return [Permutation(search.permutation) for search in searches]


def _most_known(search: Search, undecided: Sequence[str]) -> tuple[str, dict[str, list[Place]]]:
    """Return the group with most features at places that say something of it, and these, with its nested groups'."""
    found: dict[str, dict[str, list[Place]]] = {}
    for name in undecided:
        if not any(parent in undecided for parent in search.symmetry.groups[name].within):
            family = (name, *search.children[name])
            unknown = set(undecided).difference(family)
            found[name] = {
                member: [place for place in search.counted[member] if _is_known(search, member, place, unknown)]
                for member in family
            }
    features = {
        name: sum(
            search.b[place.key].numel() if place.table is None else place.table.numel()
            for places in known.values()
            for place in places
        )
        / search.symmetry.groups[name].size
        for name, known in found.items()
    }
    name = max(found, key=lambda group: features[group])
    return name, found[name]


def _is_known(search: Search, name: str, place: Place, unknown: set[str]) -> bool:
    acting = search.acting[place.key]
    return acting.count(name) == 1 and not unknown.intersection(acting)


def _align(
    searches: Sequence[Search], name: str, known: dict[str, list[Place]], keys: Sequence[str], max_rounds: int
) -> None:
    """Align one group of each network to those before it, and then to all others, until none can be improved."""

    def improve(search: Search, others: dict[str, Tensor]) -> bool:
        search.aim(others, known)
        return search.improve(name)

    total = {key: searches[0].permuted(key) for key in keys}
    for search in searches[1:]:
        improve(search, total)
        total = {key: total[key] + search.permuted(key) for key in keys}
    settled = 2 if len(searches) == 2 else 0  # searches in a row that found nothing
    for _ in range(max_rounds):
        for search in searches:
            if settled >= len(searches):
                return
            others = {key: total[key] - search.permuted(key) for key in keys}
            settled = 0 if improve(search, others) else settled + 1
            if not settled:
                total = {key: others[key] + search.permuted(key) for key in keys}
