"""Networks that were trained elsewhere are read without running code, and fit the model or are refused."""

import gzip
import io
import json
import pickle
import re
import zipfile

import numpy
import pytest
import safetensors.torch
import torch
from safetensors.torch import save_file, save_model
from torch import nn

from onebasin import checkpoint, foreign, shards
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


@pytest.mark.parametrize("prefix", ["module.", "_orig_mod.", "model.", "module._orig_mod.", "my.own.", "0."])
def test_a_prefix_of_all_keys_is_dropped_or_added(prefix):
    model = network()
    state = model.state_dict()
    longer = {prefix + key: value for key, value in state.items()}
    assert same(foreign.fit(model, longer), dict(state))
    wrapper = model
    for name in reversed(prefix.split(".")[:-1]):
        wrapper = nn.ModuleDict({name: wrapper})
    assert same(foreign.fit(wrapper, state), longer)
    assert same(foreign.fit(wrapper, {f"module.{key}": value for key, value in state.items()}), longer)


def test_a_prefix_that_keys_of_the_model_have_is_told_from_that_of_a_wrapper():
    model = nn.ModuleDict({"model": nn.Linear(2, 2), "head": nn.Linear(2, 2)})
    alone = nn.ModuleDict({"model": nn.Linear(2, 2)})
    for module in (model, alone):
        state = dict(module.state_dict())
        assert same(foreign.fit(module, state), state)
        assert same(foreign.fit(module, {f"model.{key}": value for key, value in state.items()}), state)


def test_a_prefix_that_does_not_help_is_named():
    state = {f"model.{key}": value for key, value in network().state_dict().items()}
    with pytest.raises(FileError) as caught:
        foreign.fit(network(), {**state, "metric.total": torch.ones(1)}, "lightning.ckpt")
    assert str(caught.value) == (
        "lightning.ckpt does not fit the model (read without the prefix 'model.'): unknown metric.total; not all keys"
        " have that prefix: keep those that do, {key.removeprefix('model.'): value for key, value in state.items() if"
        " key.startswith('model.')}"
    )
    with pytest.raises(FileError) as caught:
        foreign.fit(network(), {**state, "model.metric": torch.ones(1)}, "lightning.ckpt")
    assert str(caught.value).endswith("does not fit the model (read without the prefix 'model.'): unknown metric")


def test_counters_and_shared_tensors_may_be_missing(tmp_path):
    model = network()
    state = {key: value for key, value in model.state_dict().items() if "num_batches" not in key}
    assert same(foreign.fit(model, state), dict(model.state_dict()))
    tied = Tied()
    save_model(tied, str(tmp_path / "tied"))
    assert same(foreign.fit(tied, foreign.read(tmp_path / "tied")), dict(tied.state_dict()))


def test_shared_tensors_that_have_come_apart_are_refused():
    state = Tied().state_dict()
    twice = {key: value.clone() for key, value in state.items()}
    assert same(foreign.fit(Tied(), twice), dict(state))
    twice["two.weight"][0, 0] += 1
    with pytest.raises(FileError, match="two.weight differs from one.weight, and the model shares them$"):
        foreign.fit(Tied(), twice)


LAYOUTS = {
    "coo": lambda value: value.to_sparse(),
    "csr": lambda value: value.to_sparse_csr(),
    "bsr": lambda value: value.to_sparse_bsr((1, 1)),
}


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.filterwarnings("ignore:Sparse")
def test_sparse_tensors_are_read_as_dense_ones(tmp_path, layout):
    model = Tied()
    dense = dict(model.state_dict())
    state = {key: LAYOUTS[layout](value) if value.ndim == 2 else value for key, value in dense.items()}
    torch.save(state, tmp_path / "pruned.pt")
    assert same(foreign.read(tmp_path / "pruned.pt"), dense)
    assert same(foreign.fit(model, state), dense)


@pytest.mark.filterwarnings("ignore::UserWarning", "ignore::DeprecationWarning")
@pytest.mark.parametrize("kind", ["quantised", "nested", "without values"])
def test_tensors_without_plain_values_are_refused(tmp_path, kind):
    value = {
        "quantised": lambda: torch.quantize_per_tensor(torch.ones(2), 0.1, 0, torch.qint8),
        "nested": lambda: torch.nested.nested_tensor([torch.ones(1), torch.ones(2)]),
        "without values": lambda: torch.ones(2, device="meta"),
    }[kind]()
    torch.save({"fc.weight": value}, tmp_path / "x.pt")
    # torch 2.15 builds no nested tensor where a file may only hold weights.
    with pytest.raises(FileError, match=rf"x.pt(: fc.weight is {kind} \(torch| is a pickle .*_nested_tensor)"):
        foreign.read(tmp_path / "x.pt")


FILES = {
    "as it is": lambda state: state,
    "wrapped": lambda state: {f"model.module.{key}": value for key, value in state.items()},
    "in another order": lambda state: dict(reversed(state.items())),
    "half": lambda state: {key: value.half() if value.is_floating_point() else value for key, value in state.items()},
    "bfloat16": lambda state: {key: value.bfloat16() for key, value in state.items()},
    "double": lambda state: {key: value.double() for key, value in state.items()},
    "without counters": lambda state: {key: value for key, value in state.items() if "num_batches" not in key},
    "shared once": lambda state: {key: value for key, value in state.items() if key != "0.two.weight"},
    "shared once, by the other name": lambda state: {k: value for k, value in state.items() if k != "0.one.weight"},
}


@pytest.mark.parametrize("kind", FILES)
def test_what_was_fitted_is_restored_bit_for_bit(kind):
    model = nn.Sequential(Tied(), nn.BatchNorm1d(3))
    original = FILES[kind](dict(model.state_dict()))
    fitted = foreign.fit(model, original)
    restored = foreign.restore(model, fitted, original)
    assert list(restored) == list(original) and same(restored, original)
    assert [value.dtype for value in restored.values()] == [value.dtype for value in original.values()]
    twice = foreign.restore(model, {key: 2 * value for key, value in fitted.items()}, original)
    assert same(twice, {key: 2 * value for key, value in original.items()})


def test_what_was_not_fitted_is_not_restored():
    model = network()
    state = dict(model.state_dict())
    with pytest.raises(FileError, match="^b.pt has other keys than the state or its model: 9.bias$"):
        foreign.restore(model, state, {**state, "9.bias": torch.ones(1)}, "b.pt")
    with pytest.raises(FileError, match="other keys than the state or its model: 3.bias$"):
        foreign.restore(model, {key: state[key] for key in state if key != "3.bias"}, state)


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


def archive(*names):
    with zipfile.ZipFile(written := io.BytesIO(), "w") as file:
        for name in names:
            file.writestr(name, b"")
    return written.getvalue()


def written(save, *arguments):
    save(*arguments, file := io.BytesIO())
    return file.getvalue()


SCRIPT = torch.jit.script(nn.ReLU())
WHOLE = safetensors.torch.save({"a": torch.ones(9)})

OTHERS = {
    "empty": (b"", "is empty; copy or write it anew"),
    "pointer": (
        b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\n",
        "is a pointer of Git LFS .* `git lfs pull`",
    ),
    "page": (b"<!DOCTYPE html>\n<html>", "is a page of the web"),
    "page after a blank": (b"\n <html>", "is a page of the web"),
    "gzip": (gzip.compress(WHOLE), "is compressed; unpack it"),
    "tar": (bytes(257) + b"ustar", "is a tar archive"),
    "npy": (written(lambda file: numpy.save(file, numpy.ones(2))), "is an array of NumPy"),
    "npz": (written(lambda file: numpy.savez(file, a=numpy.ones(2))), "is an archive of NumPy arrays"),
    "h5": (b"\x89HDF\r\n\x1a\n" + bytes(9), "is HDF5, as Keras writes it"),
    "keras": (archive("metadata.json", "config.json", "model.weights.h5"), "is a model of Keras"),
    "flax": (b"\x81\xa6params\x81", "is MessagePack, as Flax writes it"),
    "onnx": (b"\x08\x08\x12\x07pytorch", "is ONNX"),
    "torch.export": (archive("net/archive_format", "net/models/model.json"), "is a program of torch.export"),
    "torchscript": (
        written(lambda file: torch.jit.save(SCRIPT, file)),
        "is TorchScript, a program with its tensors; write",
    ),
    "zip": (archive("a.txt", "b.txt"), r"is an archive of other files \(a.txt, b.txt\)"),
    "text": (b"once upon a time", "neither safetensors nor a file of torch.save"),
    "json": (b'{"architectures": ["ResNet"]}', "is JSON, and no index of shards"),
    "list": (b"[1, 2]", "is JSON, and no index of shards"),
    "broken json": (b'{"weight_map": {', "is JSON, and no index of shards"),
    "cut": (WHOLE[:-4], "no whole file of safetensors"),
    "cut in its header": (WHOLE[:12], "no whole file of safetensors"),
    "cut archive": (b"PK\x03\x04 and no more", "no readable file of torch.save"),
    "cut pickle": (b"\x80\x02", "no readable file of torch.save"),
    "other things": ({"epoch": 3, "optimizer": {}}, "no state dict but a dictionary with the keys epoch, optimizer;"),
    "many things": (dict.fromkeys("abcdefghijklm"), "with the keys a, b, c, d, e, f, g, h, i, j, ...;"),
    "more than tensors": ({"a": torch.ones(1), "b": 3}, "a dictionary with besides tensors the keys b;"),
    "values in a list": ([1, 2], "no state dict but a list"),
    "nothing": ({}, "an empty dictionary"),
    "two networks": (
        {"student": {"a": torch.ones(1)}, "teacher": {"a": torch.ones(1)}, "epoch": 1},
        "holds several state dicts, under student, teacher; save that of the network alone",
    ),
}


@pytest.mark.parametrize("kind", OTHERS)
def test_other_files_are_called_what_they_are(tmp_path, kind):
    content, message = OTHERS[kind]
    if isinstance(content, bytes):
        (tmp_path / "x").write_bytes(content)
    else:
        torch.save(content, tmp_path / "x")
    with pytest.raises(FileError, match=re.escape(str(tmp_path / "x")) + f".*{message}") as caught:
        foreign.read(tmp_path / "x")
    assert "\n" not in str(caught.value) and "weights_only" not in str(caught.value)


def test_missing_files_are_named(tmp_path):
    with pytest.raises(FileError, match="No such file"):
        foreign.read(tmp_path / "x")


def test_of_folders_the_file_is_named(tmp_path):
    def refused(message):
        with pytest.raises(FileError, match=f"{re.escape(str(tmp_path))} is a folder; {message}$"):
            foreign.read(tmp_path)

    refused("give a file of tensors, of which it has none")
    for name in ("config.json", "model-00001-of-00002.safetensors"):
        (tmp_path / name).touch()
    refused(f"give {tmp_path}/model-00001-of-00002.safetensors")
    (tmp_path / "model-00002-of-00002.safetensors").touch()
    refused(f"give one of {tmp_path}/model-00001-of-00002.safetensors, {tmp_path}/model-00002-of-00002.safetensors")
    (tmp_path / "model.safetensors.index.json").touch()
    refused(f"give {tmp_path}/model.safetensors.index.json")
    for name in (".metadata", "__0_0.distcp"):
        (tmp_path / name).touch()
    refused(".*dcp_to_torch FOLDER FILE")


@pytest.mark.parametrize(("stem", "suffix", "save"), [("model", "safetensors", save_file), ("m", "bin", torch.save)])
def test_an_index_is_read_with_its_shards(tmp_path, stem, suffix, save):
    model = network()
    state = dict(model.state_dict())
    names = [f"{stem}-0000{number}-of-00002.{suffix}" for number in (1, 2)]
    place = {key: names[key.startswith("3")] for key in state}
    for name in names:
        save({key: value for key, value in state.items() if place[key] == name}, tmp_path / name)
    index = tmp_path / f"{stem}.{suffix}.index.json"
    index.write_text(json.dumps({"metadata": {"total_size": 1}, "weight_map": place}))
    assert same(foreign.read(index), state)
    assert shards.parts(index) == [index, *(tmp_path / name for name in names)]
    assert shards.parts(tmp_path / names[0]) == [tmp_path / names[0]]
    with pytest.raises(FileError, match=f"missing 3.weight; .*; it is one shard of 2: give {index}, which reads all$"):
        foreign.fit(model, foreign.read(tmp_path / names[0]), tmp_path / names[0])
    index.write_text(json.dumps({"weight_map": {**place, "4.bias": names[0]}}))
    with pytest.raises(FileError, match=f"json: its shard {names[0]} lacks 4.bias; fetch all files of one version$"):
        foreign.read(index)
    (tmp_path / names[1]).write_text("version https://git-lfs.github.com/spec/v1")
    with pytest.raises(FileError, match=f"{names[1]} is a pointer of Git LFS"):
        foreign.read(index)
    (tmp_path / names[1]).unlink()
    for ask in (foreign.read, shards.parts):
        with pytest.raises(FileError, match=f"json: its shard {tmp_path}/{names[1]} is missing; fetch it, too$"):
            ask(index)


@pytest.mark.parametrize(
    ("wrapping", "said"),
    [
        ({"epoch": 1, "model_state": 1}, ""),
        ({"ema": 1, "step": 3}, ""),
        ({"params": 1, "optimizer": {"state": {}, "param_groups": []}}, ""),
        ({"model_ema": 2, "model": 1}, "the network under 'model' is read, not that under 'model_ema'"),
        ({"model": 1, "state_dict_ema": 2, "ema": 2}, "not that under 'state_dict_ema' or 'ema'"),
    ],
)
def test_the_network_is_found_among_other_things(tmp_path, caplog, wrapping, said):
    states = [network().state_dict() for _ in range(2)]
    keep = ("epoch", "step", "optimizer")
    torch.save({key: value if key in keep else states[value - 1] for key, value in wrapping.items()}, tmp_path / "x")
    assert same(foreign.read(tmp_path / "x"), dict(states[0]))
    assert said in caplog.text and bool(said) == bool(caplog.text)
