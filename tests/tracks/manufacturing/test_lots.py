"""Quality records: what an answer states was computed, and no wording carries the data set."""

import json
import re
from collections import Counter

import pytest

from course_utils import records
from course_utils.facts import Fact, fact_accuracy, parse_facts, stands_in
from course_utils.tracks.manufacturing import inspectors_notes
from course_utils.tracks.manufacturing import lots as quality_records
from course_utils.tracks.wording import template_shares

DECISIONS = ("release", "adjust", "hold", "not capable")


@pytest.fixture(scope="module")
def drafts():
    return quality_records.quality_drafts(seed=11, lots=400)


def of(drafts, task):
    return [draft.record for draft in drafts if draft.record["task"] == task]


def test_the_same_seed_gives_the_same_drafts():
    assert quality_records.quality_drafts(2, 20) == quality_records.quality_drafts(2, 20)
    assert quality_records.quality_drafts(2, 20) != quality_records.quality_drafts(3, 20)


def test_more_lots_leave_the_first_ones_as_they_are():
    few, many = quality_records.quality_drafts(2, 5), quality_records.quality_drafts(2, 9)
    assert many[: len(few)] == few


def test_no_lots_give_no_drafts():
    assert quality_records.quality_drafts(0, 0) == []


def test_each_lot_gives_its_share_of_every_task(drafts):
    assert len(of(drafts, "qa")) == 800
    assert len(of(drafts, "understanding")) == 200
    assert 400 <= len(of(drafts, "report")) <= 800
    assert len({draft.record["group"] for draft in drafts}) == 400
    assert drafts[0].record["group"] == "lot-0001"


def test_every_record_follows_the_schema(drafts):
    for draft in drafts:
        plain = {name: text for name, text in draft.record.items() if name != "facts"}
        assert records.validate(plain, "manufacturing") == []
        assert all(isinstance(text, str) for text in draft.record.values())
        assert plain["document"] == "quality_report"


@pytest.mark.parametrize("task", ["report", "qa"])
def test_every_answer_states_all_its_facts(drafts, task):
    for record in of(drafts, task):
        assert fact_accuracy(record["output"], parse_facts(record["facts"])) == 1.0, record


def test_reports_have_five_to_eight_facts_and_one_decision(drafts):
    for record in of(drafts, "report"):
        assert 5 <= len(parse_facts(record["facts"])) <= 8
        said = [name for name in DECISIONS if stands_in(record["output"], Fact("decision", name))]
        assert said == [parse_facts(record["facts"])[-1].value], record["output"]


def test_capable_is_only_said_of_a_process_that_is(drafts):
    for record in of(drafts, "report"):
        facts = {fact.name: fact.value for fact in parse_facts(record["facts"])}
        if facts["decision"] == "release":
            assert float(facts["Cpk"]) >= 1.25
            assert facts["signal"] == "no signal"
        if facts["decision"] == "not capable":
            assert "meets" not in record["output"]


def test_reports_fit_a_small_model(drafts):
    for record in of(drafts, "report"):
        assert 55 <= len(record["output"].split()) <= 120
        assert sum(len(record[name]) for name in ("instruction", "input", "output")) <= 1300


def test_half_of_the_report_sheets_hold_no_summary(drafts):
    summaries = sum("sigma" in record["input"] for record in of(drafts, "report"))
    assert 0.4 < summaries / len(of(drafts, "report")) < 0.6


def test_a_report_cites_no_number_of_another_lot(drafts):
    """Yield and Pareto share, worked out again from the counts as the sheet words them."""
    checked = 0
    for record in of(drafts, "report"):
        found = re.search(r"(\d+) produced, (\d+) scrap, (\d+) rework", record["input"])
        if found:
            produced, scrap, rework = map(int, found.groups())
            expected = f"{100 * (produced - scrap - rework) / produced:.1f}"
            assert stands_in(record["output"], Fact("yield", expected, "%"))
            checked += 1
    assert checked > 30


def test_notes_give_json_with_only_what_is_stated(drafts):
    keys = {"part", "characteristic", "defect", "quantity", "disposition"}
    seen = Counter()
    for record in of(drafts, "understanding"):
        answer, note = json.loads(record["output"]), record["input"].casefold()
        assert set(answer) <= keys
        assert answer["part"] in note
        assert answer["defect"] in note
        assert answer.get("characteristic", "").casefold() in note
        if "quantity" in answer:
            assert re.search(rf"(?<!\d){answer['quantity']}(?!\d)", note)
        if "disposition" in answer:
            words = inspectors_notes.SAY["dispositions"][answer["disposition"]]
            assert any(word.casefold() in note for word in words), (answer, note)
        seen.update(list(answer))
    assert set(seen) == keys
    assert min(seen.values()) < max(seen.values())  # something is left out now and then


def test_no_wording_carries_more_than_two_percent(drafts):
    for task, (template, share, count) in template_shares(drafts).items():
        assert share <= 0.02, (task, template)
        assert count > 150


def test_sheets_of_different_lots_are_no_near_duplicates(drafts):
    """Only lots in one near-duplicate group have to stay together; few do."""
    for task in ("report", "qa", "understanding"):
        own = of(drafts, task)[:300]
        groups = records.near_duplicate_groups([records.text_of(record) for record in own])
        lots = {}
        for record, number in zip(own, groups, strict=True):
            lots.setdefault(number, set()).add(record["group"])
        assert sum(len(members) > 1 for members in lots.values()) <= 0.02 * len(own)


def test_texts_hold_no_unfilled_wording(drafts):
    for draft in drafts:
        record = draft.record
        texts = record["instruction"] + record["input"]
        texts += record["output"] if record["task"] != "understanding" else ""
        assert not re.search(r"[{}]|\bnan\b|  |\.\.\s|,,| [.,;]", texts), texts
