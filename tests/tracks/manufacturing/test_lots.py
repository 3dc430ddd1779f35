"""Quality records: what an answer states was computed, and no wording carries the data set.

Whether it was computed rightly: test_recomputed_lots.py.
"""

import json
import re
from collections import Counter, defaultdict

import pytest

from course_utils import records, tasks
from course_utils.facts import parse_facts
from course_utils.schemas import QUESTION_FORMS, REPORT_FORMS
from course_utils.tracks.manufacturing import (
    inspectors_notes,
    lot_given,
    lot_questions,
    lot_working,
)
from course_utils.tracks.manufacturing import lots as quality_records
from course_utils.tracks.wording import template_shares


@pytest.fixture(scope="module")
def drafts():
    return quality_records.quality_drafts(seed=11, lots=400)


def of(drafts, task):
    return [draft.record for draft in drafts if draft.record["task"] == task]


def of_form(drafts, form):
    found = [draft.record for draft in drafts if draft.record.get("form") == form]
    assert len(found) >= 100, form
    return found


def kind_of(draft):
    return draft.template.split(":")[0]


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
        assert records.validate(draft.record, "manufacturing") == []
        assert draft.record["document"] == "quality_report"


def test_both_forms_of_report_and_all_forms_of_question_come_up(drafts):
    forms = Counter(draft.record.get("form", "") for draft in drafts)
    assert set(forms) == {*REPORT_FORMS, *QUESTION_FORMS, ""}
    working, given = (forms[form] for form in REPORT_FORMS)
    assert 0.4 < working / (working + given) < 0.6
    assert min(forms.values()) > 30


def test_every_kind_of_report_and_question_comes_up(drafts):
    kinds = {f"quality/qa/{name}" for name in lot_questions.KINDS}
    kinds |= {f"quality/working/{name}" for name in lot_working.KINDS}
    kinds |= {f"quality/given/{name}" for name in lot_given.KINDS}
    assert {kind_of(draft) for draft in drafts} == {*kinds, "quality/note"}


# --- What is scored ---


@pytest.mark.parametrize("task", ["report", "qa"])
def test_the_reference_scores_one(drafts, task):
    for record in of(drafts, task):
        assert tasks.main_score(record["output"], record) in (1.0, None), record


def test_a_report_without_a_scored_fact_is_rare(drafts):
    """Of a shown working, a fact that the input holds by chance does not count."""
    scores = [tasks.main_score(record["output"], record) for record in of(drafts, "report")]
    assert scores.count(None) <= 0.01 * len(scores)


def closed_values(record):
    sets = [(*fact.values, *fact.others) for fact in parse_facts(record["facts"]) if fact.others]
    return ", ".join(sorted({name for names in sets for name in names}))


FOOLS = {
    "echo": lambda record, common: record["input"],
    "closed values": lambda record, common: closed_values(record),
    "echo and closed values": lambda record, common: f"{record['input']}\n{closed_values(record)}",
    "majority": lambda record, common: common,
}


@pytest.mark.parametrize("fool", FOOLS)
@pytest.mark.parametrize("form", [*REPORT_FORMS, *QUESTION_FORMS])
def test_what_knows_nothing_scores_nothing(drafts, form, fool):
    own = of_form(drafts, form)
    common = Counter(record["output"] for record in own).most_common(1)[0][0]
    scores = [tasks.main_score(FOOLS[fool](record, common), record) for record in own]
    known = [score for score in scores if score is not None]
    assert sum(known) / len(known) <= (0.25 if form == "figures given" else 0.05)


def test_the_conclusion_of_a_report_stands_not_in_its_input(drafts):
    """On a sheet with figures the words of a conclusion stand in the rule, with their rivals."""
    for record in of_form(drafts, "figures given"):
        closed = [fact for fact in parse_facts(record["facts"]) if fact.others]
        assert closed, record
        for fact in closed:
            if fact.name in ("disposition", "process finding"):
                assert all(name in record["input"] for name in fact.others)


def test_a_sheet_with_figures_holds_many_that_are_not_asked_for(drafts):
    for draft in drafts:
        if draft.record.get("form") == "figures given":
            lines = draft.record["input"].split("\n")
            figures = max(lines, key=lambda line: len(re.findall(r"\d+", line)))
            asked = len(parse_facts(draft.record["facts"]))
            assert len(re.split(r", |; | / ", figures)) >= 20, figures
            assert 4 <= asked <= 8


def test_a_report_is_asked_for_all_its_facts(drafts):
    """What is scored stands in the instruction, under one of these words."""
    words = {
        "first-pass yield": "yield|right first time", "scrap rate": "scrap",
        "good at once": "good", "yield target": "target", "rejects": "rejects",
        "largest defect": "defect", "share of the largest defect": "share",
        "share of the two largest": "two|joint", "mean": "mean", "mean range": "mean range",
        "offset": "nominal", "side": "above|side", "room to the limit": "room|distance",
        "sigma": "sigma|Rbar/d2", "Cp": r"\bCp\b|indices", "Cpk": "Cpk|indices",
        "process finding": "finding", "correction": "correction", "disposition": "dispo|happens",
        "chart": "rule", "UCL": "UCL|limits", "LCL": "LCL|limits", "range limit": "range|both",
        "lowest reading": "lowest|readings", "highest reading": "highest|readings",
    }  # fmt: skip
    for record in of(drafts, "report"):
        for fact in parse_facts(record["facts"]):
            if fact.value.startswith("subgroup"):  # of one of the broken rules
                assert re.search("subgroups", record["instruction"]), record
            else:
                assert re.search(words[fact.name], record["instruction"]), (fact, record)


def test_no_report_speaks_of_one_broken_rule(drafts):
    for record in of(drafts, "report") + of(drafts, "qa"):
        assert "One rule" not in record["output"]


def test_the_largest_defect_is_called_no_majority(drafts):
    """It may hold a third of the rejects: the largest share, and not most of them."""
    most = r"\bmost (rejects|pieces|defects|of)\b|majority|mainly|mostly|chiefly|more than half"
    for record in of(drafts, "report") + of(drafts, "qa"):
        for text in (record["instruction"], record["output"]):
            assert not re.search(most, text, re.IGNORECASE), text


def test_several_broken_rules_end_with_and(drafts):
    seen = 0
    for record in of(drafts, "report") + of(drafts, "qa"):
        if record["form"] != "name only" and (found := re.findall(r"\(subgroup", record["output"])):
            assert record["output"].count(") and ") == (len(found) > 1), record["output"]
            seen += len(found) > 1
    assert seen > 10


def test_one_piece_is_not_told_in_the_plural(drafts):
    for record in of_form(drafts, "figures given"):
        assert not re.search(r"(?<![\d.])1 \w+s\b(?<!pcs)", record["input"]), record["input"]


def test_all_broken_rules_are_told_with_their_subgroups(drafts):
    seen = 0
    for draft in drafts:
        for fact in parse_facts(draft.record.get("facts", "")):
            if fact.name == "chart" and fact.value != "in control":
                names = {other.name for other in parse_facts(draft.record["facts"])}
                assert set(fact.values) <= names
                text = draft.record["output"].casefold()
                assert all(name.casefold() in text for name in fact.values)
                seen += len(fact.values) > 1
    assert seen > 20


# --- The instruction ---


@pytest.mark.parametrize(
    "words", [lot_working.SAY, lot_given.SAY], ids=lambda words: words.path.stem
)
def test_a_form_of_report_has_thirty_instructions_and_more(words):
    """Before a lot's values are filled in, and for each kind of report."""
    request, form = words["request"], words["form"]
    for items in words["items"].values():
        assert len(request) * len(items) * len(form) >= 30


def test_a_note_has_thirty_instructions_and_more():
    assert len(inspectors_notes.SAY["request"]) >= 30


def test_a_question_announces_the_form_of_its_answer(drafts):
    for record in of(drafts, "qa"):
        words = {
            "number and unit only": r"[Nn]umber|figure|count|side|form",
            "name only": r"name|subgroup|RULE",
            "yes or no, then the reason": r"yes or no|Yes or no",
            "one sentence": r"sentence",
        }[record["form"]]
        assert re.search(words, record["instruction"].rpartition("?")[2] or record["instruction"])


def test_a_bare_answer_is_bare(drafts):
    for record in of_form(drafts, "number and unit only"):
        assert re.fullmatch(r"\d+(\.\d+)?( \S+)?( above nominal| below nominal)?", record["output"])
    for record in of_form(drafts, "name only"):
        assert not record["output"].endswith(".")


def test_a_yes_or_no_comes_with_its_figures(drafts):
    answers = Counter()
    for record in of_form(drafts, "yes or no, then the reason"):
        first, *reasons = parse_facts(record["facts"])
        assert record["output"].startswith(f"{first.value.capitalize()}: ")
        assert reasons
        answers[first.value] += 1
    assert min(answers.values()) > 0.25 * answers.total()


def test_an_offset_says_on_which_side(drafts):
    offsets = [draft.record for draft in drafts if kind_of(draft) == "quality/qa/offset"]
    assert offsets
    for record in offsets:
        assert re.search(r" (above|below) nominal$", record["output"])


def test_what_is_rounded_says_to_what(drafts):
    for draft in drafts:
        record = draft.record
        if kind_of(draft) == "quality/qa/offset":  # a difference of two figures of the sheet
            continue
        if record.get("form") == "number and unit only" and "." in record["output"]:
            assert re.search(r"0\.\d+|two decimals|three significant", record["instruction"])


# --- Length and wordings ---


def test_reports_fit_a_small_model(drafts):
    for record in of(drafts, "report"):
        assert len(record["output"].split()) <= 90
        assert sum(len(record[name]) for name in ("instruction", "input", "output")) <= 2300


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


def test_no_instruction_carries_a_task(drafts):
    """Lots and values apart, no instruction of reports or notes is heard again and again."""
    for task in ("report", "understanding"):
        told = Counter(
            re.sub(r"ot \S+|the \w+s\b", "", record["instruction"]) for record in of(drafts, task)
        )
        assert told.most_common(1)[0][1] <= 0.06 * told.total(), told.most_common(1)


def test_sheets_of_different_lots_are_no_near_duplicates(drafts):
    """Only lots in one near-duplicate group have to stay together; few do."""
    for task in ("report", "qa", "understanding"):
        own = of(drafts, task)[:300]
        groups = records.near_duplicate_groups([records.text_of(record) for record in own])
        lots = defaultdict(set)
        for record, number in zip(own, groups, strict=True):
            lots[number].add(record["group"])
        assert sum(len(members) > 1 for members in lots.values()) <= 0.02 * len(own)


def test_texts_hold_no_unfilled_wording(drafts):
    for draft in drafts:
        record = draft.record
        texts = record["instruction"] + record["input"]
        texts += record["output"] if record["task"] != "understanding" else ""
        assert not re.search(r"[{}]|\bnan\b|  |\.\.\s|,,| [.,;]", texts), texts
