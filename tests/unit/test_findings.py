"""What every experiment says of its table is computed from it: means, verdicts, sentences."""

import re

import numpy as np
import pandas as pd
import pytest
from test_figures import FRAMES

from onebasin import findings, prose, statistics
from onebasin.experiments import rooms
from onebasin.summaries import MEANING, VERDICTS, Summary, interval, summarise, verdict

every = pytest.mark.parametrize("name", list(FRAMES))


@every
def test_it_has_a_summary_with_one_row_for_each_combination(name):
    table = FRAMES[name]()
    room = rooms()[name]
    rows, keys = room.summary(table), room.module.SUMMARY.keys.split()
    assert not rows[keys].duplicated().any() and rows["rows"].sum() == len(room.module.SUMMARY.prepare(table))
    for value in room.module.SUMMARY.values.split():
        assert value in rows
    if "verdict" in rows:
        assert set(rows["verdict"].dropna()) <= set(VERDICTS)


@every
def test_its_finding_is_whole_sentences_with_numbers_of_its_summary(name):
    table = FRAMES[name]()
    text = rooms()[name].finding(table)
    assert text.endswith(".") and "nan" not in text and "  " not in text
    assert text == findings.UNDECIDED or re.search(r"\d", text)
    assert rooms()[name].finding(table) == text


@every
def test_a_table_that_says_nothing_is_not_decided(name):
    room, table = rooms()[name], FRAMES[name]().iloc[:0]
    assert room.finding(table) == findings.UNDECIDED
    summary = room.summary(table)
    assert summary.empty and {*room.module.SUMMARY.keys.split()} < {*summary}


@pytest.mark.parametrize("name", [name for name in FRAMES if "method" in FRAMES[name]()])
def test_a_table_without_a_method_says_what_it_can(name):
    table = FRAMES[name]()
    text = rooms()[name].finding(table[table["method"] == "none"])
    assert text.endswith(".") and "nan" not in text


def width_table(barriers, networks=range(4)):
    """Error barriers of all pairs at several widths, without a permutation."""
    pairs = [(a, b) for a in networks for b in networks if a < b]
    rows = [
        {"model": "mlp", "width": width, "method": "none", "algorithm": "none", "compared": "none", "claim": "none"}
        | {"reference": None, "a": a, "b": b, "split": split, "metric": "error", "barrier": value + 0.0001 * (a + b)}
        | {"alpha": 0.5, "end_a": 0.0, "end_b": 0.0}
        for width, value in barriers.items()
        for split in ("train", "test")
        for a, b in pairs
    ]
    return pd.DataFrame(rows)


def test_width_says_at_which_widths_networks_are_connected():
    text = rooms()["width"].finding(width_table({16: 0.4, 32: 0.1, 64: 0.01, 128: 0.005}))
    start = "mlp, 4 networks a width: without a permutation on training and test images "
    assert text.startswith(f"{start}not connected at 16 to 32, connected at 64 to 128 (at 128: train .005 [")
    text = rooms()["width"].finding(width_table({16: 0.4, 32: 0.1}))
    assert text.startswith(f"{start}not connected at 16 to 32 (at 32: train .100 [")
    text = rooms()["width"].finding(width_table({16: 0.4, 32: 0.0199}))
    assert text.startswith(f"{start}not connected at 16, not decided at 32 (")
    table = width_table({16: 0.4, 32: 0.01})
    table.loc[(table["split"] == "test") & (table["width"] == 32), "barrier"] += 0.1
    text = rooms()["width"].finding(table)
    assert "on training images not connected at 16, connected at 32 (at 32: .010 [" in text
    assert "on test images not connected at 16 to 32 (at 32: .110 [" in text
    # One pair has no interval, so that nothing is decided.
    text = rooms()["width"].finding(width_table({16: 0.001}, networks=range(2)))
    start = start.replace("4 networks", "2 networks")
    assert text == f"{start}not decided at 16 (at 16: train .001 (no interval), test .001 (no interval))."


def test_width_tells_each_claim():
    table = FRAMES["width"]()
    *sentences, picked = rooms()["width"].finding(table).removesuffix(".").split(". ")
    assert [text.partition(",")[0] for text in sentences] == [*table["model"].unique()]
    for text in sentences:
        told = [claim.partition(" by ")[0] for claim in text.partition(": ")[2].split("; ")]
        assert told == ["weak", "strong through a third network", "strong in a common frame"]
    assert "lowest" in picked and "training" in picked


def test_width_has_its_verdicts_in_a_table():
    room, table = rooms()["width"], FRAMES["width"]()
    summary = room.summary(table)
    laid = room.grids(summary)
    assert [grid.header[0] for grid in laid] == [f"{model}: claim" for model in table["model"].unique()]
    lines = {tuple(line[:3]): line[3:] for grid in laid for line in grid.lines if grid is laid[0]}
    rows = findings.where(summary, model=laid[0].header[0].removesuffix(": claim"), metric="error")
    assert sum(map(len, lines.values())) == len(rows)
    row = findings.where(rows, frame="third", method="weights", split="test").sort_values("width").iloc[-1]
    cell = lines["strong through a third network", "weights", "test"][-1]
    marks = {"connected": "yes", "not connected": "no", "not decided": "?"}
    assert cell.startswith(f"{marks[row['verdict']]} {prose.number(row['barrier'])} [")
    assert laid[0].markdown().count("\n") == len(laid[0].lines) + 1
    assert set(summary["frame"]) == {"none", "first", "third", "common"}
    assert not rooms()["pairs"].grids(rooms()["pairs"].summary(FRAMES["pairs"]()))


def history(barriers, error=0.0):
    """Error barriers of all pairs of four networks at some epochs, under the permutation of the last one."""
    base = width_table({128: 0.0}).assign(method="weights", found=max(barriers), end_a=error, end_b=error)
    return pd.concat([base.assign(epoch=epoch, barrier=base["barrier"] + up) for epoch, up in barriers.items()])


@pytest.mark.parametrize(
    ("barriers", "said", "worst"),
    [
        ({0: 0.0, 1: 0.01, 5: 0.012}, "simultaneously weakly connected", "at epoch 5"),
        ({0: 0.0, 1: 0.01, 5: 0.1}, "not simultaneously weakly connected", "at epoch 5"),
        ({0: 0.3, 1: 0.0199, 5: 0.01}, "not decided whether simultaneously weakly connected", "at epoch 1"),
    ],
)
def test_simultaneously_is_at_every_moment_after_the_initialisation(barriers, said, worst):
    table = history(barriers)
    text = rooms()["trajectory"].finding(table)
    start = "mlp 128, 4 networks, by one permutation, found at the end of training by weights: at epochs 1 to 5, "
    assert text.startswith(f"{start}on training and test images {said} (worst: train .")
    assert worst in text
    summary = rooms()["trajectory"].summary(table)
    words = {text.replace("connected", "simultaneously weakly connected"): text for text in VERDICTS[:2]}
    assert set(summary["simultaneous"]) == {words.get(said, VERDICTS[2])}


def test_the_worst_moment_is_one_that_decides():
    table = history({1: 0.1, 5: 0.05})
    table.loc[(table["epoch"] == 1) & (table["a"] == 0), "barrier"] *= 0.01  # higher on average, and wide
    verdicts = findings.where(rooms()["trajectory"].summary(table), split="train").set_index("epoch")
    assert verdicts["verdict"].to_dict() == {1: "not decided", 5: "not connected"}
    assert verdicts.loc[1, "barrier"] > verdicts.loc[5, "barrier"] * 0.9
    assert "(worst: train .050 [" in rooms()["trajectory"].finding(table)


def test_own_permutations_of_each_level_are_not_one():
    summary = findings.where(rooms()["sparsity"].summary(FRAMES["sparsity"]()), metric="error")
    assert summary.loc[summary["permutation"] == "level", "simultaneous"].isna().all()
    assert set(summary.loc[summary["permutation"] == "dense", "simultaneous"]) <= set(VERDICTS)
    text = rooms()["sparsity"].finding(FRAMES["sparsity"]())
    assert "by one permutation, found before pruning" in text and "simultaneously" in text
    assert "by the permutation found there" in text


def test_what_cannot_be_otherwise_than_low_has_no_verdict():
    summary = rooms()["trajectory"].summary(history({0: 0.0, 1: 0.0}))
    assert summary.loc[summary["epoch"] == 0, "verdict"].isna().all()
    # Trained networks between which nothing rises are connected.
    assert set(summary.loc[summary["epoch"] == 1, "verdict"]) == {"connected"}
    # Those that guess are not, unless the error rises all the same.
    guessing = rooms()["trajectory"].summary(history({1: 0.0, 5: 0.05}, error=0.9))
    assert guessing.loc[guessing["epoch"] == 1, "verdict"].isna().all()
    assert set(guessing.loc[guessing["epoch"] == 5, "verdict"]) == {"not connected"}
    only = history({1: 0.0, 5: 0.0}, error=0.9)
    assert "without a verdict" in rooms()["trajectory"].finding(only)
    assert rooms()["trajectory"].summary(only)["simultaneous"].isna().all()
    one = rooms()["width"].finding(width_table({16: 0.0}).assign(end_b=0.9))
    assert "on training and test images without a verdict at 16 (" in one
    cycles = FRAMES["cycles"]()
    home = (cycles["kind"] == "cycle") & (cycles["method"] == "weights")
    cycles.loc[home, ["fixed_points", "barrier"]] = [1.0, 0.0]
    summary = rooms()["cycles"].summary(cycles)
    home = (summary["kind"] == "cycle") & (summary["method"] == "weights")
    assert (
        summary.loc[home, "verdict"].isna().all()
        and summary.loc[~home & (summary["metric"] == "error"), "verdict"].notna().all()
    )


def test_scaling_tells_every_crossing_with_its_interval():
    assert prose.width_of(197.3, 148, 291) == "200 [150, 290]"
    nan = float("nan")
    assert (
        prose.width_of(nan, 12.3, nan) == "not reached [12, no end]" and prose.width_of(nan, nan, nan) == "not reached"
    )
    assert prose.width_of(197.3, nan, nan) == "200 (no interval)" and prose.width_of(90, 50, nan) == "90 [50, no end]"
    table = FRAMES["scaling"]().assign(crossing=nan, crossing_low=12.3, crossing_high=nan)
    text = rooms()["scaling"].finding(table)
    assert text.count("width not reached [12, no end]") == text.count("β -") + text.count("β .") + text.count("β 1.")


def test_butterfly_says_whether_permutations_lower_the_barriers_to_children():
    table = FRAMES["butterfly"]()
    child, matched = table["kind"] != "independent", table["method"] == "weights"
    noise = 0.001 * (-1.0) ** table["a"]
    # Weights raise the barriers to all children but those of other batches at epoch 1, activations more so.
    table["barrier"] = np.where(child, 0.1, 0.6) + noise
    table.loc[child & matched, "barrier"] += 0.05
    table.loc[child & (table["method"] == "activations"), "barrier"] += 0.1
    table.loc[(table["kind"] == "order") & (table["epoch"] == 1) & matched, "barrier"] -= 0.08 + noise
    table.loc[~child & matched, "barrier"] -= 0.4
    text = rooms()["butterfly"].finding(table)
    assert "is .600 [" in text and "between independent networks" in text and "leave at step 0 .100 [" in text
    assert "Permutations by weights, the strongest method, lower 1 and raise 11 of 12 of the barriers" in text
    assert "those by all methods 1 and raise 23 of 24 (" in text
    assert "by other batches at epoch 1, is -.030 [-.032, -.028]; between independent networks it is -.400" in text


def test_transience_says_what_is_gained_at_once_and_in_the_end():
    table = FRAMES["transience"]()
    text = rooms()["transience"].finding(table)
    assert text.count("At epoch 10 ") == 3, "two children, and independent networks by the one method"
    assert (
        "the mean of mlp 64 and its child that shares 5 epochs has a test error below that of the two by .030 [" in text
    )
    assert "at once, .000 [" in text and "after 1 epoch and .000 [" in text
    assert "on hard images by .060 [" in text and "on easy ones by .015 [" in text
    assert "aligned by weights," in text and "without a permutation" not in text


def test_splits_tells_of_the_parts_on_which_networks_alone_err_most():
    table = FRAMES["splits"]()
    table = table[table["model"] == "mlp"]
    text = rooms()["splits"].finding(table)
    assert text.startswith(
        "Test error mlp 128 where networks alone err most (3 parts, Dirichlet(0.5); 3 divisions): from "
    )
    assert "from independent starts .240 [" in text and "; from one start .240 [" in text
    assert "] alone, .100 [.100, .100] their ensemble and .050 [.050, .050] one on all data, .620 [" in text
    assert "] their mean, .170 [" in text and text.endswith("] the best other mean (by weights, repair).")
    table.loc[(table["by"] == "classes") & (table["network"] == "alone"), "value"] += 0.1
    assert "(2 parts, 80 % of a class in one; 3 divisions)" in rooms()["splits"].finding(table)
    # Networks that saw all images are no case of theirs.
    table.loc[(table["by"] == "whole") & (table["network"] == "alone"), "value"] += 0.5
    assert "(2 parts, 80 % of a class in one; 3 divisions)" in rooms()["splits"].finding(table)


def test_nonlocal_says_at_which_widths_alignment_matters_by_task():
    table = FRAMES["nonlocal"]()
    noise = 0.001 * (-1.0) ** table["seed"]
    aligned, by_task = table["method"] != "none", table["correction"] == "task"
    table["excess"] = table["excess"].where(table["metric"] == "variance", 0.3 + noise)
    # By task alignment helps at width 16; at 64 it harms two tasks, and does nothing that is more than noise to three.
    table.loc[aligned & by_task & (table["width"] == 16), "excess"] -= 0.1 + 0.5 * noise
    table.loc[aligned & by_task & (table["width"] == 64) & (table["count"] == 2), "excess"] += 0.1 + 0.5 * noise
    table.loc[aligned & by_task & (table["width"] == 64) & (table["count"] == 3), "excess"] += noise
    text = rooms()["nonlocal"].finding(table)
    assert "3 merged experts mlp 64 of independent starts err more than each alone: without a permutation by" in text
    assert ".300 [" in text and "with nothing corrected" in text and "(3 sets of experts)" in text
    assert re.search(r"merge-weights changes the error with 2 tasks by -\.100 \[[^]]*\] at width 16 \(lower\)", text)
    assert re.search(r" and \.100 \[[^]]*\] at width 64 \(higher\); with 3 tasks by", text)
    assert re.search(r"with 3 tasks by -\.100 \[[^]]*\] at width 16 \(lower\) and .* at width 64 \(not decided\)", text)


def test_a_summary_has_the_mean_its_jackknife_interval_and_the_share_below_the_threshold():
    table = width_table({16: 0.0197})
    (row,) = summarise(table[table["split"] == "train"], Summary("model width", "barrier", "a b")).to_dict("records")
    values = table.loc[table["split"] == "train", "barrier"].to_numpy()
    pairs = table.loc[table["split"] == "train", ["a", "b"]].to_numpy()
    low, high = statistics.interval(values, pairs, barriers=True)
    assert row["barrier"] == pytest.approx(values.mean()) and row["rows"] == 6 and row["networks"] == 4
    assert (row["barrier_low"], row["barrier_high"]) == pytest.approx((low, high), rel=1e-5)
    assert row["below"] == pytest.approx((values < 0.02).mean())
    assert row["verdict"] == verdict(values.mean(), low, high)


def test_intervals_end_where_their_quantity_does():
    apart = {"a": [0, 0, 1], "b": [1, 2, 2]}
    high = pd.DataFrame({**apart, "model": "mlp", "metric": "error", "barrier": [0.9, 0.2, 0.9]})
    networks = high[["a", "b"]].to_numpy()
    raw = statistics.interval(high["barrier"].to_numpy(), networks, barriers=True)
    assert raw[1] > 1 and interval(high, "barrier", networks) == (raw[0], 1)
    (row,) = summarise(high, Summary("model metric", "barrier", "a b")).to_dict("records")
    assert row["barrier_high"] == 1
    # The loss has no such end, and a mean of networks may err less than they do.
    assert interval(high.assign(metric="loss"), "barrier", networks) == raw
    better = high.assign(barrier=[-0.01, -0.02, 0.0])
    assert -1 < interval(better, "barrier", networks)[0] < -0.02
    shares = pd.DataFrame({**apart, "fixed": [0.0, 0.9, 0.9], "loss": [0.0, 0.9, 0.9]})
    assert interval(shares, "fixed", networks) == (0, 1)
    low, top = interval(shares, "loss", networks)
    assert low < 0 and top > 1


def test_the_verdict_is_what_its_meaning_says():
    assert verdict(0.01, 0.005, 0.0199) == "connected"
    assert verdict(0.019, 0.01, 0.02) == verdict(0.021, 0.0199, 0.03) == "not decided"
    assert verdict(0.03, 0.02, 0.05) == "not connected"
    assert verdict(0.001, float("nan"), float("nan")) == verdict(0.001, None, None) == "not decided"
    assert verdict(0.001, 0.0, 0.002, error=0.85) is None and verdict(0.03, 0.02, 0.05, error=0.85) == "not connected"
    assert "0.02" in MEANING and all(word in MEANING for word in VERDICTS)


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.0217, ".022"), (0.0197, ".0197"), (0.02004, ".02004"), (0.02, ".020"), (0.4567, ".457"), (-0.5, "-.500")],
)
def test_numbers_are_not_rounded_onto_the_threshold(value, text):
    assert prose.number(value, 3) == text
    assert np.sign(float(prose.number(value)) - 0.02) == np.sign(value - 0.02)


def test_lists_and_counts_read_as_in_a_sentence():
    assert prose.listed(["a"]) == "a" and prose.listed(["a", "b", "c"]) == "a, b and c"
    assert prose.counted(1, "network") == "1 network" and prose.counted(4, "network") == "4 networks"
    assert prose.estimate(0.5, float("nan"), float("nan")) == ".500"
