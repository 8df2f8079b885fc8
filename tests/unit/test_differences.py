"""Differences of barriers: on the same networks, with third networks left out too, and corrected for their number."""

import itertools

import numpy as np
import pytest

from onebasin import differences, statistics, tables

SEEDS = range(4)
COMPARED = {"none": "none", "weights": "weights", "activations": "activations", "merge": "weights"}


def rows(height, sides, widths=(16,), seeds=SEEDS):
    """Rows of table `width`, with the height of a barrier by claim, method, width and networks."""
    found = []
    for width, (claim, method) in itertools.product(widths, sides):
        for a, b in itertools.combinations(seeds, 2):
            thirds = [r for r in seeds if r not in (a, b)] if claim == "strong" and method != "merge" else [None]
            for reference in thirds:
                about = {"model": "mlp", "width": width, "method": method, "compared": COMPARED[method]}
                about |= {"claim": claim, "reference": reference, "a": a, "b": b, "split": "test", "metric": "error"}
                found.append({**about, "barrier": height(claim, method, width, (a, b, reference))})
    return found


SIDES = [("none", "none")]
SIDES += [(claim, method) for method in ("weights", "activations") for claim in ("weak", "strong")]
SIDES += [("strong", "merge")]


def random_heights(seed=0):
    generator = np.random.default_rng(seed)
    return lambda *_: generator.random()


def named(row):
    return row["first_claim"], row["first"], row["second_claim"], row["second"]


def test_what_is_compared():
    found = list(differences.rows(rows(random_heights(), SIDES)))
    assert [row["kind"] for row in found] == ["method"] * 9 + ["claim"] * 3
    of_methods = {named(row) for row in found if row["kind"] == "method"}
    assert {("none", "none", "weak", "weights"), ("weak", "weights", "weak", "activations")} <= of_methods
    assert {("none", "none", "strong", "merge"), ("strong", "weights", "strong", "merge")} <= of_methods
    assert {named(row) for row in found if row["kind"] == "claim"} == {
        ("weak", "weights", "strong", "weights"),
        ("weak", "activations", "strong", "activations"),
        ("weak", "weights", "strong", "merge"),
    }
    assert {row["networks"] for row in found} == {4}


def test_the_other_order_has_the_other_sign():
    forth = [row for row in rows(random_heights(), SIDES) if row["claim"] == "strong"]
    back = sorted(forth, key=lambda row: row["method"] != "merge")
    one = {named(row): row for row in differences.rows(forth)}["strong", "weights", "strong", "merge"]
    other = {named(row): row for row in differences.rows(back)}["strong", "merge", "strong", "weights"]
    assert (one["difference"], one["low"], one["high"]) == pytest.approx(
        (-other["difference"], -other["high"], -other["low"])
    )
    assert one["p"] == pytest.approx(other["p"])


def test_what_the_networks_share_cancels():
    level = np.random.default_rng(0).normal(size=4)

    def height(claim, method, width, networks):
        return 5 + level[list(networks[:2])].sum() + (0.3 if method == "weights" else 0)

    (row,) = [row for row in differences.rows(rows(height, SIDES[:2])) if row["first"] == "none"]
    assert (row["difference"], row["low"], row["high"]) == pytest.approx((0.3, 0.3, 0.3))
    assert row["p"] == pytest.approx(0, abs=1e-6) and row["holm"] == "yes"


def test_a_pair_has_the_mean_over_its_third_networks_and_these_are_left_out_too():
    values = np.random.default_rng(1).normal(size=(4, 4, 4))
    strong, weak = {}, {}
    for a, b in itertools.combinations(SEEDS, 2):
        weak[a, b, None] = values[a, b, a]
        strong |= {(a, b, r): values[a, b, r] for r in SEEDS if r not in (a, b)}

    def mean(kept):
        pairs = list(itertools.combinations(kept, 2))
        of_pairs = [np.mean([strong[a, b, r] for r in kept if r not in (a, b)]) - weak[a, b, None] for a, b in pairs]
        return np.mean(of_pairs)

    found = differences.difference(weak, strong)
    assert found.mean == pytest.approx(mean(SEEDS))
    assert found.without == pytest.approx([mean([seed for seed in SEEDS if seed != out]) for out in SEEDS])
    back = differences.difference(strong, weak)
    assert back.mean == -found.mean and back.without == pytest.approx(-found.without)


def test_the_interval_holds_the_true_difference_where_references_vary_too():
    # A strong barrier has an effect of each of its networks and of its reference; a frame has those of the pair alone.
    generator = np.random.default_rng(0)
    pairs = list(itertools.combinations(range(6), 2))
    held = {True: [], False: []}
    for _ in range(300):
        own, third = generator.normal(size=(2, 6))
        frame = {(a, b, None): own[a] - own[b] for a, b in pairs}
        strong = {(a, b, r): own[a] - own[b] + third[r] for a, b in pairs for r in range(6) if r not in (a, b)}
        found = differences.difference(frame, strong)
        low, high = differences.estimate([found]).bounds()
        held[True].append(low <= 0 <= high)
        of_pairs = np.array([np.mean([strong[a, b, r] for r in range(6) if r not in (a, b)]) for a, b in pairs])
        of_pairs -= [frame[a, b, None] for a, b in pairs]
        low, high = statistics.interval(of_pairs, np.array(pairs))
        held[False].append(low <= 0 <= high)
    assert np.mean(held[True]) == pytest.approx(0.95, abs=0.04)
    assert np.mean(held[False]) < 0.9


def test_widths_are_averaged_with_independent_networks():
    found = list(differences.rows(rows(random_heights(), SIDES[:2], widths=(16, 32, 64))))
    single, over = [row for row in found if row["width"]], [row for row in found if row["width"] is None]
    assert [row["width"] for row in single] == [16, 32, 64] and len(over) == 1
    assert over[0]["difference"] == pytest.approx(np.mean([row["difference"] for row in single]))
    assert over[0]["networks"] == 12
    errors = [(row["high"] - row["low"]) / 2 / 3.18245 for row in single]
    assert (over[0]["high"] - over[0]["low"]) / 2 < 3.19 * np.linalg.norm(errors) / 3


def test_each_family_has_a_correction_of_its_own():
    found = list(differences.rows(rows(random_heights(), SIDES, widths=(16, 32))))
    for family in ([row for row in found if row["width"]], [row for row in found if row["width"] is None]):
        expected = statistics.holm(np.array([row["p"] for row in family]))
        assert [row["p_holm"] for row in family] == pytest.approx(expected)
        assert [row["holm"] == "yes" for row in family] == (expected < 0.05).tolist()
    assert len(found) == 3 * 12


def test_barriers_that_are_not_finite_are_left_out():
    heights = random_heights()
    full = rows(heights, SIDES[:2])
    full[0]["barrier"], full[7]["barrier"] = float("inf"), float("nan")
    (row,) = differences.rows(full)
    expected = [full[index + 6]["barrier"] - full[index]["barrier"] for index in range(2, 6)]
    assert row["difference"] == pytest.approx(np.mean(expected))
    assert list(differences.rows([{**row, "barrier": float("nan")} for row in full])) == []


def test_too_few_networks_have_no_interval(tmp_path):
    found = list(differences.rows(rows(random_heights(), SIDES, seeds=range(3))))
    thirds = [row for row in found if ("strong", "weights") in (named(row)[:2], named(row)[2:])]
    assert thirds and all(row["low"] is row["high"] is row["p"] is row["p_holm"] is None for row in thirds)
    assert all(row["holm"] == "no" for row in thirds)
    tables.write(tmp_path / "table.csv", "differences", found)
    assert len(tables.read(tmp_path / "table.csv", "differences")) == len(found)
