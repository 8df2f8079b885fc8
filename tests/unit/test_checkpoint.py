import re
from pathlib import Path

import pytest
import torch
from torch import nn

from onebasin import checkpoint, files
from onebasin.files import FileError
from onebasin.provenance import provenance


def test_state_goes_back_into_a_network(tmp_path):
    def network():
        return nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Flatten(), nn.Linear(4, 2))

    one, two = network(), network()
    one(torch.randn(2, 3, 3, 3))
    checkpoint.save(tmp_path / "x", one.state_dict(), {"epoch": 2})
    state, metadata = checkpoint.load(tmp_path / "x")
    assert metadata == {"epoch": 2}
    two.load_state_dict(state)
    for name, tensor in one.state_dict().items():
        assert torch.equal(two.state_dict()[name], tensor)
    assert two.state_dict()["1.num_batches_tracked"] == 1


def test_another_kind_of_file_is_refused(tmp_path):
    files.save_tensors(tmp_path / "x", {"a": torch.zeros(1)}, {}, "dataset")
    with pytest.raises(FileError, match="dataset file, not a checkpoint"):
        checkpoint.load(tmp_path / "x")


def test_provenance_names_the_code():
    found = provenance()
    assert found.keys() == {"version", "commit"}
    assert found["version"]
    in_repository = (Path(checkpoint.__file__).parents[2] / ".git").exists()
    assert found["commit"] is None or (in_repository and re.fullmatch("[0-9a-f]{40,64}", found["commit"]))
