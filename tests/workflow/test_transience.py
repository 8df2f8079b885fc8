"""Training that goes on from the means of networks, through Snakemake."""

from pathlib import Path

import pytest
import torch
from snakemake.utils import update_config

from onebasin import checkpoint, data, models, tables
from onebasin.landscape.interpolate import interpolate
from workflow import validation

ROOT = Path(__file__).parents[2]

CONFIG = {
    "study": "tiny",
    "seeds": [0, 1, 2],
    "models": [{"name": "mlp", "family": "mlp", "widths": [8], "hidden": [1], "norm": "none"}],
    "training": {"epochs": 3, "checkpoints": []},
    "matching": [{"name": "weights", "algorithm": "weights"}],
    "barrier": {"points": 5, "train_images": 500},
    "transience": {
        "widths": [8],
        "shared": [1, 3],
        "epochs": [2, 3],
        "after": [1],
        "pairs": 2,
        "hard": 1,
        "points": 3,
        "data": {"label_noise": 0.3},
        "training": {"epochs": 5, "lr": 0.01},
    },
    "experiments": ["transience"],
}


@pytest.fixture(scope="module")
def finished(make_once):
    return make_once("transience", CONFIG)


def rows_of(place, **wanted):
    rows = tables.rows(place.results / "tables/transience.csv", "transience")
    return [row for row in rows if all(row[key] == value for key, value in wanted.items())]


def networks(place):
    return place.results / "networks/mlp/width8"


def test_every_mean_is_looked_at_beside_its_networks(finished):
    found = {(row["kind"], row["shared"], row["method"], row["epoch"]) for row in rows_of(finished, metric="error")}
    # A child that leaves after the mean is not there yet.
    assert found == {
        ("child", 1, "none", 2), ("child", 1, "none", 3), ("child", 3, "none", 3),
        *(("independent", None, method, epoch) for method in ("none", "weights") for epoch in (2, 3)),
    }  # fmt: skip
    for epoch, further in ((2, {0, 1, 3}), (3, {0, 1, 2})):
        assert {row["further"] for row in rows_of(finished, epoch=epoch)} == further
    assert all((row["a"] == row["b"]) == (row["kind"] == "child") for row in rows_of(finished))
    assert len({(row["a"], row["b"]) for row in rows_of(finished, kind="independent")}) == 2
    assert {row["network"] for row in rows_of(finished)} == {"mean", "a", "b"}


def test_the_mean_of_a_network_with_itself_goes_on_as_the_network(finished):
    for further in (0, 1, 2):
        for metric in ("error", "loss"):
            for split in ("train", "test"):
                about = {"shared": 3, "further": further, "metric": metric, "split": split}
                for mean in rows_of(finished, network="mean", **about):
                    (end,) = rows_of(finished, network="a", a=mean["a"], **about)
                    for column in ("value", "easy", "hard"):
                        assert mean[column] == end[column]
                    assert end["barrier"] == 0
    for seed in (0, 1, 2):
        own, mean = (
            checkpoint.load(networks(finished) / f"seed{seed}/transience" / name)[0]
            for name in ("epoch5.safetensors", "shared3/mean3/epoch5.safetensors")
        )
        assert all(torch.equal(mean[name], tensor) for name, tensor in own.items())
        child = checkpoint.load(networks(finished) / f"seed{seed}/transience/shared3/epoch5.safetensors")[0]
        assert any(not torch.equal(child[name], tensor) for name, tensor in own.items())


def test_it_begins_half_way_between_the_two(finished):
    for row in rows_of(finished, kind="independent", method="none", network="mean", further=0):
        place = networks(finished) / f"seed{row['a']}/transience"
        ends = [networks(finished) / f"seed{row[end]}/transience/epoch{row['epoch']}.safetensors" for end in "ab"]
        start = checkpoint.load(place / f"mean{row['epoch']}/with{row['b']}/none/epoch{row['epoch']}.safetensors")[0]
        states = [checkpoint.load(end)[0] for end in ends]
        for name, tensor in interpolate(states, [0.5, 0.5]).items():
            assert torch.equal(start[name], tensor)
        aligned = place / f"mean{row['epoch']}/with{row['b']}/weights/epoch{row['epoch']}.safetensors"
        assert not torch.equal(checkpoint.load(aligned)[0]["head.weight"], start["head.weight"])


def test_its_networks_are_trained_on_its_data_in_its_way(finished):
    own = data.open_(finished.results / "transience/data.safetensors")
    for name in ("seed0/transience", "seed0/transience/shared1", "seed0/transience/shared1/mean2"):
        about = checkpoint.load(networks(finished) / name / "epoch5.safetensors")[1]
        assert about["dataset"]["digest"] == own.digest and about["settings"]["lr"] == 0.01
    about = checkpoint.load(networks(finished) / "seed0/transience/shared1/mean2/epoch5.safetensors")[1]
    assert about["start"] == 2 and about["seed_address"] == ["network", "mlp", 8, 0]


def test_images_are_hard_if_the_other_networks_miss_them(finished):
    dataset = data.open_(finished.results / "transience/data.safetensors")
    images, labels = dataset.tensors("test")

    def missed(name):
        model = models.build("mlp", width=8, image_shape=dataset.image_shape, classes=10, hidden=[1])
        model.load_state_dict(checkpoint.load(networks(finished) / name)[0])
        with torch.no_grad():
            return (model.eval()(images).argmax(1) != labels).double()

    about = {"kind": "independent", "method": "none", "metric": "error", "split": "test", "further": 1, "epoch": 2}
    for row in rows_of(finished, network="mean", **about):
        (judge,) = {0, 1, 2} - {row["a"], row["b"]}
        # Each must miss it here, and there is one.
        hard = missed(f"seed{judge}/transience/epoch2.safetensors") == 1
        seen = missed(f"seed{row['a']}/transience/mean2/with{row['b']}/none/epoch3.safetensors")
        assert row["hard_share"] == pytest.approx(hard.double().mean().item())
        assert row["hard"] == pytest.approx(seen[hard].mean().item(), abs=1e-6)
        assert row["easy"] == pytest.approx(seen[~hard].mean().item(), abs=1e-6)
        assert row["value"] == pytest.approx(seen.mean().item(), abs=1e-6)


def test_networks_one_by_one_are_the_same(finished, tmp_path):
    place = finished.copy(tmp_path / "workplace")
    table = (place.results / "tables/transience.csv").read_bytes()
    for store in place.folder.glob("results/.store"):
        store.rename(tmp_path / "store")
    for path in place.results.rglob("transience*.csv"):
        path.unlink()
    place.snakemake("transience", "--forceall", *place.configure({**CONFIG, "seeds_together": False}))
    assert (place.results / "tables/transience.csv").read_bytes() == table


@pytest.mark.parametrize(
    ("section", "line"),
    [
        ({"epochs": [5]}, "transience.epochs[0]: 5 is not allowed. Allowed: epochs below those of its training, 5"),
        ({"shared": [4]}, "transience.shared[0]: 4 is not allowed. Allowed: up to the last mean, 3"),
        ({"hard": 0}, "transience.hard: 0 is not allowed. Allowed: a number above 0 and of at most 1"),
        ({"after": [0]}, "transience.after[0]: 0 is not allowed. Allowed: a whole number of at least 1"),
        ({"pairs": "some"}, "transience.pairs: 'some' is not allowed. Allowed: all, disjoint or a whole number"),
        ({"training": {"momentum": 0.9}}, "transience.training.momentum: 0.9 is not allowed. No momentum with adam"),
    ],
)
def test_what_makes_no_sense_is_refused_in_one_line(section, line):
    config = validation.read(ROOT / "config.yaml")
    update_config(config, {**CONFIG, "transience": {**CONFIG["transience"], **section}})
    with pytest.raises(SystemExit) as ended:
        validation.check(config, ROOT)
    assert str(ended.value).startswith(f"config error: {line}") and "\n" not in str(ended.value)
