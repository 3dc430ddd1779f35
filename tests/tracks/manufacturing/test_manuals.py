"""Records of manuals and documentation: each figure follows from the knowledge or is computed."""

import json
import random
import re
from decimal import Decimal

import pytest

from course_utils.facts import Fact, answers_number, fact_accuracy, parse_facts, stands_in
from course_utils.records import validate
from course_utils.tracks.knowledge import Component, Quantity, load
from course_utils.tracks.manufacturing import manuals

BASE = {one.id: one for one in load()}


def quantity(limit="at most", value="4.5", upper=None, unit="mm/s"):
    return Quantity(name="vibration velocity", limit=limit, value=value, upper=upper, unit=unit)


@pytest.fixture(scope="module")
def drafts():
    return manuals.manual_drafts(42)


@pytest.fixture(scope="module")
def records(drafts):
    return [draft.record for draft in drafts]


def of(records, task, document=None):
    return [r for r in records if r["task"] == task and document in (None, r["document"])]


# --- Pieces of text ---


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
    assert manuals.limit_text(own) == text


def test_the_article_follows_the_first_letter():
    assert manuals.article("oil pump") == "an oil pump"
    assert manuals.article("Induction motor") == "an Induction motor"
    assert manuals.article("gearbox") == "a gearbox"


def test_the_articles_of_the_base_are_right_by_sound():
    """a/an goes by the letter; these words would be wrong."""
    for one in BASE.values():
        for name in (one.name, *(q.name for q in one.specifications)):
            assert not re.match(r"(hour|honest|uni|use|usa|one|eu|ur[aei])", name.casefold()), name


def test_components_are_plural_by_their_verb():
    says = {"carry the load": True, "conveys, melts and injects": False, "carries it": False}
    for function, plural in says.items():
        assert manuals._is_plural(Component(name="x", function=function)) is plural


# --- Measurements ---


@pytest.mark.parametrize("seed", range(40))
@pytest.mark.parametrize("inside", [True, False])
@pytest.mark.parametrize(
    "own",
    [
        quantity(),
        quantity("at most", "0.05"),
        quantity("at least", "3"),
        quantity("at least", "150", unit="MΩ"),
        quantity("between", "40", "60", "°C"),
        quantity("between", "-20", "-10", "°C"),
        quantity("at most", "-30", unit="°C"),
    ],
)
def test_a_measurement_lies_on_the_side_that_was_drawn(own, inside, seed):
    measured = manuals._measure(own, inside, random.Random(seed))
    if measured is None:
        return
    value, limit, deviation = map(Decimal, measured)
    low, high = Decimal(own.value), Decimal(own.upper or own.value)
    truly = {"at most": value <= low, "at least": value >= low, "between": low <= value <= high}
    assert truly[own.limit] is inside
    assert deviation == abs(value - limit) > 0
    assert limit in (low, high)
    assert all(text.count(".") == own.value.count(".") for text in measured)


def test_a_plain_value_and_a_negative_pressure_are_not_measured():
    rng = random.Random(1)
    assert manuals._measure(quantity("equal to"), True, rng) is None
    assert manuals._measure(quantity("at least", "0"), False, rng) is None


# --- Every record ---


def test_the_same_seed_gives_the_same_drafts_and_another_seed_others(drafts):
    assert manuals.manual_drafts(42) == drafts
    other = manuals.manual_drafts(43)
    same = sum(a == b for a, b in zip(drafts, other, strict=False))
    assert same < 0.05 * len(drafts)


def test_both_documents_and_all_tasks_are_there(records):
    assert len(of(records, "qa", manuals.MANUAL)) > 500
    assert len(of(records, "report", manuals.MANUAL)) > 200
    assert len(of(records, "understanding", manuals.MANUAL)) == 2 * sum(
        len(one.failure_modes) for one in BASE.values()
    )
    assert len(of(records, "qa", manuals.DOCUMENTATION)) > 500
    assert len(of(records, "understanding", manuals.DOCUMENTATION)) == sum(
        len(one.specifications) for one in BASE.values()
    )
    assert {r["source"].partition(": ")[2] for r in records} == set(BASE)


def test_every_record_is_valid(records):
    for record in records:
        assert validate(record, "manufacturing") == [], record


def test_the_group_is_one_failure_mode_or_the_documentation_of_one_machine(records):
    modes = {f"{one.id}/{mode.id}" for one in BASE.values() for mode in one.failure_modes}
    for record in records:
        if record["document"] == manuals.MANUAL:
            assert record["group"] in modes
        else:
            assert record["group"] == f"{record['source'].partition(': ')[2]}/documentation"


def test_every_value_of_an_understanding_answer_stands_in_its_text(records):
    for record in of(records, "understanding"):
        answer, text = json.loads(record["output"]), record["input"].casefold()
        for key, value in answer.items():
            assert value
            assert value.casefold() in text, (key, record)
            assert key in record["instruction"], (key, record)


def test_every_report_states_its_six_facts(records):
    for record in of(records, "report"):
        facts = parse_facts(record["facts"])
        assert [fact.name for fact in facts] == [
            *("machine", "component", "measured", "limit", "deviation", "verdict")
        ]
        assert fact_accuracy(record["output"], facts) == 1, record


def test_deviation_and_verdict_of_every_report_follow_from_its_sheet(records):
    for record in of(records, "report"):
        facts = {fact.name: fact for fact in parse_facts(record["facts"])}
        measured, limit, deviation = (
            Decimal(facts[name].value) for name in ("measured", "limit", "deviation")
        )
        assert deviation == abs(measured - limit)
        assert stands_in(record["input"], Fact("answer", facts["measured"].value, ""))
        assert facts["limit"].value in record["input"]
        mode = next(
            mode
            for mode in BASE[record["source"].partition(": ")[2]].failure_modes
            if record["group"].endswith(f"/{mode.id}")
        )
        # What the machine's own limits say of the value, from the knowledge and not the record.
        sides = set()
        for check in mode.checks:
            low, high = Decimal(check.value), Decimal(check.upper or check.value)
            if check.unit == facts["measured"].unit and limit in (low, high):
                good = {"at most": measured <= low, "at least": measured >= low}
                sides.add(good.get(check.limit, low <= measured <= high))
        assert (facts["verdict"].value == "within") in sides, record
        assert not (facts["verdict"].value == "within" and sides == {False}), record


def test_a_report_never_says_both_within_and_outside(records):
    for record in of(records, "report"):
        verdict = parse_facts(record["facts"])[-1].value
        other = "outside" if verdict == "within" else "within"
        assert not stands_in(record["output"].split(" the limit")[0], Fact("verdict", other)) or (
            other in record["input"]
        ), record


def test_every_question_for_a_limit_is_answered_from_its_excerpt(records):
    for record in of(records, "qa"):
        for fact in parse_facts(record.get("facts", "")):
            assert fact.value.casefold() in record["input"].casefold(), record
            if fact.number is None:
                assert stands_in(record["output"], fact), record
            else:
                assert answers_number(record["output"], fact), record


def test_no_plural_component_takes_a_singular_verb(records):
    plural = [
        part.name for one in BASE.values() for part in one.components if manuals._is_plural(part)
    ]
    names = "|".join(map(re.escape, plural))
    wrong = re.compile(
        rf"(?<!of )\bthe ({names}) (of [a-z ]+ [A-Z]+-\d+ )?(was|shows|has failed)\b"
    )
    for record in records:
        for text in (record["instruction"], record["input"], record["output"]):
            assert not wrong.search(text), text
    assert sum("They " in record["output"] for record in of(records, "qa")) > 3


def test_no_singular_component_takes_a_plural_verb(records):
    for record in of(records, "qa", manuals.DOCUMENTATION):
        assert not re.match(r"They \w+s\b", record["output"]), record["output"]


def test_texts_hold_no_leftovers(records):
    for record in records:
        texts = [record["instruction"], record["input"]]
        texts += [record["output"]] if record["task"] != "understanding" else []
        for text in texts:
            found = re.search(r"[{}]|  |\.\.|\. \.|[,;:]\.|\w [.,;](?!\w)|\ba [aeio](?!ne)", text)
            assert not found, (found.group(), text)


def test_every_answer_begins_with_a_capital_or_a_number(records):
    for task in ("qa", "report"):
        for record in of(records, task):
            assert record["output"][0].isupper() or record["output"][0].isdigit(), record["output"]


def test_no_question_is_asked_twice_of_the_same_sheet(records):
    prompts = [(r["instruction"], r["input"]) for r in records]
    assert len(set(prompts)) > 0.99 * len(prompts)
