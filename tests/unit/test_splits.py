"""The room `splits`: which networks it trains, what it judges, and ensembles; parts in the jobs of a study."""

import math
from types import SimpleNamespace

import pytest
import torch
import torch.nn.functional as F
from networks import build, state

from onebasin import data
from onebasin.experiments import splits
from onebasin.landscape import evaluate
from onebasin.study import train

HALVES = {"by": "equal", "number": 2}
FIFTHS = {"by": "dirichlet", "number": 5, "concentration": 0.5}
WHOLE = {"by": "whole", "number": 2}
SETTINGS = {"parts": [WHOLE, HALVES, FIFTHS], "starts": ["independent", "common"], "divisions": 2}


def test_networks_of_a_division_have_seeds_that_follow_each_other_and_every_part_once():
    for way in (HALVES, FIFTHS):
        for division in range(3):
            members = splits.addresses(way, "independent", division)
            seeds = [address["seed"] for address in members]
            assert seeds == list(range(division * way["number"], (division + 1) * way["number"]))
            assert sorted(seed % way["number"] for seed in seeds) == list(range(way["number"]))
            assert {seed // way["number"] for seed in seeds} == {division}
            common = splits.addresses(way, "common", division)
            assert [address["seed"] for address in common] == seeds
            assert common[0] == members[0], "the first one has its own start"
            assert {address["split"] for address in common[1:]} == {f"{splits.label(way)}-common"}


def test_each_network_is_trained_once_and_its_name_says_how():
    found = splits.networks(SETTINGS)
    assert len(found) == len({tuple(address.items()) for address in found})
    named = [f"{address['split']} {address['seed']}" for address in found]
    # Two divisions: two halves and five parts each, all but the first of them from two starts.
    assert sum(name.startswith("equal2 ") for name in named) == 4
    assert sum(name.startswith("equal2-common ") for name in named) == 2
    assert sum(name.startswith("dirichlet5-0.5 ") for name in named) == 10
    assert sum(name.startswith("dirichlet5-0.5-common ") for name in named) == 8
    # On all images those of two networks, and one from the start of the first network of each division.
    assert {name for name in named if name.startswith("whole ")} == {f"whole {seed}" for seed in (0, 1, 2, 3, 5)}
    meant = splits.ways(SETTINGS)
    assert {address["split"] for address in found} == meant.keys()
    assert meant["dirichlet5-0.5-common"] == {**FIFTHS, "common": True} and meant["equal2"] == {
        **HALVES,
        "common": False,
    }
    assert meant["whole2-common"] == {**WHOLE, "common": True}


def job(**params):
    return SimpleNamespace(params=SimpleNamespace(**params))


def test_a_job_trains_each_network_on_its_part_from_its_start():
    def recipe(given, **address):
        found = train._recipe(given, None, address)
        return found.training, found.initial, found.about

    given = job(training={"lr": 0.1, "parts": {"seed": 7}}, splits=splits.ways(SETTINGS))
    training, initial, about = recipe(given, seed=8, split="dirichlet5-0.5-common")
    assert training == {"lr": 0.1, "parts": {**FIFTHS, "seed": 7}} and initial == 5 and about == {"start": 5}
    assert recipe(given, seed=3, split="whole") == ({"lr": 0.1}, 3, {})
    assert recipe(given, seed=3, split="whole2-common") == ({"lr": 0.1}, 2, {"start": 2})
    assert recipe(given, seed=2, split="equal2")[1:] == (2, {})
    # A network of the study is trained as its own settings say.
    assert recipe(job(training={"lr": 1}), seed=3) == ({"lr": 1}, 3, {})


def test_the_parts_of_a_study_go_by_the_seed_alone():
    digits = data.load("digits")
    training = {"parts": {"by": "equal", "number": 2, "seed": 0}}
    parts = [train.part_of(digits, training, seed) for seed in range(4)]
    everything = list(range(len(digits.train_labels)))
    for pair in (parts[:2], parts[2:]):
        assert torch.cat(pair).sort().values.tolist() == everything
    assert torch.cat([parts[0], parts[2]]).unique().numel() < len(everything), "every two have a division of their own"
    assert train.part_of(digits, {}, 0) is None
    assert train.on_parts(training, 3)["parts"] == {"by": "equal", "number": 2, "seed": 0, "division": 1, "part": 1}


def test_mixtures_are_the_networks_the_lines_and_the_mean():
    mixed = splits._mixtures(3, 5)
    kinds = [kind for kind, _, _ in mixed]
    assert kinds == ["alone"] * 3 + ["line"] * 9 + ["mean"]
    assert all(sum(shares) == pytest.approx(1) for _, _, shares in mixed)
    assert [shares for kind, of, shares in mixed if (kind, of) == ("line", (0, 2))] == [
        [0.75, 0, 0.25], [0.5, 0, 0.5], [0.25, 0, 0.75]
    ]  # fmt: skip


def test_a_line_is_judged_by_its_ends_and_the_mean_by_all_networks():
    mixed = splits._mixtures(3, 3)
    errors = [0.0, 0.2, 0.4, 0.3, 0.2, 0.25, 0.5]
    points = [(shares, {"loss": 0.0, "error": error}) for (_, _, shares), error in zip(mixed, errors, strict=True)]
    rows = {(row["network"], row["of"]): row for row in splits._judged(mixed, points) if row["metric"] == "error"}
    assert rows["line", (0, 1)]["barrier"] == pytest.approx(0.2)
    assert rows["line", (0, 2)]["barrier"] == pytest.approx(0), "below 0 in the middle, and 0 at its ends"
    assert rows["line", (1, 2)]["barrier"] == pytest.approx(0)
    assert rows["mean", (0, 1, 2)]["value"] == 0.5 and rows["mean", (0, 1, 2)]["baseline"] == pytest.approx(0.2)


@pytest.fixture
def case():
    generator = torch.Generator().manual_seed(0)
    images = torch.randn(40, 1, 8, 8, generator=generator)
    labels = torch.randint(0, 3, (40,), generator=generator)
    model = build("mlp")
    return model, [state(model, seed) for seed in (1, 2, 3)], {"train": (images, labels)}


def test_an_ensemble_has_the_mean_of_the_probabilities(case):
    model, states, splits_of = case
    images, labels = splits_of["train"]
    shares = []
    for each in states:
        shares.append(torch.func.functional_call(model.eval(), each, (images,)).double().softmax(1))
    mean = torch.stack(shares).mean(0)
    found = evaluate.measure_ensemble(model, states, splits_of, batch_size=16, held_out=splits_of["train"])["train"]
    assert found.loss[0] == pytest.approx(F.nll_loss(mean.log(), labels).item(), rel=1e-6)
    assert found.error[0] == (mean.argmax(1) != labels).double().mean().item()
    assert found.loss_calibrated[0] <= found.loss[0] + 1e-9


def test_an_ensemble_of_one_network_is_that_network(case):
    model, states, splits_of = case
    single = evaluate.measure(model, states[:1], torch.ones(1, 1), splits_of)["train"]
    for members in (states[:1], states[:1] * 3):
        found = evaluate.measure_ensemble(model, members, splits_of)["train"]
        assert found.loss[0] == pytest.approx(single.loss[0], rel=1e-6) and found.error[0] == single.error[0]
        assert found.loss_calibrated is None and math.isfinite(found.loss[0])
