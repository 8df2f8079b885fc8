"""Functions that build models are found by name."""

import sys

import pytest
import torch

from onebasin import seeding
from onebasin.models import factory


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A folder with modules of the user's own, from which a later test cannot import."""
    monkeypatch.setattr(sys, "path", list(sys.path))
    loaded = set(sys.modules)
    (tmp_path / "own_net.py").write_text(
        "def build(width): return width + 1\nclass Holder:\n    made = build\nsize = 3\n"
    )
    (tmp_path / "own_model.py").write_text(
        "from torch import nn\n"
        "def build(width, classes, depth=1): return nn.Sequential(*[nn.Linear(width, classes) for _ in range(depth)])\n"
        "def fixed(*, image_shape, **more): return nn.Linear(image_shape[-1], 3, **more)\n"
        "def nothing(width): return width\n"
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


SHAPE = {"image_shape": [1, 8, 8], "classes": 3}


def test_a_function_gets_what_its_parameters_name_and_all_options(folder):
    model = factory.build("own_model:build", width=4, **SHAPE, options={"depth": 2}, folder=folder)
    assert [tuple(layer.weight.shape) for layer in model] == [(3, 4)] * 2
    fixed = factory.build("own_model:fixed", width=1, **SHAPE, options={"bias": False}, folder=folder)
    assert fixed.in_features == 8 and fixed.bias is None


def test_parameters_that_a_function_draws_are_seeded_by_address(folder):
    def parameters(seed, *address):
        torch.manual_seed(seed)
        before = torch.get_rng_state()
        with seeding.seeded(*address):
            model = factory.build("own_model:build", width=4, **SHAPE, folder=folder)
        assert torch.equal(before, torch.get_rng_state())
        return model[0].weight

    assert torch.equal(parameters(1, "net", 0), parameters(2, "net", 0))
    assert not torch.equal(parameters(1, "net", 0), parameters(1, "net", 1))


@pytest.mark.parametrize(
    ("name", "width", "options", "message"),
    [
        ("build", 4, {"deep": 2}, "called with width, classes, deep: got an unexpected keyword argument 'deep'"),
        ("fixed", 2, {}, "it takes no width, so that its only width is 1, not 2"),
        ("nothing", 4, {}, "it returned a int, not a torch.nn.Module"),
    ],
)
def test_functions_that_do_not_fit_are_refused(folder, name, width, options, message):
    with pytest.raises(factory.FactoryError, match=f"^factory 'own_model:{name}': {message}"):
        factory.build(f"own_model:{name}", width=width, **SHAPE, options=options, folder=folder)
