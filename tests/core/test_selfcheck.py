"""What answers that understand nothing get: rows, limits and the verdict on small tracks."""

import random

import pytest

from course_utils import scoring, selfcheck
from course_utils.errors import CourseError

NUMBER, NAME, YES_NO, SENTENCE = scoring.QUESTION_FORMS
DECISIONS = ("release", "adjust", "hold", "not capable")


def record(task, form, text, output, facts):
    own = {"task": task, "document": "quality_report", "form": form, "instruction": "?"}
    return own | {"input": text, "output": output, "facts": facts}


def lot(number, given):
    """A report on a lot: 20 readings, and what follows from them beside or in the sheet."""
    rng = random.Random(number)
    readings = [f"{rng.uniform(24, 26):.3f}" for _ in range(30)]
    mean, spread, share = (f"{rng.uniform(10, 99):.{digits}f}" for digits in (4, 4, 1))
    decision = DECISIONS[number % 4]
    others = " | ".join(name for name in DECISIONS if name != decision)
    sheet = f"Readings in mm: {' mm '.join(readings)} mm. Decide: {', '.join(DECISIONS)}."
    if given:
        sheet += f" Mean {mean} mm, spread {spread} mm, yield {share} %."
    return record(
        "report",
        scoring.FIGURES_GIVEN if given else scoring.WORKING_SHOWN,
        sheet,
        f"The mean is {mean} mm and the spread {spread} mm. Yield: {share} %. "
        f"Decision on the lot: {decision}.",
        f"mean={mean} mm; spread={spread} mm; yield={share} %; decision={decision} | {others}",
    )


def question(number, form):
    rng = random.Random(number)
    limit, reading = rng.randint(100, 999), rng.randint(1000, 9999)
    text = f"Bearing {number}: reading {reading} °C, limit at most {limit} °C, part p{number}"
    text += ", rivals " + ", ".join(f"r{number}{i}" for i in range(4))
    if form == NUMBER:
        return record("qa", form, text, f"at most {limit} °C", f"answer=at most {limit} °C")
    if form == NAME:
        rivals = " | ".join(f"r{number}{i}" for i in range(4))
        return record("qa", form, text, f"p{number}", f"part=p{number} | {rivals}")
    said = f"Yes: {reading} °C is above the limit of at most {limit} °C."
    return record("qa", form, text, said, f"answer=yes | no; reading={reading} °C")


def label(number):
    output = f'{{"part": "part {number}", "action": "{("mend", "change")[number % 2]}"}}'
    return record("understanding", "", f"mend no {number}", output, "")


GOOD = [
    *(lot(number, given) for number in range(40) for given in (False, True)),
    *(question(number, form) for number in range(40) for form in (NUMBER, NAME, YES_NO)),
    *map(label, range(40)),
]


@pytest.fixture(scope="module")
def results():
    return selfcheck.check({"train": GOOD[::2] + GOOD[1::2], "test": GOOD})


def rows(results, *cell):
    (found,) = [result for result in results if {*cell} <= {*result.cell}]
    return {row: sums.mean for row, sums in found.rows.items()}


def test_good_records_cannot_be_fooled(results):
    assert selfcheck.verdict(results) == "nothing can be fooled"
    assert not any(result.faults() for result in results)


def test_every_kind_has_its_line_and_the_reference_scores_1(results):
    assert len(results) == 6
    assert {rows(results, *result.cell)["reference"] for result in results} == {1.0}
    lines = selfcheck.table(results).splitlines()
    assert [line.split(",")[0] for line in lines if line[0] != " "] == [
        "understanding",
        "report",
        "qa",
    ]
    assert all(" 80 " in line for line in lines if line[0] == " ")


def test_a_copy_gains_a_little_where_figures_are_given_and_nothing_elsewhere(results):
    assert rows(results, scoring.WORKING_SHOWN)["echo of the input"] == 0
    given = rows(results, scoring.FIGURES_GIVEN)
    assert 0 <= given["echo of the input"] <= selfcheck.LIMIT_GIVEN
    assert rows(results, NAME)["echo with all closed values"] == 0


def test_what_is_turned_round_gains_nothing(results):
    for form in (NUMBER, NAME, YES_NO, *scoring.REPORT_FORMS):
        assert rows(results, form)["negated reference"] == 0
    assert rows(results, NUMBER)["swapped limits"] == 0
    assert rows(results, NAME)["swapped limits"] is None  # no limits in it


def test_json_answers_are_shown_for_information(results):
    told = rows(results, "understanding")
    assert told["reference"] == 1
    assert told["negated reference"] is None
    assert 0 < told["majority answer"] < 1


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda r: r | {"output": "5 mm", "facts": "answer=5 mm"}, "majority answer 1.00, at most"),
        (lambda r: r | {"output": "5 °C", "facts": "answer=6 °C"}, "reference gets 0.000, not 1"),
        (lambda r: r | {"input": r["output"]}, "echo of the input 1.00, at most 0.05"),
    ],
    ids=["same answer", "false reference", "answer is the input"],
)
def test_what_can_be_fooled_is_named_with_its_kind(change, said):
    bad = [change(question(number, NUMBER)) for number in range(30)]
    results = selfcheck.check({"test": bad})
    told = selfcheck.verdict(results)
    assert told.startswith(f"can be fooled: qa, quality_report, {NUMBER}: ")
    assert said in told
    assert ("!" in selfcheck.table(results)) == ("at most" in said)  # paid too much


def test_a_report_whose_facts_all_stand_in_its_input_cannot_be_scored():
    bad = [lot(number, given=True) | {"form": scoring.WORKING_SHOWN} for number in range(5)]
    bad = [r | {"facts": r["facts"].split("; decision")[0]} for r in bad]
    results = selfcheck.check({"test": GOOD + bad})
    assert "5 records have facts but cannot be scored" in selfcheck.verdict(results)


def test_one_lucky_record_proves_nothing():
    result = selfcheck.CellResult(("qa", "-", NUMBER))
    result.rows["majority answer"] = selfcheck.Sum(1.0, 5)
    assert result.faults() == []
    result.rows["majority answer"] = selfcheck.Sum(2.0, 5)
    assert result.faults() == ["majority answer 0.40, at most 0.05"]


def test_a_sample_is_drawn_from_each_kind_and_is_the_same_each_time():
    first, again = (selfcheck.check({"test": GOOD}, sample=7, seed=3) for _ in range(2))
    assert {result.records for result in first} == {7}
    assert selfcheck.to_dict(first) == selfcheck.to_dict(again)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("at most 90 °C", "at least 90 °C"),
        ("It must not exceed 90 °C.", "It must not fall below 90 °C."),
        ("min. 90 °C and max. 3 bar", "max. 90 °C and min. 3 bar"),
        ("between 0.2 and 0.8 mm", "between 0.8 and 0.2 mm"),
        ("0.2 mm to 10.8 mm, no more than 5", "10.8 mm to 0.2 mm, no less than 5"),
        ("90 °C", "90 °C"),
    ],
)
def test_limits_are_turned_round(text, expected):
    assert selfcheck.swapped(text) == expected


@pytest.mark.parametrize(
    ("form", "text", "expected"),
    [
        (NUMBER, "90 °C", "not 90 °C"),
        (YES_NO, "Yes: it is.", "No: it is."),
        (YES_NO, "No, it is not.", "Yes, it is not."),
        (SENTENCE, "It is. So.", "It is not the case that It is. It is not the case that So."),
    ],
)
def test_references_are_denied_in_the_words_of_their_form(form, text, expected):
    assert selfcheck.negated(record("qa", form, "", text, "a=b")) == expected


def test_questions_of_geology_are_checked_too():
    records = [
        {"system": "s", "instruction": "?", "context": "c", "answer": f"{n}00 nm", "form": NUMBER}
        | {"facts": f"band={n}00 ± 10 nm"}
        for n in range(10, 40)
    ]
    (result,) = selfcheck.check({"all": records})
    assert result.cell == ("qa", "-", NUMBER)
    assert not result.faults()


def test_a_broken_line_of_facts_is_named_with_its_place():
    bad = question(1, NUMBER) | {"facts": "twelve"}
    with pytest.raises(CourseError, match="test, record 2: facts: 'twelve' is not NAME=VALUE"):
        selfcheck.check({"train": GOOD, "test": [GOOD[0], bad]})


def test_records_without_facts_are_refused_with_a_cure():
    with pytest.raises(CourseError, match="no record can be scored") as error:
        selfcheck.check({"test": [record("qa", "", "x", "y", "")]})
    assert "facts" in error.value.cure
