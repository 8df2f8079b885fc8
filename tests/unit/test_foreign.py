"""Networks that were trained elsewhere are read without running code, and fit the model or are refused."""

import pickle
import re

import pytest
import torch
from safetensors.torch import save_file, save_model
from torch import nn

from onebasin import checkpoint, foreign
from onebasin.files import FileError


class Tied(nn.Module):
    def __init__(self):
        super().__init__()
        self.one = nn.Linear(3, 3)
        self.two = nn.Linear(3, 3)
        self.two.weight = self.one.weight


def network():
    return nn.Sequential(nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.Flatten(), nn.Linear(4, 2))


def same(one, two):
    return one.keys() == two.keys() and all(torch.equal(one[key], two[key]) for key in one)


WRITERS = {
    "safetensors": lambda state, path: save_file(state, path),
    "state dict": torch.save,
    "state dict of old": lambda state, path: torch.save(state, path, _use_new_zipfile_serialization=False),
    "wrapped": lambda state, path: torch.save({"epoch": 3, "state_dict": state, "best": 0.5}, path),
    "wrapped twice": lambda state, path: torch.save({"model": {"state_dict": state}}, path),
    "onebasin": lambda state, path: checkpoint.save(path, state, {"epoch": 1}),
}


@pytest.mark.parametrize("kind", WRITERS)
def test_state_dicts_are_read(tmp_path, kind):
    state = network().state_dict()
    WRITERS[kind](state, tmp_path / "network")
    assert same(foreign.read(tmp_path / "network"), dict(state))


@pytest.mark.parametrize("prefix", ["module.", "_orig_mod.", "model.", "module._orig_mod."])
def test_prefixes_of_wrappers_are_dropped(prefix):
    model = network()
    state = model.state_dict()
    assert same(foreign.fit(model, {prefix + key: value for key, value in state.items()}), dict(state))


def test_a_prefix_that_the_model_has_stays():
    model = nn.ModuleDict({"model": nn.Linear(2, 2)})
    assert same(foreign.fit(model, model.state_dict()), dict(model.state_dict()))


def test_counters_and_shared_tensors_may_be_missing(tmp_path):
    model = network()
    state = {key: value for key, value in model.state_dict().items() if "num_batches" not in key}
    assert same(foreign.fit(model, state), dict(model.state_dict()))
    tied = Tied()
    save_model(tied, str(tmp_path / "tied"))
    assert same(foreign.fit(tied, foreign.read(tmp_path / "tied")), dict(tied.state_dict()))


def test_other_precision_is_converted():
    model = network()
    state = foreign.fit(model, {key: value.clone() for key, value in model.half().state_dict().items()})
    assert {value.dtype for key, value in foreign.fit(network(), state).items() if "num" not in key} == {torch.float32}


def test_every_misfit_is_listed():
    state = network().state_dict()
    state["0.weight"] = torch.zeros(8, 1, 3, 3)
    state["3.bias"] = torch.tensor([1.0, float("nan")])
    state["1.running_mean"] = torch.zeros(4, dtype=torch.int64)
    state["extra.weight"] = state.pop("0.bias")
    with pytest.raises(FileError) as caught:
        foreign.fit(network(), state, "mine.pt")
    assert str(caught.value) == (
        "mine.pt does not fit the model: missing 0.bias; unknown extra.weight; "
        "0.weight has shape [8, 1, 3, 3], the model's [4, 1, 3, 3]; "
        "1.running_mean is torch.int64, the model's torch.float32; 3.bias holds numbers that are not finite"
    )


class Trap:
    """A pickle that would make a file when read."""

    def __init__(self, path):
        self.path = str(path)

    def __reduce__(self):
        return open, (self.path, "w")


def test_a_pickle_that_needs_more_is_refused_and_not_run(tmp_path):
    torch.save({"state_dict": network().state_dict(), "trap": Trap(tmp_path / "sprung")}, tmp_path / "a.pt")
    (tmp_path / "b.pkl").write_bytes(pickle.dumps(Trap(tmp_path / "sprung")))
    torch.save(network(), tmp_path / "c.pt")
    for name, needed in (
        ("a.pt", r"needs io\.open"),
        ("b.pkl", "holds more than .*"),
        ("c.pt", r"needs torch\.nn\..*Sequential"),
    ):
        with pytest.raises(FileError, match=f"{name} is a pickle that {needed} and could run any code") as caught:
            foreign.read(tmp_path / name)
        assert "\n" not in str(caught.value)
    assert not (tmp_path / "sprung").exists()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "neither safetensors nor a file of torch.save"),
        (b"PK\x03\x04 and no more", "no readable file of torch.save"),
        (b"\x80\x02", "no readable file of torch.save"),
        ({"epoch": 3, "optimizer": {}}, "no state dict but a dictionary with the keys epoch, optimizer"),
        ([1, 2], "no state dict but a list"),
        ({}, "an empty dictionary"),
    ],
)
def test_other_files_are_refused(tmp_path, content, message):
    if isinstance(content, bytes):
        (tmp_path / "x").write_bytes(content)
    else:
        torch.save(content, tmp_path / "x")
    with pytest.raises(FileError, match=re.escape(str(tmp_path / "x")) + f".*{message}") as caught:
        foreign.read(tmp_path / "x")
    assert "\n" not in str(caught.value)


def test_missing_files_are_named(tmp_path):
    with pytest.raises(FileError, match="No such file"):
        foreign.read(tmp_path / "x")
    with pytest.raises(FileError, match="directory"):
        foreign.read(tmp_path)
