"""Small pieces of text about equipment: articles, limits, singular and plural."""

import re

import pytest

from course_utils.tracks.knowledge import Component, Quantity, load
from course_utils.tracks.manufacturing import equipment_text


def quantity(limit="at most", value="4.5", upper=None, unit="mm/s"):
    return Quantity(name="vibration velocity", limit=limit, value=value, upper=upper, unit=unit)


@pytest.mark.parametrize(
    ("own", "text"),
    [
        (quantity(), "at most 4.5 mm/s"),
        (quantity("at least", "0.50", unit="bar"), "at least 0.50 bar"),
        (quantity("equal to", "12", unit=""), "12"),
        (quantity("between", "40", "60", "°C"), "between 40 °C and 60 °C"),
        (quantity("between", "7.0", "8.5", ""), "between 7.0 and 8.5"),
    ],
)
def test_a_limit_is_said_with_its_unit_and_its_digits(own, text):
    assert equipment_text.limit_text(own) == text


def test_the_article_follows_the_first_letter():
    assert equipment_text.article("oil pump") == "an oil pump"
    assert equipment_text.article("Induction motor") == "an Induction motor"
    assert equipment_text.article("gearbox") == "a gearbox"


def test_the_articles_of_the_base_are_right_by_sound():
    """a/an goes by the letter; these words would be wrong."""
    for one in load():
        for name in (one.name, *(q.name for q in one.specifications)):
            assert not re.match(r"(hour|honest|uni|use|usa|one|eu|ur[aei])", name.casefold()), name


def test_components_are_plural_by_their_verb():
    says = {"carry the load": True, "conveys, melts and injects": False, "carries it": False}
    for function, plural in says.items():
        assert equipment_text.is_plural(Component(name="x", function=function)) is plural
