"""Stars: the steps of their training, in one piece and in parts."""

import logging

import pytest
import torch
from test_train import AUGMENTED, SMALL, blobs, flat, network, results, run, stopped_in
from torch.nn import functional

from onebasin import seeding, symmetry
from onebasin.landscape import repair
from onebasin.landscape.interpolate import interpolate
from onebasin.study import match
from onebasin.study.star import Star

pytestmark = pytest.mark.usefixtures("one_thread")

MATCHING = {"name": "activations", "algorithm": "activations"}


def star(sources, options, **settings):
    images, labels = blobs().tensors("train")
    model = network(**options).eval()
    groups = symmetry.discover(model, images[:2])
    return Star(model, groups, sources, MATCHING, images, labels, **settings)


def sources_of(folder, options, seeds=(1, 2)):
    """The states of networks that were trained a little."""
    return [
        run(folder / str(seed), model=network(seed=seed, **options), seed_address=(seed,)).eval().state_dict()
        for seed in seeds
    ]


@pytest.mark.parametrize(
    ("settings", "options"),
    [(SMALL, {}), (AUGMENTED, {"family": "cnn", "norm": "batch"})],
    ids=["mlp adam", "cnn batch norm augmented"],
)
def test_a_star_in_parts_equals_a_star_in_one(tmp_path, caplog, settings, options):
    sources = sources_of(tmp_path / "sources", options)

    def trained(name):
        # Matched in the first and third epoch: one that goes on with the second must still know the permutations.
        outputs = star(sources, options, every=2, beta=[1, 2])
        return run(tmp_path / name, settings, network(**options), outputs=outputs)

    expected = flat(trained("whole"))
    for epoch in (2, 4):
        with stopped_in(epoch):
            trained("parts")
    caplog.set_level(logging.INFO)
    assert torch.equal(flat(trained("parts")), expected)
    assert "continues at epoch 4" in caplog.text
    assert results(tmp_path / "parts") == results(tmp_path / "whole")
    assert not torch.equal(flat(run(tmp_path / "plain", settings, network(**options))), expected)


@pytest.mark.parametrize("share", [0.0, 0.5, 1.0])
def test_a_step_is_judged_on_the_line_and_moves_the_star_by_its_share(tmp_path, share):
    (source,) = sources_of(tmp_path, {}, [1])
    # A Beta distribution as narrow as that draws nothing else.
    outputs = star([source], {}, beta=[max(1e12 * share, 1e-12), max(1e12 * (1 - share), 1e-12)])
    model, middle = network(), network()
    images, labels = blobs().tensors("train", limit=20)
    outputs.begin(model, ("one",), 1)
    found = outputs.groups.apply(match.pair(*matched(outputs, model, source)).permutation, source)
    middle.load_state_dict(interpolate([model.state_dict(), found], [1 - share, share]))
    torch.testing.assert_close(outputs(model, images), middle(images))
    for one in (lambda x: outputs(model, x), middle):
        functional.cross_entropy(one(images), labels).backward()
    for parameter, other in zip(model.parameters(), middle.parameters(), strict=True):
        torch.testing.assert_close(parameter.grad, (1 - share) * other.grad)


def matched(outputs, model, source):
    return (outputs.model, outputs.groups, (model.state_dict(), source), MATCHING, outputs.images, outputs.labels)


def test_the_order_of_the_units_of_a_source_does_not_matter(tmp_path):
    sources = sources_of(tmp_path, {})
    outputs = star(sources, {})
    shuffled = [
        outputs.groups.apply(outputs.groups.random(seeding.generator("star", i)), s) for i, s in enumerate(sources)
    ]
    assert not torch.equal(shuffled[0]["head.weight"], sources[0]["head.weight"])
    expected = flat(run(tmp_path / "a", outputs=outputs))
    torch.testing.assert_close(flat(run(tmp_path / "b", outputs=star(shuffled, {}))), expected)


def test_running_statistics_are_those_of_the_star_and_not_of_mixtures(tmp_path):
    options = {"family": "cnn", "norm": "batch"}
    outputs = star(sources_of(tmp_path, options), options)
    model = run(tmp_path, AUGMENTED, network(**options), outputs=outputs).eval()
    state, (images, _) = model.state_dict(), blobs().tensors("train")
    own = repair.correction("reset", model, [state], images)(state, [1.0])
    for name, tensor in state.items():
        torch.testing.assert_close(tensor, own[name])
    means = [name for name in state if name.endswith("running_mean")]
    assert means and all(state[name].abs().sum() > 0 for name in means)


def test_matched_every_so_many_epochs(tmp_path, monkeypatch):
    sources, calls = sources_of(tmp_path, {}), []
    pair = match.pair
    monkeypatch.setattr(match, "pair", lambda *given: calls.append(given) or pair(*given))
    run(tmp_path, outputs=star(sources, {}, every=3))
    assert len(calls) == 2 * 2, "two sources, in the epochs 1 and 4"
