"""Simulated lots, and their figures: exact, rounded once, and without a close call."""

import math
import random
from fractions import Fraction
from statistics import fmean

import pytest

from course_utils.tracks.manufacturing import control_charts, lot_figures, lot_simulation


@pytest.fixture(scope="module")
def lots():
    return [lot_figures.draw_lot(random.Random(seed)) for seed in range(250)]


def told(lot):
    return lot_figures.written(lot, lot_figures.figures(lot))


def test_the_same_seed_draws_the_same_lot():
    assert lot_figures.draw_lot(random.Random(3)) == lot_figures.draw_lot(random.Random(3))
    assert lot_figures.draw_lot(random.Random(3)) != lot_figures.draw_lot(random.Random(4))


def test_the_counts_of_every_lot_add_up(lots):
    for lot in lots:
        counts = list(lot.defects.values())
        assert sum(counts) == lot.scrap + lot.rework <= lot.produced
        assert counts == sorted(counts, reverse=True)
        assert counts[-1] > 0
        assert counts[0] > counts[1]
        assert 5 <= len(lot.steps) <= 8
        assert lot.size in (4, 5)


def test_every_part_finding_and_disposition_comes_up(lots):
    found = [lot_figures.figures(lot) for lot in lots]
    assert {lot.part for lot in lots} == set(lot_simulation.PARTS)
    assert {fig.disposition for fig in found} == set(control_charts.DISPOSITIONS)
    both = {(control_charts.OFF_CENTRE, control_charts.SPREAD)}
    single = {(name,) for name in {*control_charts.FINDINGS, control_charts.TOO_NEAR}}
    assert {fig.finding for fig in found} == single | both


def test_the_mean_of_a_subgroup_is_exact_on_the_sheet(lots):
    for lot in lots:
        for row, mean in zip(lot.steps, lot_figures.figures(lot).means, strict=True):
            assert mean == Fraction(sum(row), len(row) * 10**lot.part.decimals)
            assert mean == Fraction(control_charts.half_up(mean, lot.part.decimals + 1))


def rounds_to_what_is_written(lot, way):
    written = told(lot)
    for name, value in way(lot, written).items():
        decimals = len(written[name].partition(".")[2])
        assert f"{control_charts.half_up(value, decimals):f}" == written[name], (name, lot)


def test_a_figure_from_rounded_figures_is_the_exact_one_rounded(lots):
    for lot in lots:
        rounds_to_what_is_written(lot, lot_figures.step_by_step)


def test_a_figure_from_mean_and_range_alone_is_the_exact_one_rounded(lots):
    """UCL = 58.43 + 0.729 x 0.775 = 58.99 HRC, and not 59.00 by a rounding on the way."""
    for lot in lots:
        rounds_to_what_is_written(lot, lot_figures.in_one_go)


def test_no_index_lies_within_a_digit_of_what_is_required(lots):
    for lot in lots:
        fig, required = lot_figures.figures(lot), Fraction(str(lot.part.required))
        assert abs(fig.cpk - required) >= Fraction(1, 100)
        if fig.cp is not None:
            assert abs(fig.cp - required) >= Fraction(1, 100)
            assert abs(fig.cp - fig.cpk - Fraction(1, 5)) >= Fraction(2, 100)


def test_no_mean_or_range_lies_within_a_digit_of_a_limit(lots):
    for lot in lots:
        fig, written = lot_figures.figures(lot), told(lot)
        digit = Fraction(1, 2 * 10 ** (lot.part.decimals + 1))  # from the limit as it is written
        for mean in fig.means:
            for name in ("lcl", "ucl", "zone_low", "zone_high"):
                assert abs(mean - Fraction(written[name])) >= digit
        for value in fig.ranges:
            assert abs(value - Fraction(written["range_ucl"])) >= digit


def test_a_lot_that_is_released_has_a_cpk_of_one_or_more(lots):
    for lot in lots:
        fig = lot_figures.figures(lot)
        assert fig.disposition != "release" or fig.cpk >= 1


def test_a_close_call_is_drawn_again():
    lots = [lot_simulation.measure_lot(random.Random(seed)) for seed in range(400)]
    unsettled = [lot for lot in lots if not lot_figures.settled(lot)]
    assert 200 < len(unsettled) < 400


@pytest.mark.parametrize(
    ("value", "decimals"),
    [("8.25", 2), ("0.0481", 4), ("12.4", 1), ("1", 2), ("0.1", 3), ("123", 0)],
)
def test_three_figures_are_kept(value, decimals):
    assert lot_figures.three_figures(Fraction(value)) == decimals


def test_a_sum_of_four_readings_is_even():
    assert lot_simulation.as_read([1.0, 2.0, 3.0, 5.0], 0) == (1, 2, 3, 6)
    assert lot_simulation.as_read([1.0, 2.0, 3.0, 4.0], 0) == (1, 2, 3, 4)
    assert lot_simulation.as_read([0.11, 0.12, 0.13, 0.14, 0.15], 2) == (11, 12, 13, 14, 15)


@pytest.mark.parametrize("mean", [0.5, 20, 900])
def test_poisson_numbers_have_their_mean_and_variance(mean):
    rng, n = random.Random(0), 2000 if mean < 100 else 300
    drawn = [lot_simulation.poisson(mean, rng) for _ in range(n)]
    average = fmean(drawn)
    # The average of n has a standard deviation of sqrt(mean / n); the seed is fixed.
    assert abs(average - mean) < 4 * math.sqrt(mean / n)
    assert fmean((x - average) ** 2 for x in drawn) == pytest.approx(mean, rel=0.3)
