"""Facts looked for in texts: units, signs, separators, and numbers that are part of another."""

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from course_utils.errors import CourseError
from course_utils.facts import Fact, format_facts, parse_facts
from course_utils.scoring import states

WORDS = st.from_regex(r"[A-Za-z][A-Za-z/()+.*-]{0,8}( [a-z]{1,6})?", fullmatch=True)
NUMBERS = st.from_regex(r"-?[1-9]\d{0,6}(\.\d{1,3})?", fullmatch=True)
UNITS = st.sampled_from(["", "AUD", "h", "mm/s", "°C", "%", "N·m", "m³/h", "work orders"])

# Another program on the same core makes drawing and checking slow, which says nothing of facts.
UNHURRIED = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])


def said(text, value, unit="", name="answer"):
    return states(text, [Fact(name, value, unit)])[0]


# --- The line beside a record ---


def test_facts_are_read_back_from_their_line():
    line = "work orders=12; total cost=15430 AUD; MTBF=86.5 h; top system=Bucket"
    facts = parse_facts(line)
    assert facts == [
        Fact("work orders", "12"),
        Fact("total cost", "15430", "AUD"),
        Fact("MTBF", "86.5", "h"),
        Fact("top system", "Bucket"),
    ]
    assert format_facts(facts) == line
    assert [fact.number for fact in facts] == [12, 15430, 86.5, None]


@UNHURRIED
@given(st.lists(st.tuples(WORDS, NUMBERS, UNITS).map(lambda row: Fact(*row)), max_size=4))
def test_numbers_and_units_survive_the_line(facts):
    assert parse_facts(format_facts(facts)) == facts


@UNHURRIED
@given(st.lists(st.tuples(WORDS, WORDS).map(lambda row: Fact(*row)), max_size=4))
def test_names_survive_the_line(facts):
    assert parse_facts(format_facts(facts)) == facts


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("24V ALTERNATOR", Fact("a", "24V ALTERNATOR")),
        ("2004-03-01", Fact("a", "2004-03-01")),
        ("12/15", Fact("a", "12/15")),
        ("1.2.3", Fact("a", "1.2.3")),
        ("-5.20 °C", Fact("a", "-5.20", "°C")),
        ("12,500 AUD", Fact("a", "12,500", "AUD")),
        ("4 per ml", Fact("a", "4", "per ml")),
    ],
)
def test_only_what_begins_with_a_whole_number_is_a_number(value, expected):
    assert parse_facts(f"a={value}") == [expected]


def test_an_empty_line_has_no_facts_and_spaces_do_not_matter():
    assert parse_facts("") == parse_facts(" ; ;") == []
    assert parse_facts(" a = 1  AUD ;b=x y ") == [Fact("a", "1", "AUD"), Fact("b", "x y")]


@pytest.mark.parametrize("line", ["cost", "a=1; cost", "=5", "cost=", "cost= ; a=1"])
def test_a_part_that_is_no_pair_is_refused_and_shown(line):
    with pytest.raises(CourseError, match="is not NAME=VALUE"):
        parse_facts(line)


@pytest.mark.parametrize("fact", [Fact("a;b", "1"), Fact("a", "x=y"), Fact("a", "1", "h;")])
def test_a_fact_that_would_break_the_line_is_refused(fact):
    with pytest.raises(CourseError, match="holds one of"):
        format_facts([fact])


@pytest.mark.parametrize("fact", [Fact("", "1"), Fact("a", "")])
def test_a_fact_without_name_or_value_is_refused(fact):
    with pytest.raises(CourseError, match="no name or no value"):
        format_facts([fact])


# --- Numbers and units ---


@pytest.mark.parametrize(
    ("text", "value", "unit"),
    [
        ("12 h", "12", "h"),
        ("12 hours", "12", "h"),
        ("a 12-hour stop", "12", "h"),
        ("12h", "12", "h"),
        ("12 h", "12", "hours"),
        ("1 day", "1", "d"),
        ("5 d", "5", "days"),
        ("12\u00a0h and 3\u202fmin", "3", "min"),
        ("12\u00a0h", "12", "h"),
        ("about 40 per cent.", "40", "%"),
        ("40%", "40", "%"),
        ("60 degrees C", "60", "°C"),
        ("4.5 MM/S", "4.5", "mm/s"),
        ("30 m3/h", "30", "m³/h"),
        ("0.2 um", "0.2", "µm"),
        ("A$1,265", "1265", "AUD"),
        ("AUD 1265", "1265", "AUD"),
        ("1 265 AUD", "1265", "AUD"),
        ("1\u202f265\u202f000 AUD", "1265000", "AUD"),
        ("1\u00a0265 AUD", "1265", "AUD"),
        ("1,265,000.50 AUD", "1265000.5", "AUD"),
        ("1265 A$.", "1265", "AUD"),
        ("Cost: 1,265 AUD.", "1,265", "AUD"),
        ("85 Shore A", "85", "Shore A"),
        ("3 work orders", "3", "work orders"),
        ("(12 h)", "12", "h"),
        ("reading,12 h,limit", "12", "h"),
        ("12 h.", "12", "h"),
        ("from 40 to 60 °C", "60", "°C"),
        ("40-60 °C", "60", "°C"),
        ("40\u201360 °C", "60", "°C"),
        ("\u22125 °C", "-5", "°C"),
        ("-5 °C", "-5", "°C"),
        ("+5 °C", "5", "°C"),
        ("12.50 h", "12.5", "h"),
        ("12.0 h", "12", "h"),
        ("in 2004 125 h were lost", "125", "h"),
    ],
)
def test_a_number_with_its_unit_is_found(text, value, unit):
    assert said(text, value, unit)


@pytest.mark.parametrize(
    ("text", "value", "unit"),
    [
        ("", "12", "h"),
        ("12", "12", "h"),
        ("12 days", "12", "h"),
        ("112 h", "12", "h"),
        ("121 h", "12", "h"),
        ("0.12 h", "12", "h"),
        ("12.4 h", "12", "h"),
        ("12 h", "12.46", "h"),  # coarser is another number
        ("12.5 h", "12.46", "h"),
        ("1,012 h", "12", "h"),
        ("12,000 h", "12", "h"),
        ("12 000 h", "12", "h"),
        ("4,5 mm", "5", "mm"),
        ("4,5 mm", "4", "mm"),
        ("3.4.5 mm", "4.5", "mm"),
        ("-12 h", "12", "h"),
        ("\u221212 h", "12", "h"),
        ("12 h", "-12", "h"),
        ("EX-12 h", "12", "h"),
        ("PM12 h", "12", "h"),
        ("12 hoses", "12", "h"),
        ("4.5 mm/s", "4.5", "mm"),
        ("4.5 mm²", "4.5", "mm"),
        ("1500 min\u207b¹", "1500", "min"),
        ("5 m·s", "5", "m"),
        ("5 N/mm", "5", "N"),
        ("12 percentage points", "12", "%"),
        ("EUR 12", "12", "AUD"),
        ("1265 orders cost AUD", "1265", "AUD"),
        ("h 12", "12", "h"),  # only a currency stands before its number
        ("1265\nAUD", "1266", "AUD"),
        ("twelve h", "12", "h"),
    ],
)
def test_another_number_or_another_unit_is_not_taken_for_it(text, value, unit):
    assert not said(text, value, unit)


@UNHURRIED
@given(NUMBERS, UNITS.filter(bool))
def test_every_number_with_its_unit_is_found_where_it_stands(value, unit):
    fact = Fact("figure", value, unit)
    assert states(f"The result is {value} {unit}.", [fact]) == [True]


@UNHURRIED
@given(st.integers(1, 10**7), st.integers(1, 10**7))
def test_two_whole_numbers_are_the_same_or_not_however_they_are_written(told, asked):
    for text in (f"{told} AUD", f"{told:,} AUD", f"A${told:,}", f"AUD {told}.", f"{told}.00 AUD"):
        assert said(text, str(asked), "AUD") == (told == asked)
    assert said(f"{told:,} AUD".replace(",", " "), str(told), "AUD")


# --- Numbers without a unit ---


@pytest.mark.parametrize(
    "text",
    [
        "There were 12 work orders.",
        "Work orders: 12",
        "12 orders in all",
        "Cost 900 AUD. Work orders in no. 3 were 12.",
        "WORK ORDERS = 12; cost = 900 AUD",
    ],
)
def test_a_bare_number_counts_beside_a_word_of_its_name(text):
    assert said(text, "12", name="work orders")


@pytest.mark.parametrize(
    "text",
    [
        "12",
        "It took 12 days.",
        "There were many work orders. It took 12 days.",
        "Work orders\n12 days",
        "There were work orders; failures: 12",
        "Work orders from 2004-12-01 on, and 2005-01-12 too",
        "The work order is PM-12.",
        "Work order 1.12.3",
        "reworked 12",
    ],
)
def test_a_bare_number_elsewhere_does_not_count(text):
    assert not said(text, "12", name="work orders")


def test_a_short_name_is_not_found_in_a_longer_one():
    assert said("Cp is 1.25 and Cpk is 1.10.", "1.25", name="Cp")
    assert not said("Cpk is 1.25.", "1.25", name="Cp")
    assert said("Cpk is 1.25.", "1.25", name="Cpk")


def test_the_point_of_no_3_does_not_end_the_sentence():
    assert said("The asset is excavator no. 3", "3", name="asset")
    assert not said("The asset is big. 3 more came.", "3", name="asset")


def test_the_answer_to_a_question_needs_no_name():
    assert said("12.", "12")
    assert not said("13.", "12")


# --- Names ---


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("The BUCKET leads.", "Bucket"),
        ("Buckets lead.", "Bucket"),
        ("hydraulic\n  system", "Hydraulic System"),
        ('"REPLACE U/S (L/H) CYL.*" cost most', "REPLACE U/S (L/H) CYL.*"),
        ("written in C++, mostly", "C++"),
        ("Was it [A|B]?", "[A|B]"),
        ("lot D31.750 passed", "D31.750"),
        ("every 500 h.", "every 500 h"),
        ("Tür 漢字 🙂", "tür 漢字"),
    ],
)
def test_a_name_is_found_as_words_whatever_its_letters(text, name):
    assert said(text, name)


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("rebucket", "bucket"),
        ("lot D31x750", "D31.750"),
        ("system hydraulic", "hydraulic system"),
        ("", "Bucket"),
        ("CCC", "C+"),
        ("without", "within"),
    ],
)
def test_part_of_a_word_is_not_the_name(text, name):
    assert not said(text, name)


@UNHURRIED
@given(st.text(max_size=40), WORDS, NUMBERS, UNITS)
def test_no_text_makes_the_search_fail(text, name, number, unit):
    for fact in (Fact(name, text.strip() or "x"), Fact(name, number, unit)):
        assert states(text, [fact])[0] in (True, False)


# --- Limits, closed sets, tolerances ---


@pytest.mark.parametrize(
    "fact",
    [
        Fact("limit", "90", "°C", limit="at most"),
        Fact("gap", "0.2", "mm", limit="between", upper="0.8"),
        Fact("decision", "release", others=("adjust", "hold", "not capable")),
        Fact("rules", "rising trend & beyond 3 sigma", others=("no signal",)),
        Fact("band", "2205", "nm", within="10"),
        Fact("gravity", "2.65", within="0.05"),
        Fact("gap", "0.2", "mm", limit="between", upper="0.8", within="0.1"),
    ],
)
def test_limits_closed_sets_and_tolerances_survive_the_line(fact):
    assert parse_facts(format_facts([fact])) == [fact]
