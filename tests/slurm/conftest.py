"""Slurm for the tests, and the tiny study and its workplaces of tests/workflow."""

import importlib.util
import os
import shutil
from pathlib import Path

import pytest
from servers import PATH, PROGRAMS, Cluster

spec = importlib.util.spec_from_file_location("workplaces", Path(__file__).parents[1] / "workflow/conftest.py")
workplaces = importlib.util.module_from_spec(spec)
spec.loader.exec_module(workplaces)
make_once, study, tiny, workplace = workplaces.make_once, workplaces.study, workplaces.tiny, workplaces.workplace


@pytest.fixture(scope="session")
def cluster(tmp_path_factory):
    missing = [name for name in PROGRAMS if not shutil.which(name, path=PATH)]
    if missing:
        pytest.skip(f"no Slurm here: {', '.join(missing)} not found; Debian has them in slurm-wlm and munge")
    if os.geteuid() != 0:
        pytest.skip("only root can start the servers of Slurm")
    servers = Cluster(tmp_path_factory.mktemp("slurm"))
    try:
        servers.start()
        yield servers
    finally:
        servers.stop()


@pytest.fixture
def slurm(cluster, monkeypatch):
    """The cluster, which commands of the test find."""
    for name in ("SLURM_CONF", "PATH"):
        monkeypatch.setenv(name, cluster.environment[name])
    return cluster


@pytest.fixture(scope="session")
def longer():
    """A study that is long enough to be met in the middle, with a job for each network."""
    return {
        "study": "tiny",
        "seeds_together": False,
        "models": [{"name": "mlp", "family": "mlp", "widths": [4], "hidden": [1, 1]}],
        "training": {"epochs": 250},
        "matching": [{"name": "weights", "algorithm": "weights"}],
        "frames": [],
        "barrier": {"points": 3, "train_images": 100},
        "experiments": ["width"],
    }


@pytest.fixture(scope="session")
def undisturbed(make_once, longer):
    """The same study of a local run in which nothing happened."""
    return make_once("undisturbed", longer)
