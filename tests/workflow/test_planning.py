"""What Snakemake plans from a fresh clone, and what it takes to plan it."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from onebasin.experiments import rooms

ROOT = Path(__file__).parents[2]
STUDIES = sorted(path.name for path in (ROOT / "studies").glob("*.yaml"))
HEAVY = {"torch", "torchvision", "pandas", "numpy", "scipy", "sklearn", "matplotlib", "safetensors"}


def imported(cwd, *arguments):
    """The top-level modules that Snakemake imports."""
    done = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "snakemake", *arguments],
        cwd=cwd,
        capture_output=True,
        text=True,
        check=True,
    )
    return {line.rpartition("|")[2].strip().partition(".")[0] for line in done.stderr.splitlines() if "|" in line}


def test_the_default_study_is_small(plain):
    plan = plain.plan()
    assert plan.keys() >= {"data", "train", "align", "width_measure", "simplex_measure", "width_figure", "all"}
    assert sum(plan.values()) <= 125


def test_planning_imports_nothing_heavy(plain, tmp_path):
    # Plugins of Snakemake import pandas, whatever the workflow does.
    (tmp_path / "Snakefile").write_text('rule all:\n    output: "x"\n    shell: "touch {output}"\n')
    brought = imported(plain.folder, "--dry-run") - imported(tmp_path, "--dry-run")
    assert not brought & HEAVY


def test_rules_import_nothing_heavy():
    for path in (ROOT / "Snakefile", *(ROOT / "workflow").glob("*.py"), *(ROOT / "workflow/rules").glob("*.smk")):
        modules = re.findall(r"^\s*(?:import|from) (\w+)", path.read_text(), re.M)
        assert not set(modules) & HEAVY, path


@pytest.mark.parametrize(
    ("module", "unwanted"),
    [
        ("tables", {"torch", "pandas", "numpy", "matplotlib"}),
        ("experiments; onebasin.experiments.rooms()", HEAVY),
        ("figures", {"torch", "sklearn"}),
        ("landscape.barrier", HEAVY),
        (
            "barrier, onebasin.landscape.claims, onebasin.landscape.repair",
            {"pandas", "matplotlib", "sklearn", "torchvision"},
        ),
        ("match, onebasin.symmetry", {"pandas", "matplotlib", "sklearn", "torchvision"}),
        ("train, onebasin.models, onebasin.data", {"pandas", "matplotlib", "scipy", "sklearn", "torchvision"}),
    ],
)
def test_jobs_import_only_what_they_need(module, unwanted):
    code = f"import sys, onebasin.{module}; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not set(done.stdout.split()) & unwanted


def test_the_slurm_profile_plans(plain):
    assert plain.plan("--profile", "slurm", "--jobs", "64") == plain.plan()


@pytest.mark.parametrize("name", rooms())
def test_an_experiment_is_a_target(plain, name):
    epochs = {"instability": {"epochs": [0, 10]}}  # of the default ones the last is the end of training
    plan = plain.plan(name, *plain.configure(epochs))
    assert {name, f"{name}_table", f"{name}_figure"} <= plan.keys()
    others = rooms().keys() - {name}
    assert not {f"{other}_figure" for other in others} & plan.keys()


@pytest.mark.parametrize("name", STUDIES)
def test_a_study_plans_and_trains_with_nothing_of_the_default_study(plain, tmp_path, name):
    study = yaml.safe_load((ROOT / "studies" / name).read_text())
    default = yaml.safe_load((ROOT / "config.yaml").read_text())
    # Dictionaries are merged, so a key left out would be that of the default study.
    assert study["training"].keys() == default["training"].keys()
    assert study["data"].keys() >= {"name"}
    assert study["study"] != default["study"]
    cells = sum(len(model["widths"]) for model in study["models"])
    together = study.get("seeds_together", default["seeds_together"])
    place = plain
    if study["data"]["name"] == "image_folder":  # whose folder must be there before anything is planned
        place = plain.copy(tmp_path / "place")
        (place.folder / study["data"]["data_dir"] / "train" / "cat").mkdir(parents=True)
    plan = place.plan("--configfile", f"studies/{name}")
    # One study has experts alone.
    trained = plan["train_experts" if study["experiments"] == ["nonlocal"] else "train"]
    assert trained == (cells if together else cells * len(study["seeds"]))


def test_the_example_of_a_model_of_ones_own_plans(plain):
    plan = plain.plan("--configfile", "studies/own/study.yaml")
    assert plan["train"] == plan["align"] == 3 and plan["simplex_measure"] == 1


def test_the_example_of_a_language_model_plans(plain):
    plan = plain.plan("--configfile", "studies/text/study.yaml")
    assert plan["train"] == plan["align"] == plan["width_measure"] == 3 and plan["simplex_measure"] == 1


def test_gpus_are_asked_for_by_the_config_alone(plain):
    assert "gpu=1" not in plain.snakemake("--dry-run", "--verbose")
    configfile = plain.configure({"resources": {"gpu": 1}})
    output = plain.snakemake("--dry-run", "--verbose", *configfile)
    jobs = re.findall(r"^(?:local)?rule (\w+):$.*?^ +resources: .*?gpu=(\d)", output, re.M | re.S)
    with_gpu = {rule for rule, gpu in jobs if gpu == "1"}
    history = {"trajectory_measure", "layers_measure", "superposition_measure"}
    pruning = {"prune", "pruning_measure", "sparsity_measure", "train_tickets", "tickets_measure"}
    # Small networks are matched on a CPU.
    others = {"train", "width_measure", "simplex_measure", "consensus_measure", "cycles_measure", "embedding_measure"}
    others |= {"errors_measure", "train_second", "transfer_measure"}
    assert with_gpu == others | pruning | history
    configfile = plain.configure(
        {
            "resources": {"gpu": 1},
            "models": [{"name": "mlp", "family": "mlp", "widths": [64, 8192]}],
            "experiments": ["pairs"],
        }
    )
    output = plain.snakemake("--dry-run", "--verbose", *configfile)
    assert dict(re.findall(r"^rule align:$.*?width=(\d+)$.*?gpu=(\d)", output, re.M | re.S)) == {"64": "0", "8192": "1"}


def test_lint_is_clean(plain):
    assert "Congratulations" in plain.snakemake("--lint")


def test_the_slurm_profile_plans_without_a_number_of_jobs(plain):
    assert plain.plan("--profile", "slurm")["train"] > 0
