"""The law by which barriers fall with width: known laws are found, and what is not known is not claimed."""

import itertools

import numpy as np
import pytest

from onebasin import scaling

PAIRS = np.array(list(itertools.combinations(range(4), 2)))


def barriers(beta, c, widths=(16, 32, 64, 128), noise=0.0, seed=0, networks=PAIRS):
    generator = np.random.default_rng(seed)
    found = {}
    for width in widths:
        own = np.exp(noise * generator.normal(size=networks.max() + 1))
        found[width] = (c * width**-beta * own[networks].prod(axis=1), networks)
    return found


def test_a_known_law_is_found():
    law = scaling.fit(barriers(0.75, 4.0), resolution=1e-6, reach=1e6)
    assert (law.factor, law.beta) == pytest.approx((4.0, 0.75))
    assert law.crossing == pytest.approx((4.0 / 0.02) ** (1 / 0.75))
    assert (law.beta_low, law.beta_high) == pytest.approx((0.75, 0.75))
    assert (law.crossing_low, law.crossing_high) == pytest.approx((law.crossing, law.crossing))
    assert (law.deviation, law.deviation_low, law.deviation_high) == pytest.approx((0, 0, 0), abs=1e-7)


def test_intervals_hold_the_true_exponent_crossing_and_deviation():
    # The mean barrier is the exponential of a sum of two effects, whose mean is above 1.
    true = (4.0 * np.exp(0.1**2) / 0.02) ** (1 / 0.75)
    held = []
    for seed in range(200):
        law = scaling.fit(barriers(0.75, 4.0, noise=0.1, seed=seed), resolution=1e-6, reach=1e6)
        crossing = law.crossing_low <= true <= (law.crossing_high or np.inf)
        held.append((law.beta_low <= 0.75 <= law.beta_high, crossing, law.deviation_low == 0))
    # Two standard errors of 200 cases are 3 %.
    assert np.mean(held, axis=0) == pytest.approx([0.95, 0.95, 0.98], abs=0.04)


def test_a_law_that_does_not_hold_deviates():
    widths = (16, 32, 64, 128)
    found = barriers(0.75, 4.0, widths, noise=0.02)
    found[32] = (2 * found[32][0], found[32][1])
    law = scaling.fit(found, resolution=1e-6, reach=2)
    assert 0.15 < law.deviation_low < law.deviation < law.deviation_high < 0.5


def test_strong_paths_leave_out_their_three_networks():
    triples = np.array([(a, b, r) for r in range(4) for a, b in PAIRS.tolist() if r not in (a, b)])
    law = scaling.fit(barriers(0.5, 2.0, noise=0.1, networks=triples), resolution=1e-6, reach=1e6)
    assert law.beta_low < law.beta < law.beta_high
    few = scaling.fit(barriers(0.5, 2.0, networks=triples[:3]), resolution=1e-6, reach=1e6)
    assert few.beta == pytest.approx(0.5)
    assert np.isnan(few.beta_low) and few.crossing_low is few.crossing_high is None


def test_zeros_and_noise_hardly_count():
    found = barriers(1.0, 8.0)
    clean = scaling.fit(found, resolution=0.003, reach=16)
    found[256] = (np.zeros(6), PAIRS)
    found[512] = (np.full(6, 1e-5), PAIRS)
    law = scaling.fit(found, resolution=0.003, reach=16)
    assert law.beta == pytest.approx(clean.beta, rel=0.01)
    assert np.isfinite([law.beta_low, law.beta_high, law.deviation_low, law.deviation_high]).all()


def test_what_does_not_fall_is_not_reached():
    rising = scaling.fit(barriers(-0.1, 0.3), resolution=0.003, reach=16)
    assert rising.beta < 0 and rising.crossing is rising.crossing_low is rising.crossing_high is None
    low = scaling.fit(barriers(-0.1, 0.001), resolution=1e-6, reach=2)
    assert low.crossing is low.crossing_high is None
    gone = scaling.fit(barriers(0.1, 0.001), resolution=1e-6, reach=2)
    assert gone.crossing == gone.crossing_low == gone.crossing_high == 1
    slow = scaling.fit(barriers(0.2, 1.0), resolution=0.003, reach=16)
    assert slow.crossing is None  # 3e8 lies beyond 16 times the largest width
    near = barriers(0.75, 4.0)  # which crosses at 1170
    assert scaling.fit(near, resolution=0.003, reach=16).crossing == pytest.approx(1170, rel=0.01)
    assert scaling.fit(near, resolution=0.003, reach=2).crossing is None
    noisy = scaling.fit(barriers(0.6, 1.0, noise=0.5, seed=3), resolution=0.003, reach=16)
    assert noisy.beta_low < 0.6 < noisy.beta_high and noisy.crossing_high is None


def test_without_two_barriers_above_0_there_is_no_law():
    found = {16: (np.full(6, 0.1), PAIRS), 32: (np.zeros(6), PAIRS)}
    assert scaling.fit(found, resolution=0.003, reach=16) is None


def test_rows_keep_series_apart_and_leave_out_what_is_not_finite():
    rows = []
    for claim, width, (a, b) in itertools.product(("weak", "strong"), (16, 32, 64), PAIRS.tolist()):
        barrier = width ** (-1.0 if claim == "weak" else -0.5)
        about = {
            "model": "mlp",
            "width": width,
            "method": "merge",
            "algorithm": "merge_many",
            "compared": "weights",
            "claim": claim,
            "reference": None,
        }
        rows.append({**about, "a": a, "b": b, "split": "test", "metric": "error", "barrier": barrier})
    rows.append({**rows[0], "barrier": float("nan")})
    weak, strong = scaling.rows(rows, resolution=1e-6, reach=16)
    assert (weak["claim"], weak["beta"], strong["beta"]) == ("weak", pytest.approx(1.0), pytest.approx(0.5))
    assert (weak["widths"], weak["narrowest"], weak["widest"]) == (3, 16, 64)
    assert weak["crossing"] == pytest.approx(50) and strong["crossing"] is None
