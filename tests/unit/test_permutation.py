"""The laws of permutations, and their files."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from onebasin import files, permutation
from onebasin.permutation import Permutation

permutations = st.builds(
    lambda first, second: Permutation({"a": first, "b": second}),
    st.permutations(range(7)),
    st.permutations(range(3)),
)


@given(permutations, permutations, permutations)
def test_composition_is_associative(p, q, r):
    assert (p @ q) @ r == p @ (q @ r)


@given(permutations, permutations)
def test_inverse(p, q):
    identity = Permutation.identity(p.sizes)
    assert p @ p.inverse() == identity == p.inverse() @ p
    assert (p @ q).inverse() == q.inverse() @ p.inverse()
    assert p @ identity == p == identity @ p


@given(permutations, permutations)
def test_composition_applies_the_right_one_first(p, q):
    values = {name: np.arange(size) * 10 for name, size in p.sizes.items()}
    for name in p:
        assert np.array_equal(values[name][q[name]][p[name]], values[name][(p @ q)[name]])


def test_fixed_points():
    p = Permutation({"a": [0, 2, 1, 3], "b": [1, 0]})
    assert p.fixed_points() == {"a": 0.5, "b": 0.0}
    assert Permutation.identity(p.sizes).fixed_points() == {"a": 1.0, "b": 1.0}


def test_is_immutable_and_does_not_share_memory():
    source = np.array([1, 0, 2])
    p = Permutation({"a": source})
    source[0] = 0
    assert p["a"].tolist() == [1, 0, 2]
    with pytest.raises(ValueError):
        p["a"][0] = 0


def test_equality_and_hash():
    p, same, other = (Permutation({"a": values}) for values in ([1, 0], np.array([1, 0]), [0, 1]))
    assert p == same and hash(p) == hash(same)
    assert p != other and p != Permutation({"b": [1, 0]})


@pytest.mark.parametrize("values", [[0, 0], [1, 2], [[0, 1], [1, 0]], [-1, 0]])
def test_refuses_what_is_not_a_permutation(values):
    with pytest.raises(ValueError, match="'layer'"):
        Permutation({"layer": values})


def test_refuses_to_compose_different_groups():
    with pytest.raises(ValueError, match="different groups"):
        Permutation({"a": [0, 1]}) @ Permutation({"a": [0, 1, 2]})


@given(permutations)
def test_survives_a_file(tmp_path_factory, p):
    path = tmp_path_factory.mktemp("files") / "p.safetensors"
    p.save(path, {"objective": 1.5, "pair": [0, 1]})
    assert Permutation.load(path) == p
    assert permutation.load_metadata(path) == {"objective": 1.5, "pair": [0, 1]}


def test_same_permutation_gives_the_same_bytes(tmp_path):
    p = Permutation({"z": [1, 0], "a": [2, 0, 1]})
    for name in ("one", "two"):
        p.save(tmp_path / name, {"b": 1, "a": 2, "c": 3})
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()


def test_a_truncated_file_is_named(tmp_path):
    path = tmp_path / "p.safetensors"
    Permutation({"a": np.arange(100)}).save(path)
    path.write_bytes(path.read_bytes()[:-50])
    with pytest.raises(files.FileError, match=r"p\.safetensors"):
        Permutation.load(path)


def test_a_file_of_another_kind_is_named(tmp_path):
    path = tmp_path / "state.safetensors"
    files.save_tensors(path, {"weight": torch.ones(2)}, {}, kind="checkpoint")
    with pytest.raises(files.FileError, match=r"state\.safetensors"):
        Permutation.load(path)


def test_a_file_that_holds_no_permutation_is_named(tmp_path):
    path = tmp_path / "p.safetensors"
    files.save_tensors(path, {"a": torch.tensor([0, 0])}, {}, kind="permutation")
    with pytest.raises(files.FileError, match=r"p\.safetensors.*'a'"):
        Permutation.load(path)


def test_many_survive_a_file_in_their_order(tmp_path):
    found = {
        (1, 10): Permutation({"z": [1, 0], "a": [2, 0, 1]}),
        (0, 2): Permutation({"z": [0, 1], "a": [0, 2, 1]}),
        (7,): Permutation({"z": [1, 0], "a": [0, 1, 2]}),
    }
    path = tmp_path / "many.safetensors"
    permutation.save(path, found, {"stage": {"level": 2}})
    loaded = permutation.load(path)
    assert list(loaded.items()) == list(found.items())
    assert permutation.load_metadata(path)["stage"] == {"level": 2}
    permutation.save(tmp_path / "again.safetensors", loaded, {"stage": {"level": 2}})
    assert (tmp_path / "again.safetensors").read_bytes() == path.read_bytes()


def test_one_order_that_is_no_permutation_is_named(tmp_path):
    path = tmp_path / "many.safetensors"
    permutation.save(path, {(0, 1): Permutation({"a": [1, 0]})}, {})
    tensors, metadata = files.load_tensors(path, "permutations")
    broken = {key: torch.zeros_like(tensor) for key, tensor in tensors.items()}
    files.save_tensors(path, broken, metadata, kind="permutations")
    with pytest.raises(files.FileError, match=r"many\.safetensors.*'a'"):
        permutation.load(path)
