"""The peak of memory is that of the block alone, whatever was taken before."""

from pathlib import Path

import pytest
import torch

from onebasin.study.memory import peak

MEGABYTE = 2**18  # single-precision numbers


@pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="the high-water mark is read from Linux's /proc")
def test_a_large_block_does_not_hide_a_small_one():
    found = []
    for size in (200, 50, 0):
        with peak("cpu") as taken:
            torch.ones(size * MEGABYTE).sum()
        found.append(taken.megabytes)
    assert found[0] == pytest.approx(200 * 1.05, abs=20)
    assert found[1] == pytest.approx(50 * 1.05, abs=20)
    assert found[2] < 20
