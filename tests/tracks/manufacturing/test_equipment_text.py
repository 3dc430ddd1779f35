"""Small pieces of text about equipment: articles, limits, singular and plural, rivals."""

import re

import pytest

from course_utils.facts import Fact, format_facts, parse_facts
from course_utils.tracks.knowledge import Component, Quantity, load
from course_utils.tracks.manufacturing import equipment_text


def quantity(limit="at most", value="4.5", upper=None, unit="mm/s"):
    return Quantity(
        name="vibration", limit=limit, value=value, upper=upper, unit=unit, source="ISO 20816"
    )


LIMITS = [
    (quantity(), "at most 4.5 mm/s"),
    (quantity("at least", "0.50", unit="bar"), "at least 0.50 bar"),
    (quantity("equal to", "12", unit=""), "12"),
    (quantity("between", "40", "60", "°C"), "between 40 and 60 °C"),
    (quantity("between", "7.0", "8.5", ""), "between 7.0 and 8.5"),
]


@pytest.mark.parametrize(("own", "text"), LIMITS)
def test_a_limit_is_said_with_its_unit_and_its_digits(own, text):
    assert equipment_text.limit_text(own) == text


@pytest.mark.parametrize(("own", "text"), LIMITS)
def test_the_fact_of_a_limit_keeps_its_direction(own, text):
    line = format_facts([equipment_text.limit_fact(own)])
    assert line == f"answer={text}"
    assert parse_facts(line) == [equipment_text.limit_fact(own)]


@pytest.mark.parametrize(
    ("own", "keys"),
    [
        (quantity("at least", "70", unit="m"), {"limit": "at least", "value": "70", "unit": "m"}),
        (quantity("equal to", "12", unit=""), {"value": "12"}),
        (
            quantity("between", "40", "60", "°C"),
            {"limit": "between", "value": "40", "upper": "60", "unit": "°C"},
        ),
    ],
)  # fmt: skip
def test_json_keeps_the_direction_of_a_limit(own, keys):
    assert equipment_text.limit_keys(own) == keys


def test_the_article_follows_the_first_letter():
    assert equipment_text.article("oil pump") == "an oil pump"
    assert equipment_text.article("Induction motor") == "an Induction motor"
    assert equipment_text.article("gearbox") == "a gearbox"


def test_the_articles_of_the_base_are_right_by_sound():
    """a/an goes by the letter; these words would be wrong."""
    for one in load():
        assert not re.match(r"(hour|honest|uni|use|usa|one|eu|ur[aei])", one.name.casefold()), one


@pytest.mark.parametrize(
    ("fault", "text"),
    [
        ("worn hoist brake", "the worn hoist brake"),
        ("slipping or worn V-belts", "the slipping or worn V-belts"),
        ("too much oil in the compressed air", "too much oil in the compressed air"),
    ],
)
def test_a_fault_has_its_article_in_a_sentence(fault, text):
    assert equipment_text.definite(fault) == text


def test_components_are_plural_by_their_verb():
    says = {"carry the load": True, "conveys, melts and injects": False, "carries it": False}
    says |= {"pass the torque": True, "passes the current": False, "press the lip": True}
    for function, plural in says.items():
        assert equipment_text.is_plural(Component(name="x", function=function)) is plural


def test_plural_by_verb_and_plural_by_noun_agree_on_every_component():
    """Independent of the verb: the noun before any "of" or "with" ends in s, or is "feet"."""
    for one in load():
        for part in one.components:
            noun = re.split(r" (?:of|with|in|on|and) ", part.name)[0].split()[-1]
            several = noun.endswith("s") and not noun.endswith(("ss", "gas", "us", "is"))
            several = several or noun == "feet" or " and " in part.name
            assert equipment_text.is_plural(part) == several, (one.id, part.name)


def test_rivals_are_the_others_once_without_what_the_right_name_contains():
    given = ["belt", "belt scraper", "holdback", "holdback", "belt"]
    assert equipment_text.rivals("belt scraper", given) == ("holdback",)
    assert equipment_text.rivals("belt", given) == ("belt scraper", "holdback")


def test_yes_has_no_as_its_rival():
    assert equipment_text.yes_fact(True) == Fact("answer", "yes", others=("no",))
    assert equipment_text.yes_fact(False) == Fact("answer", "no", others=("yes",))
