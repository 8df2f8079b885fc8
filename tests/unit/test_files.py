import errno
import os
import subprocess
import sys

import pytest
import torch

from onebasin.files import FileError, atomic, load_metadata, load_tensors, save_tensors

TENSORS = {"b": torch.arange(6.0).reshape(2, 3), "a": torch.tensor([1, 2], dtype=torch.int64)}
METADATA = {"seed": 3, "name": "ä", "values": [1.5, None], "nested": {"z": True, "a": 0}}


def test_tensors_and_metadata_come_back(tmp_path):
    path = tmp_path / "new" / "folder" / "x.safetensors"
    save_tensors(path, TENSORS, METADATA, "checkpoint")
    tensors, metadata = load_tensors(path, "checkpoint")
    assert metadata == METADATA == load_metadata(path, "checkpoint")
    assert tensors.keys() == TENSORS.keys()
    for name, tensor in TENSORS.items():
        assert tensors[name].dtype == tensor.dtype
        assert torch.equal(tensors[name], tensor)


def test_bytes_do_not_depend_on_order_or_process(tmp_path):
    save_tensors(tmp_path / "one", TENSORS, METADATA, "dataset")
    reverse = dict(reversed(TENSORS.items()))
    save_tensors(tmp_path / "two", reverse, dict(reversed(METADATA.items())), "dataset")
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()
    code = (
        "import sys, torch; from onebasin.files import *\n"
        "t, m = load_tensors(sys.argv[1], 'dataset'); save_tensors(sys.argv[2], t, m, 'dataset')"
    )
    subprocess.run([sys.executable, "-c", code, tmp_path / "one", tmp_path / "three"], check=True)
    assert (tmp_path / "one").read_bytes() == (tmp_path / "three").read_bytes()


def test_views_and_shared_and_scalar_tensors_are_stored_plain(tmp_path):
    base = torch.arange(12.0).reshape(3, 4)
    tensors = {"t": base.T, "slice": base[1:, :2], "same": base, "again": base, "scalar": torch.tensor(2.0)}
    save_tensors(tmp_path / "x", tensors, {}, "checkpoint")
    found, _ = load_tensors(tmp_path / "x", "checkpoint")
    for name, tensor in tensors.items():
        assert torch.equal(found[name], tensor)


def test_file_has_the_usual_permissions(tmp_path):
    save_tensors(tmp_path / "x", TENSORS, {}, "checkpoint")
    (tmp_path / "y").write_text("")
    assert (tmp_path / "x").stat().st_mode == (tmp_path / "y").stat().st_mode


@pytest.mark.parametrize("share", [0.0, 0.001, 0.3, 0.999])
def test_truncated_file_is_named(tmp_path, share):
    path = tmp_path / "x.safetensors"
    save_tensors(path, {"a": torch.zeros(1000)}, METADATA, "checkpoint")
    content = path.read_bytes()
    path.write_bytes(content[: int(share * len(content))])
    with pytest.raises(FileError, match=r"x\.safetensors.*make it again") as caught:
        load_tensors(path, "checkpoint")
    assert "\n" not in str(caught.value)
    with pytest.raises(FileError, match=r"x\.safetensors.*make it again"):
        load_metadata(path, "checkpoint")


def test_foreign_missing_and_wrong_files_are_named(tmp_path):
    from safetensors.torch import save_file

    with pytest.raises(FileError, match=r"gone does not exist"):
        load_tensors(tmp_path / "gone", "checkpoint")
    with pytest.raises(FileError, match=str(tmp_path)):
        load_tensors(tmp_path, "checkpoint")
    (tmp_path / "text").write_text("a,b\n1,2\n" * 10)
    with pytest.raises(FileError, match="text is no readable checkpoint"):
        load_tensors(tmp_path / "text", "checkpoint")
    save_file({"a": torch.zeros(2)}, tmp_path / "foreign")
    with pytest.raises(FileError, match="foreign was not written by onebasin"):
        load_tensors(tmp_path / "foreign", "checkpoint")
    save_file({"a": torch.zeros(2)}, tmp_path / "odd", metadata={"onebasin": "[1]"})
    with pytest.raises(FileError, match="odd was not written by onebasin"):
        load_tensors(tmp_path / "odd", "checkpoint")
    save_tensors(tmp_path / "permutation", TENSORS, {}, "permutation")
    with pytest.raises(FileError, match="is a permutation file, not a checkpoint file"):
        load_tensors(tmp_path / "permutation", "checkpoint")


def test_failed_block_leaves_the_old_file_and_nothing_else(tmp_path):
    path = tmp_path / "x"
    path.write_text("old")
    with pytest.raises(RuntimeError, match="stop"), atomic(path) as temporary:
        temporary.write_text("half")
        raise RuntimeError("stop")
    assert path.read_text() == "old"
    assert os.listdir(tmp_path) == ["x"]


def test_full_disk_is_one_line_and_leaves_nothing(tmp_path, monkeypatch):
    def full(descriptor):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(FileError, match=r"x could not be written: No space left.*free some space") as caught:
        save_tensors(tmp_path / "x", TENSORS, {}, "checkpoint")
    assert "\n" not in str(caught.value)
    assert os.listdir(tmp_path) == []


def test_unwritable_places_are_named(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(FileError, match="a file lies where a folder is needed"):
        save_tensors(tmp_path / "file" / "x", TENSORS, {}, "checkpoint")
    (tmp_path / "folder").mkdir()
    with pytest.raises(FileError, match="a folder of that name is in the way"):
        save_tensors(tmp_path / "folder", TENSORS, {}, "checkpoint")
    if os.geteuid() != 0:
        (tmp_path / "folder").chmod(0o500)
        with pytest.raises(FileError, match="make its folder writable"):
            save_tensors(tmp_path / "folder" / "x", TENSORS, {}, "checkpoint")


def test_remains_of_a_killed_process_are_removed_by_the_next(tmp_path):
    code = (
        "import os, signal, sys; from onebasin.files import atomic\n"
        "with atomic(sys.argv[1]) as t: t.write_text('half'); os.kill(os.getpid(), signal.SIGKILL)"
    )
    path = tmp_path / "x"
    assert subprocess.run([sys.executable, "-c", code, path]).returncode == -9
    assert len(os.listdir(tmp_path)) == 1
    with atomic(path) as temporary:
        temporary.write_text("whole")
    assert os.listdir(tmp_path) == ["x"]
    assert path.read_text() == "whole"


def test_metadata_must_be_finite(tmp_path):
    with pytest.raises(ValueError, match="JSON"):
        save_tensors(tmp_path / "x", TENSORS, {"loss": float("nan")}, "checkpoint")
    assert os.listdir(tmp_path) == []
