"""What texts state and deny: figures with their direction, ranges, labels, names."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from course_utils.statements import labelled, read, sentences

VERDICTS = ("release", "adjust", "hold", "capable", "not capable")


def figures(text):
    return [(figure.number, figure.unit) for figure in read(text).figures]


def stated(text, names=VERDICTS):
    return {mention.name for mention in read(text).mentions(names) if not mention.denied}


@pytest.mark.parametrize("piece", ["\n", " \n", "1-", "1 to ", "no. 1, "])
def test_a_text_made_to_keep_the_reader_busy_is_read_in_no_time(piece):
    """Each piece was read anew from every one before it: hours for such an answer."""
    text = piece * (100_000 // len(piece)) + "It is 5 mm."
    assert figures(text)[-1] == (5, "mm")


# --- Figures ---


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", []),
        ("12 h and 3 min", [(12, "h"), (3, "min")]),
        ("sigma = 2.94 / 2.059 = 1.43 mm", [(2.94, ""), (2.059, ""), (1.43, "mm")]),
        ("It cost A$1,265.", [(1265, "AUD")]),
        ("1 265 AUD", [(1265, "AUD")]),
        ("\u22125 °C", [(-5, "°C")]),
        ("0.2 to 0.8 mm", [(0.2, "mm"), (0.8, "mm")]),
        ("12 work orders", [(12, "")]),
        ("at least 3 N/15 mm, 2 m", [(3, "N/15 mm"), (2, "m")]),
    ],
)
def test_figures_are_read_with_their_units(text, expected):
    assert figures(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "LOT-0162 and CP-12",
        "on 2004-03-01, 3.5.2004, 1 March 2004 and in March 2004",
        "in 2004 and since 2006",
        "at 06:30",
        "beyond 3 sigma",
        "as in ISO 10816-3 and DIN EN 12345-1",
        "1. first\n2) second",
        "PM01",
    ],
)
def test_dates_codes_and_marks_are_no_figures(text):
    assert figures(text) == []


def test_labels_are_told_from_figures():
    reading = read("Subgroups 3, 4 and 7 of 25 subgroups have 5 parts; see rule 2.")
    assert [f.number for f in reading.figures if not f.label] == [25, 5]
    assert {f.label for f in reading.figures} == {"subgroup", "", "rule"}


def test_lists_of_labels_are_spelled_out():
    assert labelled("subgroups 3, 4 and 7 to 9; lot 12") == [
        ("subgroup", frozenset({3, 4, 7, 8, 9})),
        ("lot", frozenset({12})),
    ]


def test_sentences_end_at_points_that_end_something():
    text = 'No. 3 has 4.5 mm/s. "CHANGE PUMP NO.4. LEAKING" cost most; max. 90 °C.\nNext'
    assert sentences(text) == [
        "No. 3 has 4.5 mm/s.",
        '"CHANGE PUMP NO.4. LEAKING" cost most;',
        "max. 90 °C.",
        "Next",
    ]


# --- Directions ---


@pytest.mark.parametrize(
    "text",
    [
        "at most 90 °C",
        "at the most 90 °C",
        "max. 90 °C",
        "The maximum permitted temperature is 90 °C.",
        "no more than 90 °C",
        "not more than 90 °C",
        "up to 90 °C",
        "<= 90 °C",
        "≤ 90 °C",
        "It must not exceed 90 °C.",
        "It may never rise above 90 °C.",
        "Keep it below 90 °C.",
        "It must stay at or below 90 °C.",
        "90 °C or less",
        "90 °C (max.)",
        "90 °C must not be exceeded.",
        "92 °C exceeds the limit of 90 °C",
        "92 °C is above the limit of at most 90 °C",
        "an upper limit of 90 °C",
    ],
)
def test_an_upper_limit_is_read_in_its_usual_wordings(text):
    assert read(text).figures[-1].limit == "at most"


@pytest.mark.parametrize(
    "text",
    [
        "at least 90 °C",
        "min. 90 °C",
        "minimum 90 °C",
        "no less than 90 °C",
        "not below 90 °C",
        "It must never fall below 90 °C.",
        "It must be above 90 °C.",
        ">= 90 °C",
        "90 °C or more",
        "90 °C as a minimum",
        "a lower limit of 90 °C",
    ],
)
def test_a_lower_limit_is_read_in_its_usual_wordings(text):
    assert read(text).figures[-1].limit == "at least"


@pytest.mark.parametrize(
    "text", ["90 °C", "92 °C is above 90 °C", "it is not within the limit of 90 °C", "5 min 90 °C"]
)
def test_no_direction_is_read_where_none_is_stated(text):
    assert read(text).figures[-1].limit == ""


def test_each_number_has_its_own_direction():
    limits = [f.limit for f in read("max. 90 °C, min. 3 bar, 4.5 mm/s and at most 5 g").figures]
    assert limits == ["at most", "at least", "", "at most"]


@pytest.mark.parametrize(
    "text",
    [
        "between 0.2 and 0.8 mm",
        "from 0.2 to 0.8 mm",
        "0.2 to 0.8 mm",
        "0.2 mm to 0.8 mm",
        "0.2-0.8 mm",
        "0.2\u20130.8 mm",
    ],
)
def test_a_range_is_two_numbers(text):
    low, high = read(text).ranges[0]
    assert (low.number, high.number, low.unit, high.unit) == (0.2, 0.8, "mm", "mm")


@pytest.mark.parametrize("text", ["0.2 and 0.8 mm", "0.2, 0.8 mm", "0.2 mm. 0.8 mm"])
def test_two_numbers_beside_each_other_are_no_range(text):
    assert read(text).ranges == ()


@pytest.mark.parametrize(
    "text",
    [
        "not 90 °C",
        "It isn't 90 °C.",
        "rather than 90 °C",
        "not at most 90 °C",
        "not between 90 and 95 °C",
        "It is not the case that the limit is 90 °C.",
        "90 °C is wrong.",
        "90 °C, which is not the case",
    ],
)
def test_a_denied_figure_is_known(text):
    assert read(text).figures[0].denied


@pytest.mark.parametrize(
    "text",
    [
        "at most 90 °C",
        "It must not exceed 90 °C",
        "not more than 90 °C",
        "92 °C is not within the limit",
        "Do not restart: 90 °C was measured.",
        "The limit is not known. It was 90 °C.",
    ],
)
def test_a_figure_beside_another_denial_is_not_denied(text):
    assert not read(text).figures[0].denied


# --- Names ---


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("Release.", {"release"}),
        ("The lot is **released**.", {"release"}),
        ("We release it; nothing else.", {"release"}),
        ("It is held.", {"hold"}),
        ("We do not release the lot.", set()),
        ("The lot can't be released.", set()),
        ("There is no reason at all for us to release it.", set()),
        ("Release is not possible.", set()),
        ("Release of the lot is ruled out.", set()),
        ("It is not the case that we release it.", set()),
        ("Neither release nor adjust, but hold.", {"hold"}),
        ("Hold it; do not release, adjust or rework it.", {"hold"}),
        ("Adjust rather than release.", {"adjust"}),
        ("Release without adjusting.", {"release"}),
        ("Not only release but adjust.", {"release", "adjust"}),
        ("The process is not capable.", {"not capable"}),
        ("A process that is not capable means hold.", {"not capable", "hold"}),
        ("The process is capable.", {"capable"}),
        ("It is not centred, so adjust.", {"adjust"}),
        ("Hold, since it cannot be judged.", {"hold"}),
        ("No. 3: release", {"release"}),
        ("No fault leads more often than the one that we adjust.", {"adjust"}),
        ("releaseable household", set()),
    ],
)
def test_what_is_denied_is_not_stated(text, names):
    assert stated(text) == names


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("hydraulic\n  system", "Hydraulic System"),
        ("the gear-wheels", "gear wheel"),
        ('"REPLACE U/S (L/H) CYL.*" cost most', "REPLACE U/S (L/H) CYL.*"),
        ("written in C++, mostly", "C++"),
        ("lot D31.750 passed", "D31.750"),
        ("Tür 漢字 🙂", "tür 漢字"),
        ("two batteries", "battery"),
    ],
)
def test_a_name_is_found_as_words_whatever_its_letters(text, name):
    assert stated(text, [name]) == {name}


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("rebucket", "bucket"),
        ("lot D31x750", "D31.750"),
        ("system hydraulic", "hydraulic system"),
        ("CP-12", "CP-1"),
        ("LOT-0162-3", "LOT-0162"),
        ("3.5", "3"),
        ("", "bucket"),
        ("without", "within"),
    ],
)
def test_part_of_a_word_is_not_the_name(text, name):
    assert stated(text, [name]) == set()


def test_of_names_inside_each_other_the_longer_one_counts():
    assert stated("the bucket cylinder", ["bucket", "bucket cylinder"]) == {"bucket cylinder"}


@given(st.text(max_size=80), st.lists(st.text(min_size=1, max_size=8), max_size=4))
def test_no_text_makes_the_reading_fail(text, names):
    reading = read(text)
    assert all(0 <= f.start < f.end <= len(text) for f in reading.figures)
    assert all(mention.name in names for mention in reading.mentions(names))
