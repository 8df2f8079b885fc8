"""Drawn paths: what is measured, and which pairs are matched for it."""

from itertools import combinations

from onebasin import permutation, tables
from onebasin.landscape import paths

SEEDS = [1, 2, 3, 5, 8, 13]
WEAK, STRONG = paths.pairs(SEEDS, 3), paths.triples(SEEDS, 3)
CONFIG = {
    "study": "tiny",
    "seeds": SEEDS,
    "paths": {"weak": len(WEAK), "strong": len(STRONG)},
    "models": [{"name": "mlp", "family": "mlp", "widths": [4, 8], "hidden": [1], "norm": "none"}],
    "training": {"epochs": 2, "checkpoints": [], "lr": 0.01},
    "history": {"widths": [8], "epochs": [0, 1], "points": 3},
    "superposition": {"sets": [[1, 2]]},
    "pruning": {"widths": [8], "levels": 1, "points": 3},
    "tickets": {"levels": [1]},
    "transfer": {"widths": [8], "level": 1},
    "simplex": {"widths": [8], "resolution": 2},
    "consensus": {"widths": [8], "mixtures": 1, "corrections": ["none"]},
    "cycles": {"widths": [8], "longest": 3, "limit": 2},
    "embedding": {"wide": 8, "narrow": [4]},
    "matching": [{"name": "activations", "algorithm": "activations"}],
    "frames": [{"name": "merged", "algorithm": "merge_many", "similarity": "activations"}],
    "barrier": {"points": 3, "train_images": 100},
}
EVERYTHING = [
    "pairs", "width", "scaling", "simplex", "consensus", "methods", "pruning", "sparsity", "tickets", "trajectory",
    "stability", "layers", "superposition", "cycles", "embedding", "transfer", "transfer_masks",
]  # fmt: skip


def matched(place):
    return {
        pair
        for pair, _ in permutation.load(
            place.results / "permutations/mlp/width8/activations/epoch2.safetensors"
        ).items()
    }


def test_what_is_drawn_is_measured_and_what_that_needs_is_matched(workplace):
    workplace.snakemake("--cores", 2, *workplace.configure({**CONFIG, "experiments": ["width", "methods"]}))
    rows = list(tables.rows(workplace.results / "tables/width.csv", "width"))
    ends = {
        claim: {(row["reference"], row["a"], row["b"]) for row in rows if row["method"] == claim}
        for claim in ("none", "merged")
    }
    assert ends["none"] == ends["merged"] == {(None, *pair) for pair in WEAK}
    found = {(row["claim"], row["reference"], row["a"], row["b"]) for row in rows if row["method"] == "activations"}
    assert found == {("weak", None, *pair) for pair in WEAK} | {("strong", *triple) for triple in STRONG}
    needed = set(map(frozenset, WEAK)) | paths.legs(STRONG)
    assert set(map(frozenset, matched(workplace))) == needed and len(needed) < len(list(combinations(SEEDS, 2)))
    methods = {(row["a"], row["b"]) for row in tables.rows(workplace.results / "tables/methods.csv", "methods")}
    assert methods == set(WEAK)
    # What needs other pairs is refused until the list has it, and then these are matched besides.
    said = workplace.snakemake("cycles", "-n", *workplace.configure({**CONFIG, "experiments": ["width"]}), fails=True)
    assert "config error: experiments: 'cycles' needs permutations" in said
    workplace.snakemake("cycles", "--cores", 2, *workplace.configure({**CONFIG, "experiments": ["width", "cycles"]}))
    assert set(map(frozenset, matched(workplace))) == needed | set(map(frozenset, combinations(SEEDS[:4], 2)))
    assert width_table(workplace) == rows


def width_table(place):
    return list(tables.rows(place.results / "tables/width.csv", "width"))


def test_every_experiment_takes_drawn_paths(workplace):
    workplace.snakemake("--cores", 2, *workplace.configure({**CONFIG, "experiments": EVERYTHING}))
    drawn = set(WEAK)
    for name in ("pairs", "sparsity", "trajectory", "layers", "superposition"):
        assert {(row["a"], row["b"]) for row in tables.rows(workplace.results / f"tables/{name}.csv", name)} == drawn
    for name, first, second in (("embedding", "a", "b"), ("transfer", "a", "b")):
        rows = tables.rows(workplace.results / f"tables/{name}.csv", name)
        assert {frozenset((row[first], row[second])) for row in rows} == set(map(frozenset, drawn)) | {
            frozenset((seed,)) for seed in SEEDS
        }


def test_an_impossible_number_of_paths_is_refused(workplace):
    said = workplace.snakemake(
        "-n", *workplace.configure({**CONFIG, "paths": {"weak": "some"}, "experiments": ["width"]}), fails=True
    )
    assert (
        "config error: paths.weak: 'some' is not allowed" in said
        and "all, disjoint or a whole number of at least 1" in said
    )
