"""Many pairs shared by several jobs: the same files as from one job, however they are split."""

import csv

import pytest

PAIRS = ("0-1", "0-2", "0-3", "1-2", "1-3", "2-3")
PERMUTATIONS = [f"permutations/mlp/width4/{method}/{pair}" for method in ("weights", "activations") for pair in PAIRS]
MADE = [
    *(f"{name}.safetensors" for name in PERMUTATIONS),
    *(f"measurements/mlp/width4/{method}.csv" for method in ("none", "weights", "activations")),
]


def without_seconds(path):
    with open(path, newline="") as stream:
        costs = {"seconds", "memory"}
        return [{key: value for key, value in row.items() if key not in costs} for row in csv.DictReader(stream)]


@pytest.mark.parametrize(("parts", "together"), [(4, True), (2, False)])
def test_the_result_does_not_depend_on_the_split(study, tiny, tmp_path, parts, together):
    copy = study.copy(tmp_path / "copy")
    tables = [f"permutations/mlp/width4/{method}/matching.csv" for method in ("weights", "activations")]
    for name in (*MADE, *tables):
        (copy.results / name).unlink()
    tiny["methods_together"] = together
    arguments = [*(f"results/tiny/{name}" for name in MADE), "--set-scatter", f"pairs={parts}", *copy.configure(tiny)]
    jobs = {"align_part": 1, "measure_part": 1} if together else {"align_part": 2, "measure_part": 3}
    plan = copy.plan(*arguments)
    assert plan == {rule: number * parts for rule, number in jobs.items()} | {"align_gather": 2, "measure_gather": 3}
    copy.snakemake(*arguments)
    for name in MADE:
        assert (copy.results / name).read_bytes() == (study.results / name).read_bytes(), name
    for name in tables:
        assert without_seconds(copy.results / name) == without_seconds(study.results / name)
    assert not list(copy.results.glob("*/mlp/width4/**/parts/**/*.*")), "parts are left over"
