"""Finished work is never made again, never lost, and never belongs to something else, whatever people do to files."""

import json
import os
import random
import re
import shutil
import signal
import subprocess
import time
from collections import Counter
from itertools import combinations
from pathlib import Path

import psutil
import pytest
import torch
from PIL import Image

from onebasin import checkpoint, data, models, tables, versions
from workflow import progress

ENDS = {"findings", "report", "all"}
STUDY = {
    "study": "tiny",
    "seeds": [0, 1, 2],
    "models": [{"name": "mlp", "family": "mlp", "widths": [4], "hidden": [1]}],
    "training": {"epochs": 2},
    "matching": [{"name": "weights", "algorithm": "weights"}],
    "frames": [],
    "history": {"epochs": [0]},
    "barrier": {"points": 3, "train_images": 100},
    "experiments": ["width"],
}
FOUR = {**STUDY, "seeds": [0, 1, 2, 3]}


@pytest.fixture(scope="session")
def three_seeds(make_once):
    return make_once("three-seeds", STUDY)


@pytest.fixture(scope="session")
def four_seeds(make_once):
    return make_once("four-seeds", FOUR)


@pytest.fixture
def made_before(three_seeds, tmp_path):
    """A finished study, to be changed."""
    return three_seeds.copy(tmp_path / "workplace")


def run(workplace, config, *arguments):
    """Run Snakemake; return the pieces that were made, by kind."""
    began = time.time_ns()
    workplace.snakemake(*arguments, *workplace.configure(config))
    made = Counter()
    for path in workplace.folder.glob("results/*/logs/**/*.json"):
        if path.with_suffix(".log").stat().st_mtime_ns >= began:
            made.update(json.loads(path.read_text())["made"])
    return dict(made)


def width(workplace, study="tiny"):
    return (workplace.folder / f"results/{study}/tables/width.csv").read_bytes()


def state(folder):
    """The bytes and times of all networks."""
    return {
        path.relative_to(folder): (path.read_bytes(), path.stat().st_mtime_ns)
        for path in sorted(folder.glob("networks/**/*"))
        if path.is_file()
    }


@pytest.mark.parametrize("together", [True, False])
def test_another_seed_alone_is_trained(made_before, four_seeds, together):
    before = state(made_before.results)
    made = run(made_before, {**FOUR, "seeds_together": together})
    # weak: a path for each new pair; strong: three more triples of two networks and a third with the new one in them
    assert (made["network"], made["matching"]) == (1, 3)
    assert before.items() <= state(made_before.results).items()
    assert width(made_before) == width(four_seeds)
    assert made_before.plan(*made_before.configure({**FOUR, "seeds_together": together})) == {}


def test_seeds_methods_and_widths_come_and_go(four_seeds, tmp_path):
    made_before = four_seeds.copy(tmp_path / "workplace")
    before = state(made_before.results)
    assert run(made_before, STUDY) == {}
    assert {row["b"] for row in tables.rows(made_before.results / "tables/width.csv", "width")} == {1, 2}
    wider = {**STUDY, "models": [{**STUDY["models"][0], "widths": [4, 6]}]}
    assert run(made_before, wider)["network"] == 3
    both = {**STUDY, "matching": [*STUDY["matching"], {"name": "w", "algorithm": "activations", "n_images": 50}]}
    made = run(made_before, both)
    assert (made.get("network"), made["matching"]) == (None, 3)
    assert before.items() <= state(made_before.results).items()
    renamed = {**STUDY, "matching": [{"name": "another", "algorithm": "weights"}]}
    assert run(made_before, renamed) == {}
    assert {row["method"] for row in tables.rows(made_before.results / "tables/width.csv", "width")} == {
        "none",
        "another",
    }


def test_the_same_networks_in_another_study_are_made_once(made_before):
    assert run(made_before, {**STUDY, "study": "another"}) == {}
    assert width(made_before, "another") == width(made_before)
    network = made_before.folder / "results/another/networks/mlp/width4/seed0/epoch2.safetensors"
    assert network.stat().st_nlink == 2
    assert made_before.plan(*made_before.configure(STUDY)) == {}


@pytest.mark.parametrize("send", [os.killpg, os.kill], ids=["terminal", "snakemake alone"])
def test_what_was_finished_in_a_batch_stays_when_it_is_interrupted(workplace, four_seeds, send):
    """Ctrl-C, as a terminal sends it, or an interruption of Snakemake alone, while one job trains all seeds."""
    slow = {**FOUR, "training": {"epochs": 150}}
    process = subprocess.Popen(
        workplace.command(*workplace.configure(slow)),
        cwd=workplace.folder,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
        # A shell that runs the tests in the background has it ignored.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )
    store = workplace.folder / "results/.store/network"
    while not list(store.glob("*/*.json")):
        assert process.poll() is None
        time.sleep(0.02)
    send(process.pid, signal.SIGINT)
    output, _ = process.communicate()
    assert output.splitlines()[-1] == progress.INTERRUPTED and "Traceback" not in output and "epoch" not in output
    log = workplace.results / "logs/train/mlp/width4/all.log"
    assert "seed 0, epoch 1/150: " in log.read_text() and log.read_text().endswith(" interrupted\n")
    finished = len(list(store.glob("*/*.json")))
    assert 1 <= finished < 4
    assert run(workplace, slow, "--cores", 2)["network"] == 4 - finished
    assert "seed 0, epoch" not in log.read_text() and "seed 3, epoch 150/150: " in log.read_text()


def test_jobs_end_when_snakemake_is_killed(workplace):
    """SIGKILL to Snakemake alone: two jobs must not train the same network when the command is given again."""
    slow = workplace.configure({**FOUR, "training": {"epochs": 100_000}})
    nowhere = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.DEVNULL)
    process = psutil.Popen(workplace.command(*slow), cwd=workplace.folder, **nowhere)
    log = workplace.results / "logs/train/mlp/width4/all.log"
    while not (log.exists() and "seed 0, epoch" in log.read_text()):
        assert process.poll() is None
        time.sleep(0.02)
    jobs = process.children(recursive=True)
    process.kill()
    process.wait()
    assert jobs and not psutil.wait_procs(jobs, timeout=30)[1]
    assert log.read_text().endswith("Snakemake is gone; ends\n")


def test_results_travel(three_seeds, tmp_path):
    """Copied without times and without Snakemake's notes, or with them, into a fresh clone."""
    for number, copy in enumerate((shutil.copyfile, shutil.copy2)):
        place = type(three_seeds).make(tmp_path / f"clone{number}")
        shutil.copytree(three_seeds.results, place.results, copy_function=copy)
        if copy is shutil.copy2:
            shutil.copytree(three_seeds.folder / ".snakemake", place.folder / ".snakemake")
        for path in (place.folder / "workflow").rglob("*"):
            os.utime(path)
        output = place.snakemake("--dry-run", *place.configure(STUDY))
        assert "Nothing to be done" in output
        assert ("their contents were read" in output) == (copy is shutil.copyfile)
        assert "their contents were read" not in place.snakemake("--dry-run", *place.configure(STUDY))
    # Of another config under the same name nothing is taken for its own.
    other = place.configure({**STUDY, "barrier": {"points": 5, "train_images": 100}})
    assert place.plan(*other) == dict.fromkeys(("width_measure", "width_table", "width_figure", *ENDS), 1)


def test_an_output_that_somebody_changed_is_made_again(made_before):
    expected = width(made_before)
    table = made_before.results / "tables/width.csv"
    table.write_bytes(expected.replace(b"mlp", b"net"))
    assert made_before.plan(*made_before.configure(STUDY)) == dict.fromkeys(("width_table", "width_figure", *ENDS), 1)
    network = made_before.results / "networks/mlp/width4/seed1/epoch2.safetensors"
    right = network.read_bytes()
    shutil.copy2(made_before.results / "networks/mlp/width4/seed0/epoch2.safetensors", network)
    # The store has the right one only where the two are not the same file.
    assert run(made_before, STUDY).get("network", 0) <= 1
    assert network.read_bytes() == right and width(made_before) == expected


@pytest.fixture
def networks(tmp_path):
    """Four networks in files."""
    folder = tmp_path / "networks"
    folder.mkdir()
    for number in range(4):
        torch.manual_seed(number)
        model = models.build("mlp", width=4, image_shape=(1, 8, 8), classes=10, hidden=[1])
        torch.save(model.state_dict(), folder / f"n{number}.pt")
    return folder


def of_networks(folder, *numbers):
    config = {key: value for key, value in STUDY.items() if key not in ("seeds", "training", "history")}
    return {**config, "networks": [str(folder / f"n{number}.pt") for number in numbers]}


def sources(workplace):
    paths = sorted((workplace.results / "networks/mlp/width4").glob("seed*/*.safetensors"))
    return [Path(checkpoint.load(path)[1]["source"]["file"]).stem for path in paths]


def test_networks_in_another_order_or_under_another_name(workplace, networks, tmp_path):
    assert run(workplace, of_networks(networks, 0, 1, 2))["matching"] == 3
    made = run(workplace, of_networks(networks, 1, 0, 2))
    assert sources(workplace) == ["n1", "n0", "n2"]
    # The pair that was turned round is matched the other way.
    assert made["matching"] == 1
    fresh = workplace.copy(tmp_path / "fresh")
    shutil.rmtree(fresh.folder / "results")
    run(fresh, of_networks(networks, 1, 0, 2))
    assert width(workplace) == width(fresh)
    networks.rename(networks.with_name("moved"))
    assert workplace.plan(*workplace.configure(of_networks(networks.with_name("moved"), 1, 0, 2))) == {}


def test_a_file_of_another_time_is_known_by_its_contents(workplace, networks):
    config = of_networks(networks, 0, 1, 2)
    os.utime(networks / "n3.pt", (10**9, 10**9))
    run(workplace, config)
    before = width(workplace)
    os.utime(networks / "n0.pt")
    assert workplace.plan(*workplace.configure(config)) == {}
    shutil.copy2(networks / "n3.pt", networks / "n1.pt")
    assert run(workplace, config)["matching"] == 2
    assert width(workplace) != before


def test_what_was_there_stays_until_its_successor_is_complete(workplace, networks):
    run(workplace, of_networks(networks, 0, 1, 2))
    before = state(workplace.results), width(workplace)
    (networks / "n1.pt").write_bytes(b"damaged")
    output = workplace.snakemake(*workplace.configure(of_networks(networks, 0, 1, 2)), fails=True)
    assert "n1.pt" in output
    assert (state(workplace.results), width(workplace)) == before


def test_images_of_the_same_names_and_sizes(workplace, tmp_path):
    folder = tmp_path / "images"

    def draw(level):
        for number, name in enumerate(("a", "b")):
            (folder / name).mkdir(parents=True, exist_ok=True)
            for index in range(20):
                shade = level + 60 * number + index
                Image.new("L", (8, 8), shade).save(folder / name / f"{index}.bmp")

    config = {**STUDY, "data": {"name": "image_folder", "data_dir": str(folder), "image_size": 8}}
    draw(10)
    run(workplace, config)
    mean = data.open_(workplace.results / "data.safetensors").train_images.float().mean().item()
    for path in folder.rglob("*.bmp"):
        os.utime(path)
    assert workplace.plan(*workplace.configure(config)) == {}
    draw(90)
    assert run(workplace, config)["network"] == 3
    assert data.open_(workplace.results / "data.safetensors").train_images.float().mean().item() == mean + 80


def test_code_that_changed_is_seen(made_before):
    """A figure's code, a version, and anything else of the library."""
    library = made_before.folder / "src"
    shutil.copytree(Path(checkpoint.__file__).parents[1], library, ignore=shutil.ignore_patterns("__pycache__"))

    def plan():
        output = made_before.snakemake("--dry-run", "--verbose", *made_before.configure(STUDY))
        return set(re.findall(r"^(?:local)?rule (\w+):$", output, re.M)) - ENDS, output

    assert plan()[0] == set() and "earlier code" not in plan()[1]
    with open(library / "onebasin/match/weight_matching.py", "a") as code:
        code.write("\n# Another line.\n")
    planned, output = plan()
    assert planned == set() and "Nothing to be done" in output and "Results of earlier code" in output
    with open(library / "onebasin/figures/style.py", "a") as code:
        code.write("\n# Another line.\n")
    assert plan()[0] == {"width_figure"}
    file = library / "onebasin/versions.py"
    text = file.read_text()

    def raised(stage):
        version = versions.of(stage)
        return text.replace(f'"{stage}": {version}', f'"{stage}": {version + 1}')

    file.write_text(raised("weights"))
    # The networks stay, and what was measured without a permutation is found in the store.
    assert plan()[0] == {"align", "width_measure", "width_table", "width_figure"}
    file.write_text(raised("train"))
    assert plan()[0] >= {"train", "align", "width_measure"}


EDITS = ("add", "remove", "reorder", "method", "replace", "touch", "older", "other_study", "copy", "clone", "kill")
SEQUENCES = int(os.environ.get("ONEBASIN_SEQUENCES", 1))


class Sequence:
    """Random edits of a study, and what of it was matched before."""

    def __init__(self, workplace, networks, seed):
        self.workplace, self.networks, self.random = workplace, networks, random.Random(seed)
        self.numbers = [0, 1, 2]
        self.methods = ["weights"]
        self.study = "tiny"
        self.matched = set()

    @property
    def config(self):
        methods = {
            "weights": {"name": "weights", "algorithm": "weights"},
            "activations": {"name": "activations", "algorithm": "activations", "n_images": 50},
        }
        config = of_networks(self.networks, *self.numbers)
        return {**config, "study": self.study, "matching": [methods[name] for name in self.methods]}

    def contents(self, number):
        return (self.networks / f"n{number}.pt").read_bytes()

    def new(self):
        """The matchings that have not been made."""
        wanted = {
            (method, self.contents(a), self.contents(b))
            for method in self.methods
            for a, b in combinations(self.numbers, 2)
        }
        new = wanted - self.matched
        self.matched |= new
        return len(new)

    def edit(self):
        edits = [
            "add",
            "remove",
            "reorder",
            "method",
            "replace",
            "touch",
            "older",
            "other_study",
            "copy",
            "clone",
            "kill",
        ]
        name = self.random.choice(edits)
        getattr(self, name)()
        return name

    def add(self):
        self.numbers += [number for number in range(4) if number not in self.numbers][:1]

    def remove(self):
        if len(self.numbers) > 3:
            self.numbers.remove(self.random.choice(self.numbers))

    def reorder(self):
        self.random.shuffle(self.numbers)

    def method(self):
        self.methods = ["activations"] if self.methods == ["weights"] else ["weights"]

    def replace(self):
        target = self.networks / f"n{self.random.choice(self.numbers)}.pt"
        torch.manual_seed(self.random.randrange(10**6))
        model = models.build("mlp", width=4, image_shape=(1, 8, 8), classes=10, hidden=[1])
        time_before = target.stat()
        torch.save(model.state_dict(), target)
        os.utime(target, (time_before.st_atime, time_before.st_mtime))

    def touch(self):
        for path in [*self.networks.iterdir(), *self.workplace.folder.glob("workflow/**/*.py")]:
            os.utime(path)

    def older(self):
        for path in self.workplace.folder.glob("results/tiny/**/*"):
            os.utime(path, (10**9, 10**9 + self.random.random() * 10**6))

    def other_study(self):
        self.study = "other" if self.study == "tiny" else "tiny"

    def copy(self):
        before, target = self.networks, self.networks.with_name(f"networks{self.random.randrange(10**6)}")
        shutil.copytree(before, target, copy_function=shutil.copyfile)
        self.networks = target

    def clone(self):
        target = self.workplace.folder.with_name(f"clone{self.random.randrange(10**6)}")
        shutil.copytree(self.workplace.folder, target, symlinks=True, copy_function=shutil.copyfile)
        shutil.rmtree(target / ".snakemake", ignore_errors=True)
        self.workplace = type(self.workplace)(target)

    def kill(self):
        process = subprocess.Popen(
            self.workplace.command(*self.workplace.configure(self.config)),
            cwd=self.workplace.folder,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        time.sleep(self.random.uniform(1, 6))
        for victim in [*psutil.Process(process.pid).children(recursive=True), process]:
            victim.kill()
        process.wait()
        self.workplace.snakemake("--unlock", *self.workplace.configure(self.config))


@pytest.mark.parametrize("seed", range(SEQUENCES))
def test_any_sequence_of_edits_ends_as_a_fresh_run(workplace, networks, tmp_path, seed):
    sequence = Sequence(workplace, networks, seed)
    done = []
    for _ in range(8):
        done.append(sequence.edit())
        made = run(sequence.workplace, sequence.config)
        assert made.get("matching", 0) <= (new := sequence.new()), done
        # What a killed run matched counts for nothing here.
        assert made.get("matching", 0) == new or "kill" in done, done
    fresh = workplace.copy(tmp_path / "fresh")
    shutil.rmtree(fresh.folder / "results")
    run(fresh, sequence.config)
    assert width(sequence.workplace, sequence.study) == width(fresh, sequence.study), done
