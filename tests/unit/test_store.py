"""The store: a piece is found by what shaped it, and by nothing else; what is broken is made again."""

import errno
import json
import os
import subprocess
import sys

import pytest

from onebasin.__main__ import main
from onebasin.files import atomic, sha256
from onebasin.study import record, stores
from onebasin.study.store import Store


@pytest.fixture
def store(tmp_path):
    return Store(tmp_path / "results/.store")


def entries(store, kind):
    return list(store.folder.glob(f"{kind}/*/*.json"))


def test_a_value_is_made_once_for_all_that_shapes_it(store):
    made = []

    def make():
        made.append(1)
        return {"losses": [0.1, float("nan"), 1e-300], "count": len(made)}

    first = store.value("mixtures", {"a": 1, "b": [2]}, make)
    assert Store(store.folder).value("mixtures", {"b": [2], "a": 1}, make)["count"] == first["count"] == 1
    assert first["losses"][0] == 0.1 and first["losses"][1] != first["losses"][1] and first["losses"][2] == 1e-300
    for other in ({"a": 1, "b": [3]}, {"a": 1}, {"a": "1", "b": [2]}):
        store.value("mixtures", other, make)
    store.value("matching", {"a": 1, "b": [2]}, make)
    assert len(made) == 5
    assert (store.made, store.found) == ({"mixtures": 4, "matching": 1}, {})


def test_a_value_that_is_made_is_the_one_that_is_found(store):
    made = store.value("matching", {}, lambda: {"pair": (1, 2)})
    assert made == store.value("matching", {}, lambda: pytest.fail("made again")) == {"pair": [1, 2]}


@pytest.mark.parametrize("damage", ["cut", "value", "foreign", "binary", "empty"])
def test_a_broken_or_foreign_entry_is_never_used(store, damage, caplog):
    store.value("mixtures", {"a": 1}, lambda: "right")
    (path,) = entries(store, "mixtures")
    text = path.read_text()
    if damage == "foreign":
        store.value("mixtures", {"a": 2}, lambda: "another")
        other = next(found for found in entries(store, "mixtures") if found != path)
        path.write_bytes(other.read_bytes())
    else:
        path.write_bytes(
            {
                "cut": text[:-9].encode(),
                "value": text.replace("right", "wrong").encode(),
                "binary": b"\xff\xfe\x00",
                "empty": b"",
            }[damage]
        )
    assert store.value("mixtures", {"a": 1}, lambda: "again") == "again"
    assert store.value("mixtures", {"a": 1}, lambda: "never") == "again"


def files(folder, store, made, names=("network", "table"), **shaped_by):
    targets = {name: folder / name for name in names}

    def make():
        made.append(1)
        for name, path in targets.items():
            with atomic(path) as temporary:
                temporary.write_text(f"{name} of {shaped_by}")

    store.files("network", shaped_by, targets, make)
    return {name: path.read_text() for name, path in targets.items()}


def test_files_are_linked_and_keep_their_times(tmp_path, store):
    made = []
    first = files(tmp_path / "a", store, made, seed=0)
    os.utime(tmp_path / "a/network", ns=(10**18, 10**18))
    assert files(tmp_path / "b", store, made, seed=0) == first and len(made) == 1
    assert os.path.samefile(tmp_path / "a/network", tmp_path / "b/network")
    assert os.stat(tmp_path / "b/network").st_mtime_ns == 10**18
    assert files(tmp_path / "b", store, made, seed=1) != first and len(made) == 2
    assert (tmp_path / "a/network").read_text() == first["network"]
    assert store.contents[str(tmp_path / "b/table")] == sha256(tmp_path / "b/table")


def test_where_links_are_impossible_files_are_copied(tmp_path, store, monkeypatch):
    def refuse(*_, **__):
        raise OSError(errno.EXDEV, "another file system")

    monkeypatch.setattr(os, "link", refuse)
    made = []
    first = files(tmp_path / "a", store, made, seed=0)
    os.utime(tmp_path / "a/network", ns=(10**18, 10**18))
    assert files(tmp_path / "b", store, made, seed=0) == first and len(made) == 1
    assert not os.path.samefile(tmp_path / "a/network", tmp_path / "b/network")


def test_a_file_that_was_changed_in_place_is_made_again(tmp_path, store, caplog):
    made = []
    first = files(tmp_path / "a", store, made, seed=0)
    with open(tmp_path / "a/network", "a") as file:
        file.write("edited")
    assert files(tmp_path / "b", store, made, seed=0) == first and len(made) == 2
    assert files(tmp_path / "c", store, made, seed=0) == first and len(made) == 2
    assert "broken" in caplog.text


def test_another_epoch_is_made_and_the_others_stay(tmp_path, store):
    made = []
    files(tmp_path / "a", store, made, ["epoch1", "epoch3"], seed=0)
    files(tmp_path / "a", store, made, ["epoch1", "epoch2", "epoch3"], seed=0)
    assert len(made) == 2
    for names in (["epoch1", "epoch3"], ["epoch2"]):
        files(tmp_path / "b", store, made, names, seed=0)
    assert len(made) == 2


WRITER = """
import sys
from onebasin.study.store import Store
store = Store(sys.argv[1])
for number in range(200):
    assert store.value("mixtures", {"number": number}, lambda: [number] * 500) == [number] * 500
    store.files("network", {"number": number % 20}, {"network": f"{sys.argv[2]}/{number % 20}"},
                lambda: open(f"{sys.argv[2]}/{number % 20}", "w").write(str(number % 20)))
"""


def test_many_jobs_at_once_and_one_that_removes(tmp_path, store):
    script = [sys.executable, "-c", WRITER, str(store.folder)]
    jobs = []
    for name in "abc":
        (tmp_path / name).mkdir()
        jobs.append(subprocess.Popen([*script, str(tmp_path / name)]))
    while any(job.poll() is None for job in jobs):
        stores.remove(store.folder, tmp_path / "results", grace_s=0)
    assert [job.returncode for job in jobs] == [0, 0, 0]
    for name in "abc":
        assert {path.name: path.read_text() for path in (tmp_path / name).iterdir()} == {
            str(number): str(number) for number in range(20)
        }


@pytest.fixture
def referred(tmp_path, store):
    """A store with a piece of each kind that a study refers to, and one of each that none does."""
    made = []
    files(tmp_path / "results/kept/networks", store, made, seed=0)
    store.value("mixtures", {"seed": 0}, lambda: 0)
    record.write(tmp_path / "results/kept/logs/train/all.log", [], store, {})
    other = Store(store.folder)
    files(tmp_path / "results/gone", other, made, seed=1)
    other.value("mixtures", {"seed": 1}, lambda: 1)
    return store


def test_what_a_study_refers_to_stays(tmp_path, referred, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    held = stores.contents("results/.store", "results")
    assert {kind: (one.pieces, one.referred) for kind, one in held.items()} == {"mixtures": (2, 1), "network": (2, 1)}
    assert held["network"].bytes > held["network"].bytes_referred > 0
    assert stores.remove("results/.store", "results", grace_s=3600) == (0, 0)
    assert main(["store", "--remove", "--grace", "0"]) == 0
    assert "removed 2 pieces" in capsys.readouterr().out
    assert len(list(referred.kept_files())) == 2
    made = []
    files(tmp_path / "again", Store(referred.folder), made, seed=0)
    assert not made
    files(tmp_path / "again", Store(referred.folder), made, seed=1)
    assert made


def test_what_is_left_of_a_kill_and_broken_entries_are_removed(tmp_path, referred, monkeypatch):
    (path,) = [path for path in entries(referred, "mixtures") if json.loads(path.read_text())["value"] == 1]
    path.write_text("broken")
    remains = path.parent / ".entry.json.host-1.tmp"
    remains.write_text("begun")
    monkeypatch.setattr(stores, "ABANDONED_S", 0)
    assert stores.remove(referred.folder, tmp_path / "results", grace_s=0)[0] == 2
    assert not list(referred.folder.rglob("*.tmp"))


def test_no_store_is_told_in_one_line(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main(["store"]) == 1
    assert capsys.readouterr().err.startswith("onebasin: there is no store in results/.store")
