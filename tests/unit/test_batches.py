"""How items are dealt out to jobs."""

import itertools

import pytest

from onebasin.study.shares import share
from workflow.batches import Batch, unique

ITEMS = [{"method": method, "stage": stage} for method in ("a", "b") for stage in ("x", "y", "z")]


def test_together_one_job_has_all_items_in_order():
    batch = Batch(ITEMS, True, ("method", "stage"))
    assert batch.patterns == ITEMS and batch.name == "all"
    assert batch.of({"model": "mlp"}) == ITEMS


def test_apart_each_job_has_the_items_that_its_wildcards_name():
    batch = Batch(ITEMS, False, ("method",))
    assert batch.patterns == [{"method": "{method}", "stage": stage} for stage in ("x", "y", "z")]
    assert batch.name == "method{method}"
    assert batch.of({"method": "b"}) == ITEMS[3:]
    single = Batch(ITEMS, False, ("method", "stage"))
    assert single.patterns == [{"method": "{method}", "stage": "{stage}"}]
    assert [single.of({key: str(value) for key, value in item.items()}) for item in ITEMS] == [[item] for item in ITEMS]


def test_wildcards_are_text_and_items_need_not_be():
    batch = Batch([{"seed": seed} for seed in range(12)], False, ("seed",))
    assert batch.of({"seed": "1"}) == [{"seed": 1}] and batch.of({"seed": "12"}) == []


def test_different_items_stay_in_order():
    assert unique([{"a": 2}, {"a": 1}, {"a": 2}]) == [{"a": 2}, {"a": 1}]


@pytest.mark.parametrize(("count", "jobs"), list(itertools.product((0, 1, 7, 12), (1, 3, 8))))
def test_shares_are_all_items_once_and_nearly_equal(count, jobs):
    parts = [share(range(count), number, jobs) for number in range(1, jobs + 1)]
    assert [item for part in parts for item in part] == list(range(count))
    assert max(map(len, parts)) - min(map(len, parts)) <= 1
