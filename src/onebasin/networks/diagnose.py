"""Why two networks do or do not connect: in sentences, with the numbers they rest on."""

from __future__ import annotations

import logging
import math
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from onebasin import match as matching
from onebasin import seeding
from onebasin.landscape import repair
from onebasin.landscape.barrier import CONNECTED, highest
from onebasin.landscape.evaluate import Images, measure
from onebasin.landscape.interpolate import State, interpolate, line
from onebasin.networks.align import PAIR
from onebasin.networks.planted import recovered, share
from onebasin.permutation import Permutation
from onebasin.study import match
from onebasin.symmetry import Symmetry, check, discover

log = logging.getLogger(__name__)

FITTED_IMAGES = 2000
RANDOM = 10
# A layer that varies by less than this share of what it does in the networks has lost its signal.
COLLAPSED = 0.7
# A network that misses more than this share of what chance misses is not trained, or sees other inputs.
UNTRAINED = 0.5
# A gain in error that is worth a word.
GAIN = 0.01
# A group whose order must suit this many layers is a bottleneck.
MANY_LAYERS = 4


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at.

    Attributes:
        name: what it is, in a word or two.
        sentence: what was found.
        numbers: what the sentence rests on.
        advice: what to try next; empty where nothing follows.
    """

    name: str
    sentence: str
    numbers: dict[str, Any] = field(default_factory=dict)
    advice: tuple[str, ...] = ()


@dataclass(frozen=True)
class _Pair:
    """Two networks, the permutations that were found, and the data."""

    model: nn.Module
    symmetry: Symmetry
    states: tuple[State, State]
    train: Images
    test: Images
    matches: Mapping[str, Permutation]
    points: int

    def moved(self, method: str) -> list[State]:
        """Return both networks, the second one permuted by a method; "none" leaves it as it is."""
        a, b = self.states
        return [a, b if method == "none" else self.symmetry.apply(self.matches[method], b)]


def diagnose(
    model: nn.Module,
    state_a: State,
    state_b: State,
    train: Images,
    test: Images,
    *,
    symmetry: Symmetry | None = None,
    points: int = 25,
) -> Iterator[Finding]:
    """Say in sentences why two networks do or do not connect.

    Args:
        model: the networks' module; its own parameters are not used.
        state_a: of the first network, on the device to compute on.
        state_b: of the second.
        train: training images [N, …] and their labels; matching and correction see these.
        test: images and labels that training has not seen; half of them calibrate, the other half measure that.
        symmetry: of the model, if it is known already.
        points: of each line between the two.

    Yields:
        One finding after another, the last of which gathers what to try next.

    Raises:
        SymmetryError: if the model's groups cannot be found.
        ValueError: if a set of images has fewer than four.
    """
    if min(len(train[0]), len(test[0])) < 4:
        raise ValueError("give at least four images to train and to test on")
    symmetry = discover(model, train[0][:2]) if symmetry is None else symmetry
    matches = {}
    for method in ("weights", "activations"):
        log.info("matching by %s", method)
        matches[method] = match.pair(model, symmetry, (state_a, state_b), PAIR[method], *train).permutation
    pair = _Pair(model, symmetry, (state_a, state_b), train, test, matches, points)
    advice: list[str] = []
    looks = (_ends, _function, _barriers, _statistics, _variance, _objective, _share, _bottlenecks, _agreement)
    for look in (*looks, _calibration):
        log.info("looking at %s", look.__name__.lstrip("_"))
        found = look(pair)
        advice += found.advice
        yield found
    yield Finding("next", " ".join(dict.fromkeys(advice)) or "Nothing: the two are linearly connected.")


def _ends(pair: _Pair) -> Finding:
    values = measure(
        pair.model, pair.states, torch.eye(2, dtype=torch.float64), {"train": pair.train, "test": pair.test}
    )
    errors = {split: [float(error) for error in one.error] for split, one in values.items()}
    labels = pair.test[1].flatten()
    chance = 1 - float(torch.bincount(labels).max()) / len(labels)
    worse, better = max(errors["test"]), min(errors["test"])
    sentence = (
        f"The networks miss {_each(errors['test'])} of the test labels and {_each(errors['train'])} of the training "
        f"labels; naming the commonest class alone would miss {chance:.3f}."
    )
    advice = []
    if worse > UNTRAINED * chance:
        advice.append(
            "A network misses more than a trained one should: first see that its inputs are what it was trained on "
            "(--normalise)."
        )
    elif worse > max(5 * better, better + 0.05):
        advice.append("One network is much worse than the other: look at its training before its permutation.")
    return Finding("ends", sentence, {"errors": errors, "chance": chance}, tuple(advice))


def _function(pair: _Pair) -> Finding:
    images = pair.train[0][: match.CHECKED_IMAGES]
    differences = {
        method: check(pair.model, pair.symmetry, one, pair.states[1], images, None)
        for method, one in pair.matches.items()
    }
    worst = max(differences.values())
    sentence = (
        f"Permuted, the second network computes what it computed before: its outputs differ by {worst:.1e} of their "
        "largest value."
    )
    return Finding("function", sentence, {"largest_difference": differences})


def _barriers(pair: _Pair) -> Finding:
    numbers = {method: _rises(pair, method, "none") for method in ("none", *pair.matches)}
    judged = numbers
    sentence = f"The error barrier, train / test, is {_told(numbers)}; below {CONNECTED} counts as connected."
    advice = []
    # Stale statistics of batch norm hide what permutations do.
    with suppress(repair.RepairError):
        judged = {method: _rises(pair, method, "reset") for method in numbers}
    if judged != numbers:
        sentence += f" With running statistics measured anew it is {_told(judged)}."
        advice.append("The model has batch norm: measure the statistics of every mean anew (--correction reset).")
    lowest = min(judged[method]["train_error"] for method in pair.matches)
    if judged["none"]["train_error"] < CONNECTED:
        advice.append(
            "The two are connected without a permutation, as networks are that share a part of their training."
        )
    elif lowest > CONNECTED:
        advice.append(
            "No permutation that was found connects the two: try `barrier --align sinkhorn`, which learns one through "
            "the loss. Wider networks connect more easily."
        )
    return Finding("barriers", sentence, {**numbers, "reset": judged}, tuple(advice))


def _rises(pair: _Pair, method: str, correction: str) -> dict[str, float]:
    """Return the barriers of errors and losses on both splits."""
    weights, ends = line(pair.points), pair.moved(method)
    correct = repair.correction(correction, pair.model, ends, pair.train[0][:FITTED_IMAGES])
    values = measure(pair.model, ends, weights, {"train": pair.train, "test": pair.test}, correct=correct)
    return {
        f"{split}_{metric}": _height(weights, getattr(one, metric).tolist())
        for split, one in values.items()
        for metric in ("error", "loss")
    }


def _told(rises: Mapping[str, Mapping[str, float]]) -> str:
    none, weights, activations = (
        f"{rises[method]['train_error']:.3f} / {rises[method]['test_error']:.3f}"
        for method in ("none", "weights", "activations")
    )
    return f"{none} as given, {weights} after weight matching and {activations} after activation matching"


def _statistics(pair: _Pair) -> Finding:
    images = pair.train[0][:FITTED_IMAGES]
    numbers: dict[str, Any] = {}
    for method in ("none", "activations"):
        ends = pair.moved(method)
        try:
            correct = repair.correction("reset", pair.model, ends, images)
        except repair.RepairError as error:
            return Finding("statistics", f"Running statistics cannot be reset: {error}.")
        if correct is None:
            return Finding("statistics", "The model has no running statistics, so none are stale at the midpoint.")
        numbers[method] = {
            "stale": _middle(pair, ends, None),
            "reset": _middle(pair, ends, correct),
        }
    stale, reset = (numbers["activations"][key]["error"] for key in ("stale", "reset"))
    plain = numbers["none"]
    sentence = (
        "The mean of the running statistics of batch norm fits no mean of networks: with it the midpoint misses "
        f"{stale:.3f} of the test labels after activation matching, and {reset:.3f} once they are measured anew on "
        f"training images ({plain['stale']['error']:.3f} and {plain['reset']['error']:.3f} without a permutation)."
    )
    return Finding("statistics", sentence, numbers)


def _variance(pair: _Pair) -> Finding:
    images = pair.train[0][:FITTED_IMAGES]
    moved = pair.moved("activations")
    middle = repair.deviations(pair.model, interpolate(moved, [0.5, 0.5]), images)
    ends = [repair.deviations(pair.model, state, images) for state in moved]
    ratios = {
        name: float(deviation.mean() / torch.stack([end[name] for end in ends]).mean())
        for name, deviation in middle.items()
    }
    if not ratios:
        return Finding("variance", "No linear or convolutional layer was found whose outputs could be compared.")
    lowest = min(ratios, key=lambda name: ratios[name])
    first, last = next(iter(ratios)), list(ratios)[-1]
    sentence = (
        "At the midpoint after activation matching, the outputs of layers vary by "
        f"{ratios[first]:.2f} ({first}) to {ratios[last]:.2f} ({last}) of what they do in the networks, and least in "
        f"{lowest}, by {ratios[lowest]:.2f}."
    )
    advice = []
    if ratios[lowest] < COLLAPSED:
        try:
            correct = repair.correction("repair", pair.model, moved, images)
        except repair.RepairError as error:
            return Finding("variance", f"{sentence} REPAIR cannot restore it: {error}.", {"ratios": ratios})
        before, after = _middle(pair, moved, None)["error"], _middle(pair, moved, correct)["error"]
        sentence += f" REPAIR, which restores it, takes the test error there from {before:.3f} to {after:.3f}."
        reset = repair.correction("reset", pair.model, moved, images)
        if min(before, before if reset is None else _middle(pair, moved, reset)["error"]) - after > GAIN:
            advice.append("The midpoint has lost variance: restore it (--correction repair).")
    return Finding("variance", sentence, {"ratios": ratios}, tuple(advice))


def _objective(pair: _Pair) -> Finding:
    a, b = pair.states
    symmetry = pair.symmetry
    generator = seeding.generator("diagnose", "objective")
    reached = {method: matching.similarity(symmetry, *pair.moved(method)) for method in ("none", *pair.matches)}
    random = [matching.similarity(symmetry, a, symmetry.apply(symmetry.random(generator), b)) for _ in range(RANDOM)]
    partner, planted = _partner(symmetry, a, reached["weights"], generator)
    found = match.pair(pair.model, symmetry, (a, partner), PAIR["weights"], *pair.train).permutation
    there = matching.similarity(symmetry, a, symmetry.apply(planted, partner))
    again = matching.similarity(symmetry, a, symmetry.apply(found, partner))
    units = share(recovered(found, planted), symmetry.sizes)
    mean = sum(random) / RANDOM
    sentence = (
        f"The cosine between the parameters that permutations move is {reached['none']:.3f} as given, {mean:.3f} under "
        f"random permutations, {reached['weights']:.3f} after weight matching and {reached['activations']:.3f} after "
        f"activation matching. Had the second network been the first with noise and in another order, with a cosine "
        f"of {there:.3f}, weight matching would have found {units:.0%} of its units again and a cosine of {again:.3f}."
    )
    advice = []
    if again < there - 0.005:
        advice.append(
            "Weight matching misses orders at this cosine that are there: compare --method activations and sinkhorn."
        )
    numbers = {**reached, "random": mean, "planted": there, "planted_found": again, "planted_units": units}
    return Finding("objective", sentence, numbers, tuple(advice))


def _partner(
    symmetry: Symmetry, state: State, cosine: float, generator: torch.Generator
) -> tuple[dict[str, Tensor], Permutation]:
    """Return a copy of a network with noise, at this cosine to it, in a random order; and what undoes that order."""
    noise = math.sqrt(max(0.0, 1 / max(cosine, 0.01) ** 2 - 1))
    moving = {key for group in symmetry.groups.values() for key, _ in group.axes} & symmetry.parameters
    noisy = {}
    for key, value in state.items():
        if key in moving and value.is_floating_point():
            drawn = torch.randn(value.shape, generator=generator).to(value)
            value = value + noise * float(value.square().mean().sqrt()) * drawn
        noisy[key] = value
    planted = symmetry.random(generator)
    return symmetry.apply(planted.inverse(), noisy), planted


def _share(pair: _Pair) -> Finding:
    symmetry = pair.symmetry
    sizes = {key: pair.states[0][key].numel() for key in symmetry.parameters}
    moving = {key for group in symmetry.groups.values() for key, _ in group.axes} & symmetry.parameters
    total, movable = sum(sizes.values()), sum(sizes[key] for key in moving)
    units = sum(symmetry.sizes.values())
    sentence = (
        f"Permutations of {len(symmetry.groups)} groups with {units:,} units move {movable:,} of the {total:,} "
        "parameters."
    )
    still = sorted(set(sizes) - moving, key=lambda key: -sizes[key])
    if still:
        sentence += f" The others stay where they are, most of them in {', '.join(still[:3])}."
    advice = []
    if movable < 0.5 * total:
        advice.append("Most parameters cannot be permuted: what differs in them no permutation can mend.")
    numbers = {"parameters": total, "movable": movable, "groups": len(symmetry.groups), "units": units}
    return Finding("share", sentence, numbers, tuple(advice))


def _bottlenecks(pair: _Pair) -> Finding:
    serves = {
        name: len({key.rpartition(".")[0] for key, _ in group.axes if key in pair.symmetry.parameters})
        for name, group in pair.symmetry.groups.items()
    }
    many = sorted((name for name in serves if serves[name] > MANY_LAYERS), key=lambda name: -serves[name])
    if not many:
        return Finding("bottlenecks", f"No group must serve more than {MANY_LAYERS} layers.", {"layers": serves})
    listed = ", ".join(f"{name} ({pair.symmetry.groups[name].size} units, {serves[name]} layers)" for name in many[:4])
    more = f" and {len(many) - 4} more" if len(many) > 4 else ""
    sentence = f"One order must serve many layers in {listed}{more}: what suits one layer need not suit the others."
    return Finding("bottlenecks", sentence, {"layers": serves})


def _agreement(pair: _Pair) -> Finding:
    weights, activations = pair.matches["weights"], pair.matches["activations"]
    shares = recovered(weights, activations)
    units = share(shares, pair.symmetry.sizes)
    chance = len(shares) / max(1, sum(pair.symmetry.sizes.values()))
    sentence = (
        f"Weight and activation matching place {units:.0%} of the units alike, where chance would place {chance:.0%}."
    )
    advice = []
    if units < 0.5:
        advice.append("The two matchings disagree on most units, so many permutations are about as good as each other.")
    return Finding("agreement", sentence, {"units": units, "groups": shares, "chance": chance}, tuple(advice))


def _calibration(pair: _Pair) -> Finding:
    images, labels = pair.test
    held_out, rest = (images[::2], labels[::2]), (images[1::2], labels[1::2])
    weights = line(pair.points)
    values = measure(pair.model, pair.moved("activations"), weights, {"test": rest}, held_out=held_out)["test"]
    loss = _height(weights, values.loss.tolist())
    assert values.loss_calibrated is not None
    calibrated = _height(weights, values.loss_calibrated.tolist())
    sentence = (
        f"After activation matching the test loss barrier is {loss:.3f}, and {calibrated:.3f} once every network on "
        "the line has the temperature that suits it."
    )
    advice = []
    if loss > 0.05 and calibrated < 0.5 * loss:
        advice.append(
            "Most of the loss barrier is confidence and not error: judge by the error, or calibrate the mean."
        )
    return Finding("calibration", sentence, {"loss": loss, "loss_calibrated": calibrated}, tuple(advice))


def _middle(pair: _Pair, ends: list[State], correct: repair.Correction | None) -> dict[str, float]:
    weights = torch.tensor([[0.5, 0.5]], dtype=torch.float64)
    values = measure(pair.model, ends, weights, {"test": pair.test}, correct=correct)["test"]
    return {"error": float(values.error[0]), "loss": float(values.loss[0])}


def _height(weights: Tensor, values: list[float]) -> float:
    return highest(weights.tolist(), values, (values[0], values[-1])).rise


def _each(values: list[float]) -> str:
    return " and ".join(f"{value:.3f}" for value in values)
