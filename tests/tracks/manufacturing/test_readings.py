"""Drawn readings: they lie on the side that was drawn, and their figures follow from them."""

import random
from decimal import Decimal

import pytest

from course_utils.tracks.knowledge import Quantity
from course_utils.tracks.manufacturing.readings import Reading, draw_reading


def quantity(limit="at most", value="4.5", upper=None, unit="mm/s"):
    return Quantity(
        name="vibration", limit=limit, value=value, upper=upper, unit=unit, source="ISO 20816"
    )


@pytest.mark.parametrize("inside", [True, False])
@pytest.mark.parametrize("count", [1, 2, 3, 4])
@pytest.mark.parametrize(
    "own",
    [
        quantity(),
        quantity("at most", "0.05"),
        quantity("at least", "3"),
        quantity("at least", "150", unit="MΩ"),
        quantity("at most", "10000", unit="cfu/ml"),
        quantity("between", "40", "60", "°C"),
        quantity("between", "0", "40", "µm"),
    ],
)
def test_a_reading_lies_on_the_side_that_was_drawn(own, count, inside):
    low, high = Decimal(own.value), Decimal(own.upper or own.value)
    for seed in range(20):
        reading = draw_reading(own, inside, random.Random(seed), count)
        truly = {"at most": reading.mean <= low, "at least": reading.mean >= low}
        assert truly.get(own.limit, low <= reading.mean <= high) is inside is reading.within
        assert sum(reading.values) == count * reading.mean
        assert len(reading.values) == count
        assert count == 1 or reading.mean not in reading.values
        assert reading.deviation == min(abs(reading.mean - low), abs(reading.mean - high)) > 0
        assert min(reading.values) > 0
        assert "E" not in str(reading.mean)


def at(own, mean, end):
    return Reading(own, (Decimal(mean),), Decimal(mean), Decimal(end))


MOST, LEAST = quantity("at most", "90", unit="°C"), quantity("at least", "3", unit="N")
BOTH = quantity("between", "3", "5", "V")


@pytest.mark.parametrize(
    ("reading", "side", "verdict", "signed"),
    [
        (at(MOST, "92", "90"), "over the limit", "outside", "+2 °C"),
        (at(MOST, "85", "90"), "under the limit", "within", "-5 °C"),
        (at(LEAST, "3.8", "3"), "over the limit", "within", "+0.8 N"),
        (at(LEAST, "2.5", "3"), "under the limit", "outside", "-0.5 N"),
        (at(BOTH, "5.5", "5"), "over the upper end", "outside", "+0.5 V"),
        (at(BOTH, "4.9", "5"), "under the upper end", "within", "-0.1 V"),
        (at(BOTH, "3.2", "3"), "over the lower end", "within", "+0.2 V"),
        (at(BOTH, "2.5", "3"), "under the lower end", "outside", "-0.5 V"),
    ],
)  # fmt: skip
def test_side_verdict_and_sign_follow_from_the_mean(reading, side, verdict, signed):
    assert (reading.side, reading.verdict) == (side, f"{verdict} the limit")
    assert reading.signed == signed
    assert reading.side in reading.sides


def test_the_deviation_of_a_percentage_is_in_percentage_points():
    reading = at(quantity("at most", "50", unit="%"), "52", "50")
    assert (reading.text(reading.mean), reading.signed) == ("52 %", "+2 percentage points")
    assert reading.deviation_text == "2 percentage points"
    assert at(quantity("at least", "50", unit="%"), "49", "50").signed == "-1 percentage point"


def test_a_plain_value_and_a_negative_limit_are_not_read():
    rng = random.Random(1)
    assert draw_reading(quantity("equal to"), True, rng) is None
    assert draw_reading(quantity("at most", "-30", unit="°C"), True, rng) is None


def test_what_is_counted_is_whole_and_read_once():
    for seed in range(20):
        reading = draw_reading(quantity(value="6", unit="years"), False, random.Random(seed), 3)
        assert reading.values == (reading.mean,)
        assert reading.mean == int(reading.mean) > 6


def test_no_share_passes_100_per_cent_where_the_limit_is_below_it():
    for seed in range(50):
        reading = draw_reading(quantity("at least", "92", unit="%"), True, random.Random(seed), 3)
        assert reading is None or max(reading.values) <= 100
