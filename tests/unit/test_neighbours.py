"""Verdicts on the claims of neighbouring papers follow from intervals."""

import claims
import pandas as pd
import pytest
import quoted


def table(**intervals):
    rows = [
        {"name": name, "barrier": (low + high) / 2, "barrier_low": low, "barrier_high": high}
        for name, (low, high) in intervals.items()
    ]
    return quoted.Table("width", pd.DataFrame(rows))


@pytest.mark.parametrize(
    ("first", "second", "side"),
    [
        ((0.3, 0.4), (0.1, 0.2), 1),
        ((0.1, 0.2), (0.3, 0.4), -1),
        ((0.1, 0.3), (0.2, 0.4), 0),
        ((0.1, 0.2), 0.25, -1),
        ((0.1, 0.2), 0.05, 1),
        ((0.1, 0.2), 0.15, 0),
    ],
)
def test_intervals_that_meet_decide_nothing(first, second, side):
    if isinstance(second, float):
        assert claims.side(table(a=first), "barrier", {"name": "a"}, second) == side
    else:
        assert claims.side(table(a=first, b=second), "barrier", {"name": "a"}, {"name": "b"}) == side


@pytest.mark.parametrize(
    ("speaking", "verdict"),
    [
        ([0, 1], "holds here"),
        ([0, -1], "does not hold here"),
        ([1, -1], "holds in part"),
        ([0, 0], "cannot be decided here"),
        ([], "cannot be decided here"),
    ],
)
def test_a_verdict_says_who_speaks_for_a_claim_and_who_against_it(speaking, verdict):
    claim = claims.Claim("Barriers fall", "a paper", ".1", ".2", speaking, "star")
    assert claim.verdict == verdict
    assert claim.row() == f"| Barriers fall | a paper | .1 | .2 | {verdict} | [star](#star) |\n"


def test_what_falls_from_the_first_to_the_second_speaks_for_a_claim():
    rows = pd.DataFrame(
        {"model": "mlp", "width": 8, "claim": ["none", "weak"], "barrier": [0.5, 0.1]}
        | {"barrier_low": [0.4, 0.05], "barrier_high": [0.6, 0.2]}
    )
    arguments = quoted.Table("width", rows), "barrier", ["mlp 8"], {"claim": "none"}, {"claim": "weak"}
    assert claims.compared(*arguments) == ("mlp 8: .500 [.400, .600] to .100 [.050, .200]", [1])
    assert claims.compared(*arguments, 1)[1] == [-1]
