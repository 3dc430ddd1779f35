"""Scores that cannot be fooled: what counts as right, and what a cheap answer gets."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from course_utils import scoring
from course_utils.errors import CourseError
from course_utils.facts import Fact, format_facts
from course_utils.scoring import fact_match, form_of, report_counts, states

NUMBER, NAME, YES_NO, SENTENCE = scoring.QUESTION_FORMS


def qa(facts, output, form="", text="x"):
    record = {"task": "qa", "instruction": "?", "input": text, "output": output, "facts": facts}
    return record | ({"form": form} if form else {})


YIELD = qa("answer=95.1 %", "95.1 %", NUMBER, "Of 2041 parts 1941 passed. Target 97.0 %.")
LIMIT = qa("answer=at most 90 °C", "at most 90 °C", NUMBER)
GAP = qa("answer=between 0.2 and 0.8 mm", "between 0.2 and 0.8 mm", NUMBER)
WHEEL = qa("component=gear wheel | pinion | shaft", "gear wheel", NAME)
GROUPS = qa("subgroups=3 & 4 & 7", "subgroups 3, 4 and 7", NAME)
REASON = qa(
    "answer=yes | no; reading=92 °C; limit=at most 90 °C",
    "Yes: 92 °C is above the limit of at most 90 °C.",
    YES_NO,
    "Bearing temperature 92 °C. Limit: at most 90 °C. Do we stop?",
)
WHY = qa(
    "cause=worn seal | misalignment | blocked filter",
    "The pump leaks because of its worn seal.",
    SENTENCE,
    "Known causes: worn seal, misalignment, blocked filter. The pump leaks.",
)
RATE = qa("rate=between 35 and 55 strokes/min", "between 35 and 55 strokes/min", NUMBER)
BAND = qa("answer=2205 ± 10 nm", "2205 nm", NUMBER)
ALL = [YIELD, LIMIT, GAP, WHEEL, GROUPS, REASON, WHY, RATE, BAND]


def right(record, *texts):
    return [text for text in texts if fact_match(text, record)]


# --- Questions ---


@pytest.mark.parametrize("record", ALL, ids=lambda record: record["facts"])
def test_the_reference_is_right(record):
    assert fact_match(record["output"], record)


@pytest.mark.parametrize("record", ALL, ids=lambda record: record["facts"])
def test_nothing_and_a_copy_of_the_input_are_wrong(record):
    assert not right(record, "", "...", "I do not know.", record["input"])


@pytest.mark.parametrize("record", ALL, ids=lambda record: record["facts"])
def test_a_denied_reference_is_wrong(record):
    said = record["output"]
    assert not right(record, f"It is not the case that {said}", f"It is wrong that {said}")
    if record["form"] in (NUMBER, NAME):
        assert not right(record, f"not {said}", f"It is not {said}.", f"{said} is wrong")


@pytest.mark.parametrize(
    ("record", "texts"),
    [
        (YIELD, ["95.1%", "95.10 %", "The yield is 95.1 per cent.", "95.2 %", "95.0 percent"]),
        (LIMIT, ["max. 90 °C", "no more than 90 degrees C", "It must not exceed 90 °C", "≤ 90 °C"]),
        (GAP, ["0.2 to 0.8 mm", "0.2-0.8 mm", "at least 0.2 mm and at most 0.8 mm"]),
        (WHEEL, ["The gear wheel.", "the gear-wheel", "It is the gear wheel.", "GEAR WHEEL"]),
        (GROUPS, ["3, 4 and 7", "Subgroups 7, 3 and 4", "subgroups 3 and 4 and subgroup 7"]),
        (REASON, ["yes, since 92 °C exceeds the maximum of 90 °C", "**Yes** - 92 °C, max. 90 °C"]),
        (WHY, ["A worn seal lets it leak.", "Its seal is worn: worn seal, not misalignment."]),
        (BAND, ["2200 nm", "2215 nanometres"]),
        (RATE, ["35 to 55 strokes/min", "35-55 strokes/min", "between 35 and 55 strokes/min"]),
    ],
)
def test_the_right_answer_in_other_words_is_right(record, texts):
    assert right(record, *texts) == texts


@pytest.mark.parametrize(
    ("record", "texts"),
    [
        (YIELD, ["95.1", "95.1 mm", "95.3 %", "95 %", "4.9 %", "95.1 percentage points"]),
        (LIMIT, ["at least 90 °C", "min. 90 °C", "not below 90 °C", "90 °C", "at most 91 °C"]),
        (LIMIT, ["at most 90 bar", "at most 90 °F", "at most or at least 90 °C or more"]),
        (GAP, ["between 0.8 and 0.2 mm", "0.2 mm", "between 0.2 and 0.9 mm", "at most 0.8 mm"]),
        (WHEEL, ["pinion", "gear", "wheel", "gear wheel or pinion", "gear wheel, pinion, shaft"]),
        (GROUPS, ["3 and 4", "3, 4, 5 and 7", "subgroups 1 to 25", "subgroups 3 to 7"]),
        (REASON, ["Yes.", "No: 92 °C is above 90 °C", "92 °C is above at most 90 °C", "Yes or no"]),
        (REASON, ["Yes: 93 °C is above the limit of at most 90 °C", "Yes: at least 90 °C, 92 °C"]),
        (REASON, ["Yes. No. 92 °C is above the limit of at most 90 °C"]),
        (WHY, ["Misalignment.", "The seal.", "It is a worn seal or misalignment."]),
        (WHY, ["The pump leaks. The cause is a worn seal."]),  # one sentence was asked for
        (RATE, ["35 to 55", "35 to 55 min", "35 strokes/min to 56 strokes/min"]),
        (BAND, ["2194 nm", "2205 µm", "2205"]),
    ],
)
def test_another_answer_is_wrong(record, texts):
    assert right(record, *texts) == []


def test_a_list_of_all_values_is_wrong():
    assert not right(YIELD, "95.1 %, 97.0 %", "97.0 % 95.1 %", "95.1 %\n97.0 %")
    assert not right(WHEEL, "gear wheel\npinion", "shaft; pinion; gear wheel")
    assert not right(WHY, "worn seal, misalignment, blocked filter")
    assert not right(REASON, "yes / no: 92 °C, at most 90 °C")


def test_an_open_name_in_a_list_of_others_is_wrong():
    record = qa("component=gear wheel", "gear wheel", NAME)
    assert not right(record, "gear wheel, shaft, bearing", "bearing; shaft; gear wheel")
    assert right(record, "the gear wheel, I think")


def test_a_name_must_be_stated_more_often_than_denied():
    record = qa("component=belt", "The belt drifts because an idler is not square.", SENTENCE)
    assert right(record, "The belt drifts: its idler is not square to the belt, mend the belt.")
    assert not right(record, "It is the belt, or it is not the belt.")


def test_several_right_values_are_all_needed():
    record = qa("rules=rising trend & beyond 3 sigma | no signal", "x", NAME)
    assert right(record, "rising trend; beyond 3 sigma", "beyond 3 sigma and rising trend")
    assert not right(record, "rising trend", "rising trend; beyond 3 sigma; no signal")


def test_a_rival_number_makes_a_sentence_wrong():
    record = qa("answer=92 °C | 90 °C", "The reading was 92 °C.", SENTENCE)
    assert right(record, "It read 92 °C.", "It read 92 °C, not 90 °C.")
    assert not right(record, "It read 92 °C or 90 °C.", "90 °C")


def test_more_figures_of_the_asked_unit_than_one_make_a_sentence_wrong():
    record = qa("answer=3.2 m", "A head of 3.2 m is below the 4.5 m required.", SENTENCE)
    assert right(record, "Only 3.2 m, that is 1.3 m less than 4.5 m.")
    assert not right(record, "3.2 m, 1.3 m, 5.1 m or 7.7 m.")


def test_a_long_answer_is_cut_before_it_is_read():
    assert not fact_match("word " * 40 + "95.1 %", YIELD)
    assert scoring.part_read("a " * 100, YIELD) == " ".join(["a"] * 12)  # twice 2 words, and 8


@pytest.mark.parametrize(
    ("fact", "expected"),
    [
        (Fact("a", "3.1986", "mm"), 0.0001),
        (Fact("a", "0.68"), 0.01),
        (Fact("a", "0.2", "mm"), 0),  # 0.1 would be half of it
        (Fact("a", "12", "orders"), 0),  # a count
        (Fact("a", "15,430", "AUD"), 1),
        (Fact("a", "90.5", "°C", limit="at most"), 0),  # copied, not computed
        (Fact("a", "2205", "nm", within="10"), 10),
    ],
)
def test_the_last_digit_is_free_where_numbers_are_computed(fact, expected):
    assert fact.tolerance == pytest.approx(expected)


@pytest.mark.parametrize(
    ("text", "is_right"),
    [
        ("12 work orders", True),
        ("12", True),
        ("12 orders", False),
        ("12 days", False),
        ("13", False),
    ],
)
def test_something_counted_may_be_left_out(text, is_right):
    assert fact_match(text, qa("answer=12 work orders", "12 work orders", NUMBER)) is is_right


# --- The form of records that name none ---


@pytest.mark.parametrize(
    ("facts", "output", "form"),
    [
        ("answer=95.1 %", "The yield is 95.1 %.", NUMBER),
        ("Cp=0.68", "18.0 / 26.6 gives 0.68.", SENTENCE),
        ("cause=worn seal", "Worn seal.", NAME),
        ("cause=worn seal", "It leaks because of a worn seal.", SENTENCE),
        ("answer=yes | no", "Yes: it is.", YES_NO),
        ("", "It leaks.", ""),
    ],
)
def test_a_form_is_inferred_from_facts_and_answer(facts, output, form):
    assert form_of(qa(facts, output)) == form
    assert form_of(qa(facts, output, "no such form")) == form


def test_a_record_without_facts_has_no_fact_match():
    with pytest.raises(CourseError, match="no fact to look for"):
        fact_match("x", qa("", "x"))


def test_a_record_of_geology_is_a_question_too():
    record = {"system": "", "instruction": "?", "context": "", "answer": "2.65", "facts": "G=2.65"}
    assert fact_match("2.65", record)
    assert not fact_match("2.70", record)


# --- Reports ---

SHEET = """Lot 24-3377: 200 shafts, limits 24.98 to 25.02 mm, d2 = 2.059, required Cpk 1.33.
Decide: release, adjust, hold or not capable.
Subgroup 1: 25.001 25.003 24.998 25.004 mm; subgroup 2: 25.002 24.999 25.001 25.000 mm
Scrapped 3, reworked 7. Operator 12, line 4, coolant 6.5 %, speed 850 rpm, feed 0.12 mm."""
WORKED = {
    "task": "report",
    "form": scoring.WORKING_SHOWN,
    "instruction": "?",
    "input": SHEET,
    "output": "Yield = 190 / 200 = 95.0 %. Mean = 25.001 mm. Rbar = 0.0045 mm, so sigma = 0.0045 / "
    "2.059 = 0.00219 mm. Cpk = 0.019 / 0.00656 = 2.90 against 1.33. We release the lot.",
    "facts": "first-pass yield=95.0 %; sigma=0.00219 mm; Cpk=2.90; scrapped=3; "
    "decision=release | adjust | hold | not capable",
}
GIVEN = WORKED | {
    "form": scoring.FIGURES_GIVEN,
    "input": SHEET + " Yield 95.0 %. Sigma 0.00219 mm. Cpk 2.90. Cp 3.05. Rbar 0.0045 mm.",
}


def f1(text, record=WORKED):
    return report_counts(text, record).f1


def test_the_reference_of_a_report_is_right():
    assert f1(WORKED["output"]) == f1(GIVEN["output"] + " Scrapped: 3.", GIVEN) == 1


def test_hand_computed_counts():
    text = "First-pass yield 95.0 %. Sigma 0.00219 mm. Cpk 2.10. Waste 4.2 %. We release the lot."
    counts = report_counts(text, WORKED)
    # right: yield, sigma, decision; missed: Cpk (scrapped stands in the input); wrong: 2.10, 4.2 %
    assert (counts.right, counts.missed, counts.wrong) == (3, 1, 2)
    assert counts.recall == 3 / 4
    assert counts.precision == 3 / 5
    assert counts.f1 == pytest.approx(2 * 3 / (2 * 3 + 1 + 2))


def test_facts_that_stand_in_the_input_count_only_where_figures_are_given():
    assert report_counts("Scrapped: 3.", WORKED).right == 0
    assert report_counts("Scrapped: 3.", GIVEN).right == 1


def test_a_copy_of_the_input_gains_nothing_where_figures_must_be_computed():
    every = "release adjust hold not capable"
    assert f1(SHEET) == f1(f"{SHEET}\n{every}") == f1(f"{every}\n{SHEET}") == f1(every) == 0


def test_a_copy_gains_little_where_figures_are_given():
    assert f1(GIVEN["input"], GIVEN) < 0.5
    assert f1("release adjust hold not capable", GIVEN) == 0


def test_a_verdict_without_its_figures_is_a_guess():
    assert report_counts("We release the lot.", WORKED).right == 0
    open_name = WORKED | {"facts": "Cpk=2.90; sigma=0.00219 mm; Cp=3.05; machine=lathe"}
    assert report_counts("The lathe has Cpk 2.90.", open_name).right == 1
    assert report_counts("Yield 95.0 %. We release the lot.", WORKED).right == 1
    assert report_counts("Yield 95.0 %, Cpk 2.90. We release the lot.", WORKED).right == 3


@pytest.mark.parametrize(
    "verdict",
    [
        "We do not release the lot.",
        "Release, adjust, hold or not capable.",
        "Hold.",
        "Release or hold.",
    ],
)
def test_a_denied_or_listed_verdict_is_wrong(verdict):
    figures = "Yield 95.0 %, sigma 0.00219 mm, Cpk 2.90. "
    assert report_counts(figures + verdict, WORKED).right == 3
    assert report_counts(figures + "We release the lot.", WORKED).right == 4


def test_a_denied_report_gains_nothing():
    sentences = WORKED["output"].split(". ")
    assert f1(" ".join(f"It is not the case that {sentence}." for sentence in sentences)) == 0


def test_a_swapped_limit_counts_against_a_report():
    record = WORKED | {"facts": "temperature limit=at most 90 °C; reading=85.4 °C", "output": "x"}
    said = "The reading is 85.4 °C; the temperature limit is at {} 90 °C."
    assert f1(said.format("most"), record) == 1
    counts = report_counts(said.format("least"), record)
    assert (counts.right, counts.missed, counts.wrong) == (1, 1, 1)


@pytest.mark.parametrize("text", ["Sigma is 0.00219 cm.", "Sigma is 0.00219 %."])
def test_a_right_number_with_a_wrong_unit_is_wrong(text):
    counts = report_counts(text, WORKED)
    assert (counts.right, counts.wrong) == (0, 1)


def test_a_number_without_its_unit_gains_nothing_and_is_no_lie():
    counts = report_counts("Sigma is 0.00219.", WORKED)
    assert (counts.right, counts.wrong) == (0, 0)


def test_a_bare_number_needs_its_name():
    assert report_counts("Cpk: 2.90", WORKED).right == 1
    assert report_counts("The index is 2.90.", WORKED).right == 0
    assert states("Cpk is 1.25.", [Fact("Cp", "1.25"), Fact("Cpk", "1.25")]) == [False, True]


def test_subgroups_that_are_not_asked_for_count_against_a_report():
    facts = "yield=95.0 %; subgroups=3 & 4"
    record = WORKED | {"facts": facts, "output": "Yield 95.0 %; subgroups 3 and 4 signal."}
    assert f1(record["output"], record) == 1
    counts = report_counts("Yield 95.0 %; subgroups 1 to 8 signal.", record)
    assert (counts.right, counts.wrong) == (1, 6)


def test_a_long_report_is_cut_and_says_so():
    counts = report_counts("word " * 200 + WORKED["output"], WORKED)
    assert counts.cut
    assert counts.right == 0
    assert not report_counts(WORKED["output"], WORKED).cut


def test_a_report_without_facts_to_compute_is_not_scored():
    assert report_counts("x", WORKED | {"facts": ""}) is None
    assert report_counts("x", WORKED | {"facts": "scrapped=3"}) is None


# --- Properties ---

FACTS = st.lists(
    st.tuples(st.integers(100, 999), st.sampled_from(["mm", "h", "%"])), min_size=1, max_size=5
).map(lambda rows: [Fact(f"figure {i}", str(n), unit) for i, (n, unit) in enumerate(rows)])


@given(FACTS, st.lists(st.integers(0, 4), max_size=5), st.sampled_from(["mm", "h", "%", "bar"]))
def test_an_untrue_figure_never_raises_the_score(facts, said, unit):
    record = WORKED | {"facts": format_facts(facts), "input": "", "form": ""}
    record["output"] = ". ".join(f"{fact.name}: {fact.value} {fact.unit}" for fact in facts)
    text = ". ".join(f"{facts[i % len(facts)].value} {facts[i % len(facts)].unit}" for i in said)
    before, after = f1(text, record), f1(f"{text}. Also 12345 {unit}.", record)
    assert 0 <= after <= before <= 1
    assert before == 0 or after < before


@given(st.text(max_size=200), st.sampled_from([WORKED, GIVEN, *ALL]))
def test_every_text_has_a_score(text, record):
    if record["task"] == "qa":
        assert fact_match(text, record) in (True, False)
    else:
        counts = report_counts(text, record)
        assert all(0 <= v <= 1 for v in (counts.f1, counts.recall, counts.precision))
