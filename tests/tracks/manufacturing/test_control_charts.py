"""Control-chart figures against Montgomery's published example and cases worked out by hand."""

import math
import random
from statistics import NormalDist, fmean

import pytest

from course_utils.errors import CourseError
from course_utils.tracks.manufacturing import control_charts as quality

# Hard-bake process, Montgomery example 6.1: 25 samples of 5; sums of the means and of the ranges.
HARD_BAKE_MEAN, HARD_BAKE_RANGE = 37.6400 / 25, 8.1302 / 25


def rules(means, ranges, size=4, nominal=None):
    return [(s.rule, s.subgroups) for s in quality.signals(means, ranges, size, nominal)]


def test_limits_of_the_published_hard_bake_process():
    # The book prints 1.69325, 1.31795 and 0.68749 from the mean rounded to 1.5056.
    limits = quality.chart_limits(HARD_BAKE_MEAN, HARD_BAKE_RANGE, 5)
    assert limits.mean_high == pytest.approx(1.69325, abs=1e-4)
    assert limits.mean_low == pytest.approx(1.31795, abs=1e-4)
    assert limits.range_high == pytest.approx(0.68749, abs=1e-4)
    assert limits.range_low == 0


def test_capability_of_the_published_hard_bake_process():
    # Specification 1.50 -/+ 0.50 micrometres; the book gives sigma 0.1398 and Cp 1.192.
    sigma = quality.within_sigma(HARD_BAKE_RANGE, 5)
    cp, cpk = quality.capability(HARD_BAKE_MEAN, sigma, 1.0, 2.0)
    assert sigma == pytest.approx(0.1398, abs=1e-4)
    assert cp == pytest.approx(1.192, abs=1e-3)
    assert cpk == pytest.approx((2.0 - 1.5056) / (3 * 0.1398), abs=1e-3)


def test_limits_of_samples_of_four():
    # 10.325 -/+ 0.729 x 6.25 = 14.88 and 5.77; 2.282 x 6.25 = 14.26; 6.25 / 2.059 = 3.0355
    limits = quality.chart_limits(10.325, 6.25, 4)
    assert (round(limits.mean_high, 2), round(limits.mean_low, 2)) == (14.88, 5.77)
    assert round(limits.range_high, 2) == 14.26
    assert round(quality.within_sigma(6.25, 4), 4) == 3.0355


@pytest.mark.parametrize("size", quality.CONSTANTS)
def test_constants_follow_from_the_normal_distribution(size):
    # d2 = integral of 1 - F^n - (1 - F)^n; A2 = 3 / (d2 sqrt n). The table has three decimals.
    step, cdf = 0.005, NormalDist().cdf
    grid = [cdf(-8 + step * i) for i in range(3201)]
    d2 = step * sum(1 - f**size - (1 - f) ** size for f in grid)
    factors = quality.constants(size)
    assert factors.d2 == pytest.approx(d2, abs=6e-4)
    assert factors.a2 == pytest.approx(3 / (d2 * math.sqrt(size)), abs=1e-3)
    assert factors.d3 + factors.d4 == pytest.approx(2, abs=2e-3) or factors.d3 == 0


def test_cpk_takes_the_nearer_limit():
    # NIST 6.1.6 in numbers of our own: limits 8 and 20, mean 16, sigma 2
    assert quality.capability(16, 2, 8, 20) == (1.0, pytest.approx(4 / 6))
    assert quality.capability(12, 2, 8, 20) == (1.0, pytest.approx(4 / 6))


def test_a_single_limit_has_no_cp():
    assert quality.capability(0.6, 0.05, None, 0.8) == (None, pytest.approx(0.2 / 0.15))
    assert quality.capability(20, 1, 15, None) == (None, pytest.approx(5 / 3))


def test_a_mean_outside_the_tolerance_has_a_negative_cpk():
    assert quality.capability(21, 1, 8, 20)[1] == pytest.approx(-1 / 3)


def test_yield_and_scrap_rate():
    assert quality.first_pass_yield(200, 6, 4) == 0.95
    assert quality.scrap_rate(200, 6) == 0.03


def test_pareto_is_sorted_with_shares():
    assert quality.pareto({"burr": 1, "scratch": 3}) == [("scratch", 3, 0.75), ("burr", 1, 0.25)]


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda: quality.constants(1), "subgroups of 1"),
        (lambda: quality.constants(11), "subgroups of 11"),
        (lambda: quality.capability(1, 0, 0, 2), "sigma is 0"),
        (lambda: quality.capability(1, math.nan, 0, 2), "sigma is nan"),
        (lambda: quality.capability(1, 1, None, None), "no tolerance limit"),
        (lambda: quality.first_pass_yield(0, 0, 0), "do not fit"),
        (lambda: quality.first_pass_yield(10, 8, 3), "do not fit"),
        (lambda: quality.scrap_rate(10, -1), "do not fit"),
        (lambda: quality.pareto({}), "no defect"),
    ],
)
def test_what_has_no_figure_is_refused_with_a_cure(call, said):
    with pytest.raises(CourseError, match=said) as caught:
        call()
    assert caught.value.cure


# --- rules: size 4, so A2 = 0.729 and D4 = 2.282 ---


def test_a_quiet_chart_has_no_signal():
    assert rules([10, 11, 10, 9, 10], [2, 2, 2, 2, 2]) == []


def test_a_mean_beyond_three_sigma():
    # grand mean 12, limits 12 -/+ 0.729 x 3 = 9.813 to 14.187; 11 is within 2 sigma, 10.542
    assert rules([11, 11, 16, 11, 11], [3] * 5) == [(quality.BEYOND, (3,))]


def test_a_range_above_its_limit():
    # mean range 2.6, limit 2.282 x 2.6 = 5.93
    assert rules([10] * 5, [1.5, 1.5, 1.5, 7, 1.5]) == [(quality.RANGE, (4,))]


def test_two_of_three_beyond_two_sigma_on_one_side():
    # grand mean 0, sigma of a mean 0.729 x 10 / 3 = 2.43: 5 lies between 4.86 and 7.29
    assert rules([5, 0, 5, -2, -4, -4], [10] * 6) == [(quality.TWO_OF_THREE, (1, 3))]
    assert quality.two_of_three([5, 0, -5], 0, 2) == []
    assert quality.two_of_three([5, 0, 0, 5], 0, 2) == []


def test_six_in_a_row_make_a_trend():
    assert quality.monotone([3, 1, 2, 3, 4, 5, 6]) == (1, [2, 3, 4, 5, 6, 7])
    assert quality.monotone([6, 5, 4, 3, 2, 1]) == (-1, [1, 2, 3, 4, 5, 6])
    assert quality.monotone([1, 2, 3, 4, 5]) == (0, [])
    assert quality.monotone([1, 2, 3, 3, 4, 5, 6]) == (0, [])
    assert rules([1, 2, 3, 4, 5, 6], [50] * 6) == [(quality.RISING, (1, 2, 3, 4, 5, 6))]


def test_eight_on_one_side_of_nominal_make_a_run():
    means = [2, 1, 2, 1, 2, 1, 2, 1]
    assert rules(means, [20] * 8, nominal=0) == [(quality.RUN_ABOVE, tuple(range(1, 9)))]
    assert rules(means, [20] * 8, nominal=3) == [(quality.RUN_BELOW, tuple(range(1, 9)))]
    assert rules(means[:7], [20] * 7, nominal=0) == []
    assert quality.one_side([1, 1, 1, 0, 1, 1, 1, 1, 1], 0) == (0, [])


@pytest.mark.parametrize(
    ("cp", "cpk", "broken", "decision"),
    [
        (1.6, 1.5, [], "release"),
        (1.6, 1.33, [], "release"),
        (1.6, 1.1, [], "adjust"),
        (1.6, 1.5, [quality.RUN_ABOVE], "adjust"),
        (1.2, 1.1, [], "not capable"),
        (1.2, 1.1, [quality.RUN_BELOW], "not capable"),
        (None, 1.2, [], "not capable"),
        (None, 1.5, [], "release"),
        (1.6, 1.5, [quality.BEYOND], "hold"),
        (0.8, 0.7, [quality.RANGE, quality.RUN_ABOVE], "hold"),
    ],
)
def test_the_decision_follows_control_before_capability(cp, cpk, broken, decision):
    found = [quality.Signal(rule, (1,)) for rule in broken]
    assert quality.decide(cp, cpk, 1.33, found) == decision


# --- simulated lots ---


def test_the_same_seed_makes_the_same_lot():
    assert quality.simulate_lot(random.Random(3)) == quality.simulate_lot(random.Random(3))
    assert quality.simulate_lot(random.Random(3)) != quality.simulate_lot(random.Random(4))


def test_the_counts_of_every_lot_add_up():
    for seed in range(500):
        lot = quality.simulate_lot(random.Random(seed))
        counts = list(lot.defects.values())
        assert sum(counts) == lot.scrap + lot.rework <= lot.produced
        assert counts == sorted(counts, reverse=True)
        assert counts[-1] > 0
        assert counts[0] > counts[1]
        assert 5 <= len(lot.rows) <= 8
        assert lot.size in (4, 5)


def test_every_part_state_and_decision_comes_up():
    lots = [quality.simulate_lot(random.Random(seed)) for seed in range(800)]
    assert {lot.part for lot in lots} == set(quality.PARTS)
    assert {lot.state for lot in lots} == set(quality.STATES)
    decisions = {quality.figures(lot).decision for lot in lots}
    assert decisions == {"release", "adjust", "hold", "not capable"}


def test_figures_can_be_recomputed_from_the_rounded_sheet():
    for seed in range(300):
        lot = quality.simulate_lot(random.Random(seed))
        fig, d = quality.figures(lot), lot.part.decimals
        assert fig.mean == round(fmean(fig.means), d + 1)
        assert fig.sigma == round(fig.mean_range / quality.constants(lot.size).d2, d + 2)
        cp, cpk = quality.capability(fig.mean, fig.sigma, lot.lower, lot.upper)
        assert fig.cpk == round(cpk, 2)
        assert fig.cp is None if cp is None else fig.cp == round(cp, 2)


@pytest.mark.parametrize("mean", [0.5, 20, 900])
def test_poisson_numbers_have_their_mean_and_variance(mean):
    rng, n = random.Random(0), 2000 if mean < 100 else 300
    drawn = [quality.poisson(mean, rng) for _ in range(n)]
    average = fmean(drawn)
    # The average of n has a standard deviation of sqrt(mean / n); the seed is fixed.
    assert abs(average - mean) < 4 * math.sqrt(mean / n)
    assert fmean((x - average) ** 2 for x in drawn) == pytest.approx(mean, rel=0.3)
