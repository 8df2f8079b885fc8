"""What all tests share: one thread per process, and in CI no test that is skipped for want of something installable."""

import os

# Before torch is imported: several workers share the cores.
os.environ["OMP_NUM_THREADS"] = "1"
# Else torch.compile tries out the instructions of the processor for ten seconds in every process.
os.environ["TORCHINDUCTOR_VEC_ISA_OK"] = "1"

import pytest


def pytest_collection_modifyitems(items):
    import torch

    if not torch.cuda.is_available():
        for item in items:
            if "cuda" in item.keywords:
                item.add_marker(pytest.mark.skip(reason="no CUDA device"))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item, call):
    report = yield
    if os.environ.get("CI") == "true" and report.skipped and "cuda" not in item.keywords:
        report.outcome = "failed"
        report.longrepr = f"in CI nothing is skipped: {report.longrepr[2]}"
    return report


@pytest.fixture
def one_thread():
    """Sums are the same only with as many threads; other tests may have left others."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)
