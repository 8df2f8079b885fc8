"""Many pairs shared by several jobs: the same results as from one job, however they are split."""

import csv

import pytest

METHODS = ("weights", "activations")
PERMUTATIONS = [f"permutations/mlp/width4/{method}/epoch3.safetensors" for method in METHODS]


def without_seconds(path):
    with open(path, newline="") as stream:
        costs = {"seconds", "memory"}
        return [{key: value for key, value in row.items() if key not in costs} for row in csv.DictReader(stream)]


@pytest.mark.parametrize(("shares", "together"), [(4, True), (2, False)])
def test_the_result_does_not_depend_on_the_split(study, tiny, tmp_path, shares, together):
    copy = study.copy(tmp_path / "copy")
    matchings = [f"permutations/mlp/width4/{method}/epoch3.csv" for method in METHODS]
    for name in (*PERMUTATIONS, *matchings, "tables/width.csv"):
        (copy.results / name).unlink()
    tiny |= {"methods_together": together, "frames": [], "models": [{**tiny["models"][0], "widths": [4]}]}
    arguments = ["results/tiny/tables/width.csv", "--set-scatter", f"pairs={shares}", *copy.configure(tiny)]
    jobs = {"align": 1, "width_measure": 1} if together else {"align": 2, "width_measure": 3}
    plan = copy.plan(*arguments)
    assert plan == {rule: number * shares for rule, number in jobs.items()} | {
        "gather_permutations": 2,
        "width_table": 1,
    }
    copy.snakemake(*arguments)
    for name in PERMUTATIONS:
        assert (copy.results / name).read_bytes() == (study.results / name).read_bytes(), name
    for name in matchings:
        assert without_seconds(copy.results / name) == without_seconds(study.results / name)
    ours, theirs = ((place.results / "tables/width.csv").read_text().splitlines() for place in (copy, study))
    pairwise = ("model,", "mlp,4,none,", "mlp,4,weights,", "mlp,4,activations,")
    assert ours == [line for line in theirs if line.startswith(pairwise)]
    assert not list(copy.results.glob("permutations/**/*-of-*")), "shares are left over"
