"""Time and memory of jobs, estimated before they run, held against what they took; and the cost of a study."""

import csv
import re
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
import yaml

from onebasin import data, models
from workflow.estimate import COMPILATION_MB, COMPILATION_S, CPU, DATA_SETS, Amount, Estimate, Work
from workflow.plan import Planned, spell_time, table_of_cost
from workflow.validation import TEXTS

ROOT = Path(__file__).parents[2]
# Targets, and what is as small as a table.
SMALL = ("_table", "_figure", "gather_permutations")


def estimates(config):
    return Estimate({**config, "models": [{"training": {}, **model} for model in config["models"]]})


@pytest.fixture
def default():
    return yaml.safe_load((ROOT / "config.yaml").read_text())


@pytest.mark.parametrize("name", ["cifar10", "mnist", "digits"])
@pytest.mark.parametrize(
    "model",
    [
        {"family": "mlp", "hidden": [3, 1]},
        {"family": "cnn", "channels": [1, 2, 2]},
        {"family": "vgg16"},
        {"family": "resnet20"},
    ],
)
def test_layers_are_those_of_the_networks(default, name, model):
    default["data"]["name"] = name
    found = estimates(default)
    shape = found.images.shape
    if model["family"] == "vgg16" and shape[1] < 16:
        return  # which it does not take
    network = models.build(**model, width=8, image_shape=shape, classes=found.images.classes).eval()
    layers = found.layers(model, 8)
    weights = [module.weight for module in network.modules() if isinstance(module, torch.nn.Conv2d | torch.nn.Linear)]
    assert sum(layer.inputs * layer.outputs for layer in layers) == sum(weight.numel() for weight in weights)
    seen = []
    for module in network.modules():
        if isinstance(module, torch.nn.Conv2d | torch.nn.Linear):
            module.register_forward_hook(lambda module, given, out: seen.append(out[0].numel()))
    network(torch.zeros(1, *shape))
    assert sum(layer.outputs * layer.positions for layer in layers) == sum(seen)


def test_sizes_of_data_sets_are_known():
    found = estimates(yaml.safe_load((ROOT / "config.yaml").read_text()))
    assert DATA_SETS.keys() == set(data.DATASETS) - {"image_folder", "file", *TEXTS}
    digits = data.load("digits")
    assert found.images[:3] == (len(digits.train_images), 0, len(digits.test_images))
    assert (found.images.shape, found.images.classes) == (digits.image_shape, digits.classes)


def test_images_of_a_folder_are_counted(default, tmp_path):
    for split, count in (("train", 5), ("test", 2)):
        for name in ("cat", "dog", "cow"):
            (tmp_path / split / name).mkdir(parents=True)
            for number in range(count):
                (tmp_path / split / name / f"{number}.png").touch()
    default["data"] = {"name": "image_folder", "data_dir": str(tmp_path), "image_size": 16, "held_out": 0.2}
    assert estimates(default).images == (12, 3, 6, (3, 16, 16), 3)
    default["data"]["data_dir"] = str(tmp_path / "train")
    assert estimates(default).images == (10, 2, 3, (3, 16, 16), 3)


def test_text_is_measured(default, tmp_path):
    default["data"] |= {"name": "pydoc", "context": 64}
    dataset, found = data.load("pydoc"), estimates(default)
    assert found.images.train == pytest.approx(len(dataset.train_images), rel=0.3)
    assert found.images[3:] == (dataset.image_shape, dataset.classes) and found.files_to_decode == 0
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "a.txt").write_bytes(b"x" * 1000)
    default["data"] |= {"name": "text_folder", "data_dir": str(tmp_path), "context": 10, "held_out": 0.1}
    assert estimates(default).images == (72, 8, 20, (10,), 256)
    wildcards = SimpleNamespace(model="mlp", width="64", keys=lambda: {"model", "width"})
    default["models"] = [{"name": "mlp", "factory": "net:build", "widths": [64]}]
    short = Work(estimates(default), Amount(trainings=1)).seconds(wildcards)
    (tmp_path / "b.txt").write_bytes(b"x" * 100_000)
    assert Work(estimates(default), Amount(trainings=1)).seconds(wildcards) > short


def test_estimates_grow_with_the_work(default):
    found = estimates(default)
    keys = {"keys": lambda: {"model", "width"}}
    narrow, wide = (SimpleNamespace(model="mlp", width=width, **keys) for width in ("64", "4096"))
    one, four = (Work(found, Amount(trainings=count)) for count in (1, 4))
    start = CPU.startup_s
    assert four.seconds(narrow) - start == pytest.approx(4 * (one.seconds(narrow) - start))
    assert one.seconds(wide) > 10 * one.seconds(narrow) and one.memory(wide) > one.memory(narrow) + 1000
    assert one.runtime(wide, 2) == 2 * one.runtime(wide, 1) and one.mem_mb(wide, 3) == 3 * one.mem_mb(wide, 1)
    methods = [{"algorithm": "weights"}, {"algorithm": "activations", "n_images": 1000}]
    methods.append({"algorithm": "weights", "kernel": "moments"})
    for method in methods:
        few, many = (Work(found, Amount(matchings=count, methods=[method])).seconds(wide) for count in (1, 10))
        assert many - start == pytest.approx(10 * (few - start))


def test_compilation_is_counted_once_for_jobs_that_train(default):
    eager = estimates(default)
    compiled = estimates({**default, "training": {**default["training"], "compile": True}})
    wildcards = SimpleNamespace(model="mlp", width="64", keys=lambda: {"model", "width"})
    for count, more in ((0, 0), (1, 1), (4, 1)):
        before, after = (Work(place, Amount(trainings=count, evaluations=1)) for place in (eager, compiled))
        seconds = after.seconds(wildcards) - before.seconds(wildcards)
        assert seconds == pytest.approx(more * COMPILATION_S)
        assert after.memory(wildcards) - before.memory(wildcards) == pytest.approx(more * COMPILATION_MB)


def resources(plan):
    """Wildcards and resources of each planned job, by its benchmark file."""
    for job in re.findall(r"^(?:local)?rule \w+:\n((?: +.*\n)*)", plan, re.M):
        lines = dict(re.findall(r"^ +(\w+): (.*)$", job, re.M))
        if "benchmark" in lines:
            yield lines["benchmark"], dict(item.split("=", 1) for item in lines["resources"].split(", "))


def test_finished_jobs_took_less_than_estimated_and_not_absurdly_less(study, tiny):
    plan = study.snakemake("--dry-run", "--verbose", "--forceall", *study.configure(tiny))
    held = 0
    for benchmark, asked in resources(plan):
        with open(study.folder / benchmark, newline="") as stream:
            took = next(csv.DictReader(stream, delimiter="\t"))
        if took["max_rss"] == "NA" or benchmark.endswith(tuple(f"{name}.txt" for name in SMALL)):
            continue
        assert float(took["cpu_time"]) < 60 * int(asked["runtime"]) < 1000, benchmark
        # Snakemake around a job, which counts too in a batch system, takes 300 MB.
        assert float(took["max_rss"]) + 300 < int(asked["mem_mb"]) < 5 * (float(took["max_rss"]) + 300), benchmark
        held += 1
    assert held >= 5


def rules():
    """The text of every rule."""
    for path in sorted((ROOT / "workflow/rules").glob("*.smk")):
        yield from re.split(r"^ *(?=rule(?: \w+)?:$)", path.read_text(), flags=re.M)[1:]


def test_every_rule_asks_for_what_its_work_takes_or_is_local():
    asking = [text for text in rules() if "output:" in text and "localrule: True" not in text]
    assert len(asking) > 5
    for text in asking:
        fixed = re.match(r"rule (\w+)", text)
        spelt = f'"{fixed[1]}"' if fixed else re.search(r"name:\n +(\S.*)\n", text)[1]
        for resource in ("runtime", "mem_mb"):
            assert f"{resource}=WORK[{spelt}].{resource}," in text, text


def test_the_cost_of_a_study_is_printed_from_the_plan_alone(workplace):
    config = {"study": "costly", "resources": {"gpu": 1, "threads": 4}, "experiments": ["width"]}
    output = workplace.snakemake("cost", *workplace.configure(config))
    hours = {"s": 1 / 3600, "min": 1 / 60, "h": 1}
    rows = {
        name: [int(jobs), *(float(value) * hours[unit] for value, unit in re.findall(r"([\d.]+) (\w+)", times))]
        for name, jobs, times in re.findall(r"^(\w+) +(\d+)((?: +[\d.]+ (?:s|min|h)){3})$", output, re.M)
    }
    assert [rows[name][0] for name in ("data", "train", "align", "width_measure", "width_table")] == [1, 9, 9, 9, 1]
    for column in range(3):
        assert rows["all"][column] == pytest.approx(
            sum(row[column] for name, row in rows.items() if name != "all"), abs=0.05
        )
    assert rows["train"][2] > 0 and rows["data"][2] == rows["width_table"][2] == 0
    assert rows["train"][1] == pytest.approx(4 * rows["train"][2], abs=0.03)
    (log,) = (path for path in (workplace.folder / "results/costly").rglob("*") if path.is_file())
    assert output.endswith(log.read_text())
    said = [line for line in output.splitlines() if not line.startswith(("Using workflow", "Config file"))]
    assert len(said) == len(rows) + 2 and re.fullmatch(r"about [\d.]+ (min|h) on one GPU", said[-1])


def test_times_are_in_the_unit_that_suits_them():
    times = [spell_time(seconds) for seconds in (4, 90, 150, 5400, 7200, 400_000)]
    assert times == ["4 s", "90 s", "2 min", "90 min", "2.0 h", "111 h"]
    jobs, work = [("width_table", Planned())] * 10, {}
    assert table_of_cost(jobs, work, 1, cores=2).splitlines()[-1] == "about 20 s on 2 cores"
