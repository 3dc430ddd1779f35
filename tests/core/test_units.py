"""Units behind numbers: spellings of the same one, and others that look like it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from course_utils import units


@pytest.mark.parametrize(
    ("text", "unit"),
    [
        (" mm", "mm"),
        ("mm/s", "mm/s"),
        (" MM/S", "mm/s"),
        (" millimetres per second RMS", "mm/s"),
        (" per ml", "/ml"),
        ("-hour stop", "h"),
        ("\u00a0hours.", "h"),
        (" per cent.", "%"),
        (" percentage points", "pp"),
        (" degrees Celsius", "°C"),
        (" m3/h", "m³/h"),
        (" um", "µm"),
        (" Nm", "N·m"),
        (" mg/kg", "mg/kg"),
        (" 1/min", "rpm"),
        (" r/min", "rpm"),
        (" min⁻¹", "rpm"),
        (" KW", "kW"),
        (" mW", "mW"),
        (" A$.", "AUD"),
        (" mm²", "mm²"),
        (" g/cm3", "g/cm³"),
        (" N/15 mm", "N/15 mm"),
    ],
)
def test_a_unit_is_read_whatever_its_spelling(text, unit):
    assert units.unit_at(text)[0] == unit


@pytest.mark.parametrize(
    "text", ["", " hoses", " a day", " in all", " work orders", " Shore A", "."]
)
def test_other_words_are_no_unit(text):
    assert units.unit_at(text) == ("", 0)


@pytest.mark.parametrize("text", [" mm/x", " N/mm³⁻", " m^4"])
def test_part_of_a_longer_unit_is_not_taken_for_it(text):
    assert units.unit_at(text)[0] == ""


def test_only_a_whole_unit_is_known():
    assert units.known_unit("mm/s") == "mm/s"
    assert units.known_unit("degrees C") == "°C"
    assert units.known_unit("work orders") == units.known_unit("mm wide") == ""


def test_a_currency_may_stand_before_its_number():
    assert units.currency_before("it cost A$") == "AUD"
    assert units.currency_before("EUR ") == "EUR"
    assert units.currency_before("mm ") == ""


def test_a_bare_dollar_is_any_dollar_and_no_euro():
    assert units.same_unit("$", "AUD")
    assert units.same_unit("USD", "$")
    assert not units.same_unit("$", "EUR")
    assert not units.same_unit("AUD", "USD")


def test_no_spelling_belongs_to_two_units():
    spelled = [text for symbol, others in units.SPELLINGS.items() for text in (symbol, *others)]
    assert len(spelled) == len(set(spelled))


@given(st.text(max_size=30))
def test_no_text_makes_the_search_fail(text):
    unit, end = units.unit_at(text)
    assert 0 <= end <= len(text)
    assert bool(unit) or end == 0
