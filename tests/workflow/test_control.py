"""Permutations learned where there is nothing to find, through Snakemake."""

from statistics import mean

from onebasin import tables
from onebasin.experiments import control

CONFIG = {
    "study": "tiny",
    "seeds": [0, 1, 2],
    "models": [{"name": "mlp", "family": "mlp", "widths": [16], "hidden": [1], "norm": "none"}],
    "training": {"epochs": 8, "checkpoints": [], "lr": 0.01},
    "matching": [{"name": "learned", "algorithm": "sinkhorn", "steps": 100}],
    "barrier": {"train_images": 500},
    "control": {"widths": [16]},
    "experiments": ["control"],
}


def test_what_learning_buys_by_itself(workplace):
    workplace.snakemake("--cores", 1, *workplace.configure(CONFIG))
    rows = list(tables.rows(workplace.results / "tables/control.csv", "control"))
    assert {(row["a"], row["b"]) for row in rows} == {(0, 1)}, "pairs are disjoint"
    assert {row["kind"] for row in rows} == set(control.KINDS)

    def middle(kind: str, method: str, metric: str = "error") -> float:
        chosen = (kind, method, metric, "train")
        return mean(
            row["middle"] for row in rows if (row["kind"], row["method"], row["metric"], row["split"]) == chosen
        )

    assert middle("trained", "learned") < 0.1
    # Labels in random order cannot be learned by permutations, and shuffled networks know nothing.
    assert middle("random labels", "learned") > 0.7 and middle("both shuffled", "none") > 0.7
    ends = [row for row in rows if row["split"] == "train" and row["metric"] == "error" and row["method"] == "none"]
    by_kind = {row["kind"]: row for row in ends}
    assert by_kind["one shuffled"]["end_a"] == by_kind["trained"]["end_a"] < 0.1 < by_kind["one shuffled"]["end_b"]
    assert by_kind["random labels"]["end_a"] > 0.7
    assert {row["split"] for row in rows if row["kind"] == "random labels"} == {"train"}
