"""Means of two networks, and training that goes on from them."""

import logging
from dataclasses import replace

import pytest
import torch
from test_train import AUGMENTED, SMALL, blobs, flat, network, results, run, stopped_in, table

from onebasin import checkpoint, seeding, symmetry
from onebasin.files import load_tensors
from onebasin.landscape import repair
from onebasin.landscape.interpolate import interpolate
from onebasin.permutation import Permutation
from onebasin.study.transience import mean, permuted_memory

pytestmark = pytest.mark.usefixtures("one_thread")

KINDS = {
    "mlp adam": (SMALL, {}),
    "mlp sgd": (replace(SMALL, optimizer="sgd", lr=0.1), {}),
    "cnn sgd momentum cosine": (replace(AUGMENTED, schedule="cosine", warmup=3.0), {"family": "cnn", "norm": "layer"}),
    "cnn batch norm": (AUGMENTED, {"family": "cnn", "norm": "batch"}),
    "cnn channels last": (replace(SMALL, channels_last=True), {"family": "cnn"}),
}


def trained(folder, settings, options, seed=0, **more):
    """Train a network; return it and what its optimiser remembers after epoch 2."""
    memories = {2: folder / "memory2.safetensors"}
    address = {"seed_address": (seed, "net")}
    run(folder, settings, network(seed=seed, **options), memories=memories, **address, **more)
    return checkpoint.load(folder / "epoch2.safetensors")[0], load_tensors(folder / "memory2.safetensors", "memory")[0]


def mean_of(options, ends, permutation=None):
    images = blobs().tensors("train")[0]
    model = network(**options).eval()
    states, memories = zip(*ends, strict=True)
    return mean(symmetry.discover(model, images[:2]), model, states, memories, permutation, images)


def go_on(folder, settings, options, state, memory, **more):
    model = network(**options)
    model.load_state_dict(state)
    return run(folder, settings, model, epochs=(2, 4), start=2, memory=memory, **{"seed_address": (0, "net")} | more)


@pytest.mark.parametrize("kind", KINDS)
def test_from_the_mean_of_a_network_with_itself_training_goes_on_as_its_own(tmp_path, kind):
    settings, options = KINDS[kind]
    end = trained(tmp_path / "whole", settings, options)
    go_on(tmp_path / "rest", settings, options, *mean_of(options, [end, end]))
    for epoch in (2, 4):
        whole, rest = (checkpoint.load(tmp_path / name / f"epoch{epoch}.safetensors")[0] for name in ("whole", "rest"))
        assert all(torch.equal(rest[name], tensor) for name, tensor in whole.items())
    rows = [[row | {"seconds": ""} for row in table(tmp_path / name)] for name in ("whole", "rest")]
    assert rows[0][2:] == rows[1]


def test_an_optimiser_that_remembers_nothing_goes_another_way(tmp_path):
    state, _ = trained(tmp_path / "whole", SMALL, {})
    forgetful = flat(go_on(tmp_path / "rest", SMALL, {}, state, None))
    last = checkpoint.load(tmp_path / "whole/epoch4.safetensors")[0]
    assert not torch.equal(forgetful, torch.cat([tensor.flatten() for tensor in last.values()]))


@pytest.mark.parametrize("kind", ["mlp adam", "cnn sgd momentum cosine"])
def test_what_optimisers_remember_is_permuted_as_their_networks(tmp_path, kind):
    settings, options = KINDS[kind]
    state, memory = trained(tmp_path / "whole", settings, options)
    groups = symmetry.discover(network(**options).eval(), blobs().tensors("train", limit=2)[0])
    moved = groups.random(seeding.generator("transience"))
    other = groups.apply(moved, state), permuted_memory(groups, memory, moved)
    assert any(not torch.equal(other[1][name], tensor) for name, tensor in memory.items())
    # Back in the frame of the first the two are one network, and so is their mean.
    found = mean_of(options, [(state, memory), other], Permutation(moved).inverse())
    for one, own in zip(found, (state, memory), strict=True):
        assert all(torch.equal(one[name], tensor) for name, tensor in own.items())
    # Training and permuting may change places.
    go_on(tmp_path / "moved", settings, options, *other)
    last, own = (checkpoint.load(tmp_path / name / "epoch4.safetensors")[0] for name in ("moved", "whole"))
    for name, tensor in groups.apply(moved, own).items():
        torch.testing.assert_close(last[name], tensor, rtol=1e-3, atol=1e-4)


def test_the_mean_is_that_of_the_networks_and_of_what_is_remembered(tmp_path):
    ends = [trained(tmp_path / str(seed), SMALL, {}, seed) for seed in (0, 1)]
    state, memory = mean_of({}, ends)
    for found, parts in ((state, [end[0] for end in ends]), (memory, [end[1] for end in ends])):
        for name, tensor in found.items():
            torch.testing.assert_close(tensor, (parts[0][name] + parts[1][name]) / 2)
    assert memory["count"] == ends[0][1]["count"] > 0


def test_running_statistics_are_those_of_the_mean(tmp_path):
    settings, options = KINDS["cnn batch norm"]
    ends = [trained(tmp_path / str(seed), settings, options, seed) for seed in (0, 1)]
    found, _ = mean_of(options, ends)
    plain, model = interpolate([state for state, _ in ends], [0.5, 0.5]), network(**options).eval()
    own = repair.correction("reset", model, [plain], blobs().tensors("train")[0])(plain, [1.0])
    means = [name for name in plain if name.endswith("running_mean")]
    assert means
    for name in plain:
        torch.testing.assert_close(found[name], own[name])
    assert any(not torch.allclose(found[name], plain[name], atol=1e-3) for name in means)


def test_it_goes_on_after_an_interruption(tmp_path, caplog):
    ends = [trained(tmp_path / str(seed), SMALL, {}, seed) for seed in (0, 1)]
    given = mean_of({}, ends)
    go_on(tmp_path / "one", SMALL, {}, *given)
    with stopped_in(4):
        go_on(tmp_path / "parts", SMALL, {}, *given)
    caplog.set_level(logging.INFO)
    go_on(tmp_path / "parts", SMALL, {}, *given)
    assert "continues at epoch 4" in caplog.text
    assert results(tmp_path / "parts") == results(tmp_path / "one")
    with stopped_in(4):
        go_on(tmp_path / "other", SMALL, {}, *given)
    go_on(tmp_path / "other", SMALL, {}, given[0], ends[0][1])
    assert "starting afresh, for something changed since the earlier run: memory" in caplog.text


def test_what_is_remembered_is_there_again_after_an_interruption(tmp_path):
    trained(tmp_path / "one", SMALL, {})
    with stopped_in(4):
        trained(tmp_path / "parts", SMALL, {})
    waiting = tmp_path / "parts/.work/memory2.safetensors"
    assert waiting.exists() and not (tmp_path / "parts/memory2.safetensors").exists()
    trained(tmp_path / "parts", SMALL, {})
    assert results(tmp_path / "parts") == results(tmp_path / "one")


@pytest.mark.parametrize("other", [{}, {"count": torch.zeros(())}, None])
def test_what_another_optimiser_remembers_is_refused(tmp_path, other):
    state, memory = trained(tmp_path / "whole", SMALL, {})
    wrong = trained(tmp_path / "wide", SMALL, {"width": 7})[1] if other is None else other
    with pytest.raises(ValueError, match="the memory does not fit the optimiser"):
        go_on(tmp_path / "rest", SMALL, {}, state, wrong)
    assert memory.keys() != wrong.keys() or memory["moment1/head.weight"].shape != wrong["moment1/head.weight"].shape
