"""Functions that build models are found by name."""

import sys

import pytest

from onebasin.models import factory


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A folder with modules of the user's own, from which a later test cannot import."""
    monkeypatch.setattr(sys, "path", list(sys.path))
    loaded = set(sys.modules)
    (tmp_path / "own_net.py").write_text(
        "def build(width): return width + 1\nclass Holder:\n    made = build\nsize = 3\n"
    )
    (tmp_path / "own_broken.py").write_text("import own_absent\n")
    (tmp_path / "own_syntax.py").write_text("def :\n")
    yield tmp_path
    for name in set(sys.modules) - loaded:
        if name.startswith("own_"):
            del sys.modules[name]


def test_a_file_in_a_folder_is_enough(folder):
    assert factory.load("own_net:build", folder)(width=2) == 3
    assert factory.load("own_net:Holder.made", folder)(2) == 3


def test_the_current_directory_is_searched(folder, monkeypatch):
    monkeypatch.chdir(folder)
    assert factory.load("own_net:build")(2) == 3


def test_installed_modules_are_found():
    assert factory.load("onebasin.models:build").__name__ == "build"


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("own_net", "give package.module:function"),
        ("own_net.py:build", "no module 'own_net.py'"),
        ("own_missing:build", "no module 'own_missing'"),
        ("own_net:other", "own_net has no 'other'"),
        ("own_net:size", "size is a int, not a function"),
        ("own_broken:build", "ModuleNotFoundError: No module named 'own_absent'"),
        ("own_syntax:build", "SyntaxError"),
        ("../own_net:build", "give package.module:function"),
    ],
)
def test_errors_are_one_readable_line(folder, spec, message):
    with pytest.raises(factory.FactoryError, match=f"^factory '{spec}': .*{message}") as caught:
        factory.load(spec, folder)
    assert "\n" not in str(caught.value)
