"""Stars and the networks beside them, through Snakemake."""

import shutil
from itertools import product
from pathlib import Path
from statistics import mean

import pytest

from onebasin import checkpoint, tables, versions

MEANS = ["merge_many", "sinkhorn"]
CONFIG = {
    "study": "tiny",
    "seeds": [0, 1, 2, 3],
    "models": [{"name": "mlp", "family": "mlp", "widths": [16], "hidden": [1], "norm": "none"}],
    "training": {"epochs": 6, "checkpoints": [], "lr": 0.01},
    "matching": [{"name": "matched", "algorithm": "activations", "n_images": 300}],
    "frames": [],
    "barrier": {"points": 5, "train_images": 300, "fit_images": 300},
    "star": {"widths": [16], "sources": [1, 2], "seeds": [7, 8], "align": "matched", "length": 2, "means": MEANS},
    "experiments": ["width", "star"],
}
KINDS = {
    ("ordinary", 0): 2,
    ("star", 1): 2,
    ("star", 2): 2,
    ("longer", 0): 2,
    ("decay", 0): 2,
    ("mean", 2): 1,
    ("learned", 2): 1,
}


def test_stars_and_what_stands_beside_them(workplace):
    workplace.snakemake("--cores", 1, *workplace.configure(CONFIG))
    rows = list(tables.rows(workplace.results / "tables/star.csv", "star"))
    for (network, sources), count in KINDS.items():
        found = [row for row in rows if (row["network"], row["sources"]) == (network, sources)]
        paths = [row["path"] for row in found if (row["split"], row["metric"]) == ("test", "loss")]
        expected = {"held-out": 2 * count, "source": sources * count, "strong": count, "triangle": count}
        assert {path: paths.count(path) for path in expected} == expected
        assert len(found) == 4 * len(paths), "train and test, loss and error"
    assert {(row["network"], row["sources"]) for row in rows} == KINDS.keys()
    held = [row for row in rows if row["path"] in ("held-out", "strong", "triangle")]
    assert {row["b"] for row in held} == {2, 3}, "no star knows them"
    for row in rows:
        if row["path"] != "triangle":
            assert row["excess"] == row["worst"] - min(row["end_a"], row["end_b"]) >= row["barrier"] >= 0
            assert row["worst"] >= max(row["end_a"], row["end_b"])
        else:
            assert row["alpha"] == pytest.approx(1 / 3) and row["excess"] >= row["worst"] - row["end_a"]

    # Between ordinary networks it is what `width` measures.
    names = ("reference", "a", "b", "split", "metric")
    path_of = {"weak": "held-out", "strong": "strong"}
    known = {
        (path_of[row["claim"]], *(row[name] for name in names)): row["barrier"]
        for row in tables.rows(workplace.results / "tables/width.csv", "width")
        if row["claim"] in path_of
    }
    for row in rows:
        if row["network"] == "ordinary" and row["path"] != "triangle":
            assert row["barrier"] == pytest.approx(known[row["path"], *(row[name] for name in names)], abs=1e-6)

    def middle(network, path):
        chosen = (network, path, "train", "loss")
        return mean(
            row["barrier"] for row in rows if (row["network"], row["path"], row["split"], row["metric"]) == chosen
        )

    # What a star is trained for.
    assert middle("star", "source") < 0.3 * middle("ordinary", "held-out")

    folders = [workplace.results / f"networks/mlp/width16/seed{seed}/star" for seed in (7, 8)]
    for folder, kind in product(folders, ("1", "2", "longer", "decay")):
        assert len((folder / kind / "training.csv").read_text().splitlines()) == 1 + 12
    (one, first), (two, second) = (checkpoint.load(folders[0] / f"{count}/epoch12.safetensors") for count in (1, 2))
    assert first["star"]["sources"] == second["star"]["sources"][:1] and len(second["star"]["sources"]) == 2
    sizes = [
        checkpoint.load(folders[0] / f"{kind}/epoch12.safetensors")[0]["head.weight"].norm()
        for kind in ("decay", "longer")
    ]
    assert sizes[0] < 0.7 * sizes[1]
    assert not (one["head.weight"] == two["head.weight"]).all()

    # An algorithm of frames has another version: means in its frame are measured again, and nothing is trained.
    library = workplace.folder / "src"
    shutil.copytree(Path(checkpoint.__file__).parents[1], library, ignore=shutil.ignore_patterns("__pycache__"))
    file = library / "onebasin/versions.py"
    stage, version = "sinkhorn", versions.of("sinkhorn")
    file.write_text(file.read_text().replace(f'"{stage}": {version}', f'"{stage}": {version + 1}'))
    assert workplace.plan("star", *workplace.configure(CONFIG)).keys() == {
        "star_measure",
        "star_table",
        "star_figure",
        "star",
    }
    shutil.rmtree(library)

    # A star that starts from its first source; nothing else is trained again.
    changed = workplace.configure({**CONFIG, "star": {**CONFIG["star"], "warm_start": True}})
    assert {"train", "train_stars"} & workplace.plan(*changed).keys() == {"train_stars"}
    workplace.snakemake("star", *changed)
    source = checkpoint.load(workplace.results / "networks/mlp/width16/seed0/epoch6.safetensors")[0]
    warm = checkpoint.load(folders[0] / "1/epoch12.safetensors")[0]
    away = [float((state["head.weight"] - source["head.weight"]).norm()) for state in (warm, one)]
    assert 0 < away[0] < 0.7 * away[1]
