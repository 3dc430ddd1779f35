"""Records of manuals and documentation: each figure follows from the knowledge or is computed."""

import json
import random
import re

import pytest

from course_utils.facts import parse_facts
from course_utils.records import validate
from course_utils.schemas import QUESTION_FORMS
from course_utils.tracks.knowledge import load
from course_utils.tracks.manufacturing import documentation, manuals
from course_utils.tracks.manufacturing.equipment_text import DOCUMENTATION, MANUAL, is_plural
from course_utils.tracks.manufacturing.manual_pages import pages

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


def test_the_group_is_one_page_or_the_documentation_of_one_machine(records):
    known = {page.group for one in BASE.values() for page in pages(one)}
    for record in records:
        if record["document"] == MANUAL:
            assert record["group"] in known
        else:
            assert record["group"] == f"{record['source'].partition(': ')[2]}/documentation"


def test_every_value_of_an_understanding_answer_stands_in_its_text(records):
    for record in of(records, "understanding"):
        answer, text = json.loads(record["output"]), record["input"].casefold()
        for key, value in answer.items():
            assert value
            assert value.casefold() in text, (key, record)
            assert key in record["instruction"], (key, record)


def test_every_question_has_a_form_facts_and_an_answer_that_states_them(records):
    for record in of(records, "qa"):
        assert record["form"] in QUESTION_FORMS
        for fact in parse_facts(record["facts"]):
            for value in fact.values:
                assert value.casefold() in record["output"].casefold(), record


def test_work_is_due_from_the_interval_on_and_not_at_it():
    """Rounded, 9.7 of 10 h were 10 h: not due, as 10.4 of 10 h were due."""
    equipment = BASE["hydraulic_excavator"]
    names = {"interval": "every 10 h", "work": "grease the pins", "machine": equipment.name}
    for seed in range(200):
        draft = documentation._due_question(equipment, dict(names), 10, random.Random(seed))
        since = int(re.search(r"(\d+) h", draft.record["instruction"])[1])
        assert (since > 10) == draft.record["output"].startswith("Yes"), draft.record


def test_a_name_has_rivals_that_stand_in_the_input(records):
    for record in of(records, "qa"):
        for fact in parse_facts(record["facts"]):
            if fact.number is None and {"yes", "no"} != {fact.value, *fact.others}:
                assert fact.others, record
                text = record["input"].casefold()
                assert all(one.casefold() in text for one in (*fact.values, *fact.others)), record


def test_a_bare_answer_is_the_fact_and_nothing_else(records):
    for record in of(records, "qa"):
        if record["form"] in ("number and unit only", "name only"):
            (fact,) = parse_facts(record["facts"])
            right = "; ".join(fact.values) if fact.number is None else str(fact).split("=", 1)[1]
            assert record["output"] == right


def test_a_question_on_a_limit_stands_among_several_limits(records):
    for record in of(records, "qa", MANUAL):
        if record["form"] == "number and unit only":
            limits = re.findall(r"(?:at most|at least|between) \d", record["input"])
            assert len(limits) >= 3, record["input"]


def test_where_a_fault_sits_is_not_where_its_cause_is_mended(records):
    """90 records named the part of the cause when they were asked where the fault sits."""
    modes = [mode for one in BASE.values() for mode in one.failure_modes]
    asked = [
        record
        for record in of(records, "qa", MANUAL)
        if re.match(r"(Main parts|.*the parts|Parts of .*): ", record["input"].splitlines()[-1])
    ]
    assert len(asked) >= len(modes)
    for record in asked:
        named = [mode for mode in modes if mode.name in record["instruction"]]
        mode = max(named, key=lambda mode: len(mode.name))
        told = [one for one in mode.remedies if f": {one.cause}" in record["instruction"]]
        assert len(told) <= 1
        assert record["output"] == (told[0].origin if told else mode.component), record


def test_a_note_names_only_the_origin_of_the_cause_that_it_names(records):
    modes = {mode.name: mode for one in BASE.values() for mode in one.failure_modes}
    seen = 0
    for record in of(records, "understanding", MANUAL):
        answer = json.loads(record["output"])
        for one in modes[answer["failure_mode"]].remedies:
            if one.cause.casefold() == answer.get("cause", "").casefold():
                assert answer.get("origin", "") == one.origin, record
                seen += bool(one.origin)
    assert seen > 20


def test_no_question_asks_whether_a_repair_may_wait(records):
    """The page lists stop signs; that the other signs may wait does not follow from it."""
    for record in of(records, "qa", MANUAL):
        assert not re.search(r"\bwait for|keep running|run on for now|stay in service",
                             record["instruction"]), record["instruction"]  # fmt: skip


def test_yes_and_no_are_about_equally_often_right(records):
    asked = [r for r in of(records, "qa", MANUAL) if r["form"].startswith("yes or no")]
    yes = sum(record["output"].startswith("Yes") for record in asked)
    assert 0.35 < yes / len(asked) < 0.65


def test_no_plural_component_takes_a_singular_verb(records):
    plural = [part.name for one in BASE.values() for part in one.components if is_plural(part)]
    names = "|".join(map(re.escape, plural))
    wrong = re.compile(
        rf"(?<!of )(?<!on )\bthe ({names}) (of [a-z ]+ [A-Z]+-\d+ )?(was|shows|is|does)\b"
    )
    asked = re.compile(rf"\b(does|is) the ({names})\b( do| for|\?)")
    for record in records:
        for text in (record["instruction"], record["input"], record["output"]):
            assert not wrong.search(text), text
            assert not asked.search(text), text


def test_texts_hold_no_leftovers(records):
    for record in records:
        texts = [record["instruction"], record["input"]]
        texts += [record["output"]] if record["task"] != "understanding" else []
        for text in texts:
            found = re.search(r"[{}]|  |\.\.|\. \.|[,;:]\.|\w [.,;](?!\w)|\ba [aeio](?!ne)", text)
            assert not found, (found.group(), text)


def test_every_sentence_begins_with_a_capital_or_a_number(records):
    for record in of(records, "qa") + of(records, "report"):
        if record["form"] in ("number and unit only", "name only"):
            continue
        assert record["output"][0].isupper() or record["output"][0].isdigit(), record["output"]


def test_no_question_is_asked_twice_of_the_same_sheet(records):
    prompts = [(r["instruction"], r["input"]) for r in records]
    assert len(set(prompts)) > 0.99 * len(prompts)
