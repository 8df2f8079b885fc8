"""Permutations that are learned through the loss, for pairs and for all networks at once, through Snakemake."""

from onebasin import permutation, tables

CONFIG = {
    "study": "tiny",
    "seeds": [0, 1, 2],
    "models": [{"name": "mlp", "family": "mlp", "widths": [8], "hidden": [1], "norm": "none"}],
    "training": {"epochs": 8, "checkpoints": [], "lr": 0.01},
    "matching": [
        {"name": "activations", "algorithm": "activations"},
        {"name": "pairs-learned", "algorithm": "sinkhorn", "steps": 60, "batch_size": 64, "n_images": 500},
    ],
    "frames": [
        {"name": "merged", "algorithm": "merge_many", "similarity": "activations"},
        {"name": "learned", "algorithm": "sinkhorn", "similarity": "activations", "options": {"steps": 60}},
    ],
    "barrier": {"points": 7, "train_images": 500},
    "experiments": ["width", "methods"],
}


def test_learned_permutations_go_through_a_study(workplace):
    workplace.snakemake("--cores", 1, *workplace.configure(CONFIG))
    rows = [row for row in tables.rows(workplace.results / "tables/width.csv", "width") if row["split"] == "train"]

    def mean(method: str, claim: str) -> float:
        found = [
            row["barrier"] for row in rows if (row["method"], row["claim"], row["metric"]) == (method, claim, "loss")
        ]
        return sum(found) / len(found)

    assert mean("pairs-learned", "weak") < mean("activations", "weak")
    assert mean("learned", "strong") < mean("merged", "strong")
    assert {row["compared"] for row in rows if row["algorithm"] == "sinkhorn"} == {"loss"}
    found = permutation.load(workplace.results / "frames/mlp/width8/learned.safetensors")
    assert [seeds for seeds, _ in found.items()] == [(0,), (1,), (2,)]
    # What is learned is learned again when its settings change, and only that.
    frames = [CONFIG["frames"][0], {**CONFIG["frames"][1], "options": {"steps": 61}}]
    planned = workplace.plan(*workplace.configure({**CONFIG, "frames": frames}))
    assert "frames" in planned and not {"train", "align"} & planned.keys()


def test_a_method_that_is_gone_is_refused_with_those_that_there_are(workplace):
    frames = [{"name": "old", "algorithm": "ste"}]
    said = workplace.snakemake("-n", *workplace.configure({**CONFIG, "frames": frames}), fails=True)
    assert "frames[0].algorithm: 'ste' is not allowed" in said and "sinkhorn" in said
