"""Names of studies, models and methods are names: what they look like changes nothing."""

import pytest

from onebasin import checkpoint, permutation, tables

CONFIG = {
    "study": "tiny",
    "seeds": [0, 1, 2],
    "models": [{"name": "mlp", "family": "mlp", "widths": [4], "hidden": [1, 1]}],
    "training": {"epochs": 2},
    "matching": [
        {"name": "first", "algorithm": "weights"},
        {"name": "second", "algorithm": "activations", "n_images": 100},
    ],
    "frames": [{"name": "third", "algorithm": "merge_many"}, {"name": "fourth", "algorithm": "reference"}],
    "barrier": {"points": 3, "train_images": 100},
    "pruning": {"widths": [4], "levels": 1, "fraction": 0.5, "points": 3},
    "tickets": {"levels": [1]},
    "transfer": {"widths": [4], "level": 1, "data": {"variant": "inverted"}},
    "experiments": ["width", "sparsity", "tickets", "transfer_masks"],
}
NAMES = {"first": "epoch3", "second": "from1", "third": "none-1", "fourth": "0"}
TIMES = ("seconds", "memory")


def renamed(config, study, models, methods):
    return {
        **config,
        "study": study,
        "models": [{**config["models"][0], "name": name} for name in models],
        "matching": [{**item, "name": methods[item["name"]]} for item in config["matching"]],
        "frames": [{**item, "name": methods[item["name"]]} for item in config["frames"]],
    }


def files(study):
    return [f"results/{study}/tables/{name}.csv" for name in CONFIG["experiments"]]


@pytest.fixture(scope="module")
def plain_names(make_once):
    return make_once("plain-names", CONFIG, files("tiny")).folder / "results/tiny"


@pytest.fixture(scope="module")
def odd_names(make_once):
    # A network's randomness is addressed by the name of its model, so that one model keeps its name.
    return (
        make_once("odd-names", renamed(CONFIG, "seed0", ["mlp", "level2"], NAMES), files("seed0")).folder
        / "results/seed0"
    )


@pytest.mark.parametrize("name", CONFIG["experiments"])
def test_odd_names_make_the_rows_of_other_names(plain_names, odd_names, name):
    expected = list(tables.rows(plain_names / f"tables/{name}.csv", name))
    for row in expected:
        if row.get("method") in NAMES:
            row["method"] = NAMES[row["method"]]
    found = {"mlp": [], "level2": []}
    for row in tables.rows(odd_names / f"tables/{name}.csv", name):
        found[row["model"]].append(row)

    def without(rows, dropped):
        return [{key: value for key, value in row.items() if key not in dropped} for row in rows]

    assert without(found["mlp"], TIMES) == without(expected, TIMES)
    # The networks of the other model are others, but its rows are about the same things.
    measured = {column.name for column in tables.columns_of(name) if column.type == "number"} | {"model", "steps"}
    assert without(found["level2"], measured) == without(expected, measured)


def test_metadata_says_which_network_it_is(odd_names):
    for seed in (0, 1):
        folder = odd_names / f"networks/level2/width4/seed{seed}"
        for path in (folder / "level1/epoch2.safetensors", folder / "second/epoch2.safetensors"):
            about = checkpoint.load(path)[1]
            assert (about["model"], about["width"], about["seed"]) == ("level2", 4, seed)
        (ticket,) = (folder / "level1").glob(f"from1/from{1 - seed}/epoch2.safetensors")
        assert checkpoint.load(ticket)[1]["seed"] == seed
    found = permutation.load(odd_names / "permutations/level2/width4/epoch3/level1.safetensors")
    assert set(found) == {(0, 1), (0, 2), (1, 2)}


def test_a_pruned_network_is_trained_as_its_seed_whatever_the_study_is_called(plain_names, odd_names):
    paths = sorted(
        path.relative_to(plain_names)
        for path in plain_names.glob("networks/mlp/width4/seed*/level*/epoch*.safetensors")
    )
    assert len(paths) == 3
    for path in paths:
        (state, _), (other, _) = (checkpoint.load(folder / path) for folder in (plain_names, odd_names))
        assert state.keys() == other.keys() and all(state[key].equal(other[key]) for key in state)


@pytest.mark.parametrize(
    ("model", "methods"),
    [
        ("seed0", ["level2", "width8", "none-1", "from1"]),
        ("width8", ["seed0", "0", "level2", "epoch3"]),
        ("0", ["none-1", "level1", "seed1", "second"]),
    ],
)
def test_other_odd_names_plan_the_same_jobs(plain, model, methods):
    names = dict(zip(NAMES, methods, strict=True))
    jobs = plain.plan(*plain.configure(CONFIG))
    assert jobs and plain.plan(*plain.configure(renamed(CONFIG, "level1", [model], names))) == jobs
