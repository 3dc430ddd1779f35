"""Control-chart figures against Montgomery's published example and cases worked out by hand."""

import math
from fractions import Fraction
from statistics import NormalDist

import pytest

from course_utils.errors import CourseError
from course_utils.tracks.manufacturing import control_charts as quality

# Hard-bake process, Montgomery example 6.1: 25 samples of 5; sums of the means and of the ranges.
HARD_BAKE_MEAN, HARD_BAKE_RANGE = 37.6400 / 25, 8.1302 / 25


def rules(means, ranges, size=4):
    return [(s.rule, s.subgroups) for s in quality.signals(means, ranges, size)]


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
    assert quality.first_pass_yield(200, 6, 4) == Fraction(95, 100)
    assert quality.scrap_rate(200, 6) == Fraction(3, 100)


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


# --- rounding ---


@pytest.mark.parametrize(
    ("value", "decimals", "written"),
    [
        ("4.9335", 3, "4.934"),  # a float lies below the tie and would go down
        ("0.0875", 3, "0.088"),
        ("-0.125", 2, "-0.13"),
        ("-0.001", 2, "0.00"),
        ("2.5", 0, "3"),
        ("1.3249", 2, "1.32"),
    ],
)
def test_a_half_is_rounded_away_from_zero(value, decimals, written):
    assert str(quality.half_up(Fraction(value), decimals)) == written


def test_figures_of_fractions_are_exact():
    # 1.5 / 2.326 with Cpk = (20 - 16) / (3 sigma)
    sigma = quality.within_sigma(Fraction("1.5"), 5)
    assert sigma == Fraction(1500, 2326)
    assert quality.capability(Fraction(16), sigma, Fraction(8), Fraction(20))[1] == 4 / (3 * sigma)


# --- rules: size 4, so A2 = 0.729 and D4 = 2.282 ---


def test_a_quiet_chart_has_no_signal():
    assert rules([10, 11, 10, 9, 10], [2, 2, 2, 2, 2]) == []


def test_a_mean_outside_the_limits():
    # grand mean 12, limits 12 -/+ 0.729 x 3 = 9.813 to 14.187; zone A begins at 13.46
    assert rules([11, 11, 16, 11, 11], [3] * 5) == [(quality.OUTSIDE, (3,))]


def test_a_range_above_its_limit():
    # mean range 2.6, limit 2.282 x 2.6 = 5.93
    assert rules([10] * 5, [1.5, 1.5, 1.5, 7, 1.5]) == [(quality.RANGE, (4,))]


def test_two_of_three_in_zone_a_of_one_side():
    # grand mean 0, reach 0.729 x 10 = 7.29: zone A from 4.86 to 7.29
    assert rules([5, 0, 5, -2, -4, -4], [10] * 6) == [(quality.ZONE, (1, 3))]
    assert quality.two_of_three([5, 0, -5], -4, 4) == []
    assert quality.two_of_three([5, 0, 0, 5], -4, 4) == []


def test_six_in_a_row_make_a_trend():
    assert quality.rising([1, 2, 3, 4, 5]) == []
    assert quality.rising([1, 2, 3, 3, 4, 5, 6]) == []
    assert quality.rising([3, 1, 2, 3, 4, 5, 6]) == [2, 3, 4, 5, 6, 7]
    assert rules([6, 5, 4, 3, 2, 1], [50] * 6) == [(quality.FALLING, (1, 2, 3, 4, 5, 6))]


def test_a_trend_goes_to_its_end():
    assert quality.rising([1, 2, 3, 4, 5, 6, 7, 8]) == [1, 2, 3, 4, 5, 6, 7, 8]
    assert quality.rising([1, 2, 3, 4, 5, 6, 7, 0]) == [1, 2, 3, 4, 5, 6, 7]
    assert rules([8, 7, 6, 5, 4, 3, 2, 1], [50] * 8) == [(quality.FALLING, tuple(range(1, 9)))]


def test_two_trends_are_both_found():
    up = [1, 2, 3, 4, 5, 6]
    assert quality.rising([*up, *up]) == list(range(1, 13))


def test_every_broken_rule_is_named_with_all_its_subgroups():
    # grand mean 0, reach 0.729 x 2 = 1.458, zone A beyond 0.972; range limit 4.564
    found = rules([-4, -3, -1, 0, 1, 2, 3, 2], [1, 1, 5, 1, 1, 5, 1, 1])
    assert found == [
        (quality.RISING, (1, 2, 3, 4, 5, 6, 7)),
        (quality.OUTSIDE, (1, 2, 6, 7, 8)),
        (quality.ZONE, (1, 2, 3, 5, 6, 7, 8)),
        (quality.RANGE, (3, 6)),
    ]


# --- what follows ---


@pytest.mark.parametrize(
    ("rules", "outside", "fate"),
    [
        ([], False, "release"),
        ([], True, "sort"),
        ([quality.RANGE], False, "hold"),
        ([quality.RISING, quality.OUTSIDE], True, "hold"),
    ],
)
def test_the_disposition_rests_on_chart_and_pieces(rules, outside, fate):
    found = [quality.Signal(rule, (1,)) for rule in rules]
    assert quality.disposition(found, outside) == fate


@pytest.mark.parametrize(
    ("cp", "cpk", "finding"),
    [
        (1.6, 1.5, ("capable",)),
        (1.6, 1.33, ("capable",)),
        (1.6, 1.1, ("off centre",)),
        (1.33, 1.32, ("off centre",)),
        (1.22, 0.55, ("off centre", "spread too large")),  # centring comes first
        (1.29, 0.86, ("off centre", "spread too large")),
        (1.2, 1.1, ("spread too large",)),
        (1.32, 1.31, ("spread too large",)),
        (None, 1.2, ("too near the limit",)),
        (None, 1.5, ("capable",)),
    ],
)
def test_the_finding_tells_centre_from_spread(cp, cpk, finding):
    assert quality.process_finding(cp, cpk, 1.33, []) == finding


def test_an_unstable_process_has_no_capability():
    found = [quality.Signal(quality.RANGE, (2,))]
    assert quality.process_finding(2.0, 1.9, 1.33, found) == ("unstable",)
