"""Workplaces, copies of the workflow in temporary folders, and one tiny real study that many tests look at."""

import fcntl
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest
import yaml

ROOT = Path(__file__).parents[2]

# Everything once: two models, two widths of one of them, both methods. Experiments that train networks again have tests
# of their own.
TINY = {
    "study": "tiny",
    "models": [
        {"name": "mlp", "family": "mlp", "widths": [4, 8], "hidden": [1, 1]},
        {"name": "cnn", "family": "cnn", "widths": [2], "channels": [1, 1]},
    ],
    "training": {"epochs": 3, "checkpoints": [0]},
    "matching": [
        {"name": "weights", "algorithm": "weights"},
        {"name": "activations", "algorithm": "activations", "n_images": 100},
    ],
    "frames": [
        {"name": "merge-weights", "algorithm": "merge_many"},
        {
            "name": "universe-activations",
            "algorithm": "universe",
            "similarity": "activations",
            "options": {"n_images": 100},
        },
    ],
    "barrier": {"points": 5, "train_images": 100, "fit_images": 100},
    "simplex": {"widths": [4], "resolution": 3},
    "pruning": {"widths": [4], "levels": 2, "fraction": 0.5, "points": 3},
    "tickets": {"levels": [2]},
    "experiments": ["pairs", "width", "scaling", "differences", "simplex", "consensus", "methods"],
    "consensus": {"widths": [4], "mixtures": 2},
}


class Workplace:
    """A copy of the workflow, in which Snakemake runs."""

    def __init__(self, folder):
        self.folder = folder

    @classmethod
    def make(cls, folder):
        folder.mkdir(parents=True, exist_ok=True)
        for name in ("Snakefile", "config.yaml"):
            shutil.copy(ROOT / name, folder)
        for name in ("workflow", "profiles", "envs", "studies"):
            shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__", ".mypy_cache"))
        (folder / "slurm").symlink_to("profiles/slurm")
        (folder / "results").mkdir()
        return cls(folder)

    def copy(self, folder):
        shutil.copytree(self.folder, folder, symlinks=True)
        return Workplace(folder)

    @property
    def results(self):
        return self.folder / "results" / "tiny"

    def configure(self, config):
        # Workers share the finished study, and each has configs of its own.
        path = self.folder / f"study-{os.getpid()}.yaml"
        path.write_text(config if isinstance(config, str) else yaml.safe_dump(config))
        return ["--configfile", path.name]

    def command(self, *arguments):
        return [sys.executable, "-m", "snakemake", *map(str, arguments)]

    def snakemake(self, *arguments, fails=False):
        environment = {key: value for key, value in os.environ.items() if not key.startswith("PYTEST")}
        done = subprocess.run(
            self.command(*arguments),
            cwd=self.folder,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        assert (done.returncode != 0) == fails, done.stdout
        return done.stdout

    def kill_once(self, condition, *arguments):
        """Run Snakemake, and kill it and all of its jobs as soon as a condition holds."""
        nowhere = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.DEVNULL)
        process = subprocess.Popen(self.command(*arguments), cwd=self.folder, **nowhere)
        while not condition():
            assert process.poll() is None
            time.sleep(0.02)
        for victim in (psutil.Process(process.pid), *psutil.Process(process.pid).children(recursive=True)):
            os.kill(victim.pid, signal.SIGKILL)
        process.wait()
        self.snakemake("--unlock", *arguments)

    def measured_after_a_kill(self, config, experiment, parts):
        """Measure a finished experiment again, kill that in the midst of a part, and check that it ends as before."""
        folder, store = self.results / f"measurements/{experiment}", self.folder / "results/.store/mixtures"
        files = [*folder.rglob("*.csv"), self.results / f"tables/{experiment}.csv"]
        before = {path: path.read_bytes() for path in files}
        assert len(before) == parts + 1
        for path in before:
            path.unlink()
        shutil.rmtree(store)
        asked = experiment, *self.configure(config), "--cores", 1
        self.kill_once(lambda: len(list(store.rglob("*.json"))) >= 5, *asked)
        kept = len(list(store.rglob("*.json")))
        assert kept >= 5 and not all(path.exists() for path in before)
        self.snakemake(*asked)
        assert len(list(store.rglob("*.json"))) > kept
        assert {path: path.read_bytes() for path in before} == before

    def plan(self, *arguments):
        """The number of jobs of each rule that would run."""
        output = self.snakemake("--dry-run", *arguments)
        if "Nothing to be done" in output:
            return {}
        _, _, stats = output.partition("Job stats:")
        return {
            rule: int(count) for rule, count in re.findall(r"^(?!total)(\w+) +(\d+)$", stats.partition("\n\n")[0], re.M)
        }


@pytest.fixture
def workplace(tmp_path):
    return Workplace.make(tmp_path / "workplace")


@pytest.fixture(scope="session")
def plain(tmp_path_factory):
    """A workplace in which nothing is made."""
    return Workplace.make(tmp_path_factory.mktemp("plain") / "workplace")


@pytest.fixture(scope="session")
def make_once(tmp_path_factory):
    """Finish a study once for all workers; tests leave it as it is, or work in a copy."""
    base = tmp_path_factory.getbasetemp()
    shared = base.parent if "PYTEST_XDIST_WORKER" in os.environ else base

    def make(name, config, targets=(), origin=None):
        folder = shared / name
        with open(folder.with_suffix(".lock"), "a") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not folder.exists():
                place = tmp_path_factory.mktemp(name) / "workplace"
                workplace = origin.copy(place) if origin else Workplace.make(place)
                workplace.snakemake(*targets, *workplace.configure(config))
                workplace.folder.rename(folder)
        return Workplace(folder)

    return make


@pytest.fixture(scope="session")
def study(make_once):
    """The finished tiny study."""
    return make_once("study", TINY)


@pytest.fixture(scope="session")
def history(make_once, study):
    """The tiny study with the experiments on the history of training finished, and its config."""
    config = {
        **yaml.safe_load(yaml.safe_dump(TINY)),
        "history": {"widths": [2, 4], "epochs": [1, 0], "points": 3},
        "layers": {"epochs": [0]},
        "superposition": {"sets": [[1, 3]]},
        "experiments": ["trajectory", "stability", "layers", "superposition"],
    }
    return make_once("history", config, origin=study), config


@pytest.fixture(scope="session")
def pruned(make_once, study):
    """The tiny study with its networks pruned."""
    return make_once("pruned", TINY, ["pruning", "sparsity", "tickets"], origin=study)


@pytest.fixture(scope="session")
def transport(make_once):
    """A finished study of the experiments that no other one has, and its config."""
    config = {
        "study": "tiny",
        "models": [{"name": "mlp", "family": "mlp", "widths": [4, 8], "hidden": [1, 1]}],
        "training": {"epochs": 3},
        "frames": [
            {"name": "merge", "algorithm": "merge_many", "similarity": "activations", "options": {"n_images": 100}},
            {"name": "universe", "algorithm": "universe", "options": {"climbs": 1}},
        ],
        "barrier": {"points": 5, "train_images": 100, "fit_images": 100},
        "experiments": [
            "errors",
            "width",
            "cycles",
            "embedding",
            "transfer",
            "transfer_masks",
            "correction",
            "instability",
            "butterfly",
            "transience",
            "control",
            "star",
            "mechanism",
            "mechanism_share",
            "mechanism_layers",
            "layerwise",
            "linear",
            "splits",
            "nonlocal",
        ],
        "cycles": {"widths": [8], "limit": 20},
        "control": {"widths": [4]},
        "star": {"widths": [4], "length": 1, "align": "weights"},
        "mechanism": {"widths": [4, 8]},
        "linear": {"widths": [4], "counts": [2, 3]},
        "layerwise": {"widths": [4], "points": 5, "limit": 2},
        "correction": {"widths": [4]},
        "splits": {"widths": [4], "divisions": 1},
        "nonlocal": {"widths": [4]},
        "instability": {"widths": [4], "epochs": [1]},
        "butterfly": {"widths": [4], "times": [{"step": 1}], "children": [{"kind": "gaussian", "sigma": 0.5}]},
        "transience": {"widths": [4], "shared": [1], "epochs": [1], "after": [1], "points": 3},
        "embedding": {"wide": 8, "narrow": [4]},
        "pruning": {"levels": 1},
        "transfer": {"widths": [4], "level": 1, "data": {"variant": "inverted"}},
    }
    return make_once("transport", config), config


@pytest.fixture
def tiny():
    """The config of the tiny study, to be changed."""
    return yaml.safe_load(yaml.safe_dump(TINY))
