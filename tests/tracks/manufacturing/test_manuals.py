"""Records of manuals and documentation: each figure follows from the knowledge or is computed."""

import json
import re

import pytest

from course_utils.facts import answers_number, parse_facts, stands_in
from course_utils.records import validate
from course_utils.tracks.knowledge import load
from course_utils.tracks.manufacturing import manuals
from course_utils.tracks.manufacturing.equipment_text import DOCUMENTATION, MANUAL, is_plural

BASE = {one.id: one for one in load()}


@pytest.fixture(scope="module")
def drafts():
    return manuals.manual_drafts(42)


@pytest.fixture(scope="module")
def records(drafts):
    return [draft.record for draft in drafts]


def of(records, task, document=None):
    return [r for r in records if r["task"] == task and document in (None, r["document"])]


def test_the_same_seed_gives_the_same_drafts_and_another_seed_others(drafts):
    assert manuals.manual_drafts(42) == drafts
    other = manuals.manual_drafts(43)
    same = sum(a == b for a, b in zip(drafts, other, strict=False))
    assert same < 0.05 * len(drafts)


def test_both_documents_and_all_tasks_are_there(records):
    assert len(of(records, "qa", MANUAL)) > 500
    assert len(of(records, "report", MANUAL)) > 200
    assert len(of(records, "understanding", MANUAL)) == 2 * sum(
        len(one.failure_modes) for one in BASE.values()
    )
    assert len(of(records, "qa", DOCUMENTATION)) > 500
    assert len(of(records, "understanding", DOCUMENTATION)) == sum(
        len(one.specifications) for one in BASE.values()
    )
    assert {r["source"].partition(": ")[2] for r in records} == set(BASE)


def test_every_record_is_valid(records):
    for record in records:
        assert validate(record, "manufacturing") == [], record


def test_the_group_is_one_failure_mode_or_the_documentation_of_one_machine(records):
    modes = {f"{one.id}/{mode.id}" for one in BASE.values() for mode in one.failure_modes}
    for record in records:
        if record["document"] == MANUAL:
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


def test_every_question_for_a_limit_is_answered_from_its_excerpt(records):
    for record in of(records, "qa"):
        for fact in parse_facts(record.get("facts", "")):
            assert fact.value.casefold() in record["input"].casefold(), record
            if fact.number is None:
                assert stands_in(record["output"], fact), record
            else:
                assert answers_number(record["output"], fact), record


def test_no_plural_component_takes_a_singular_verb(records):
    plural = [part.name for one in BASE.values() for part in one.components if is_plural(part)]
    names = "|".join(map(re.escape, plural))
    wrong = re.compile(
        rf"(?<!of )\bthe ({names}) (of [a-z ]+ [A-Z]+-\d+ )?(was|shows|has failed)\b"
    )
    for record in records:
        for text in (record["instruction"], record["input"], record["output"]):
            assert not wrong.search(text), text
    assert sum("They " in record["output"] for record in of(records, "qa")) > 3


def test_no_singular_component_takes_a_plural_verb(records):
    for record in of(records, "qa", DOCUMENTATION):
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
