"""Records on the maintenance log: properties over every record, and over groups and seeds."""

import json
import re
from collections import Counter
from datetime import date
from statistics import fmean

import pytest

from course_utils import gold, sources
from course_utils.chat import count_tokens
from course_utils.facts import parse_facts
from course_utils.order_fields import closed_set
from course_utils.records import overlap, validate
from course_utils.schemas import QUESTION_FORMS, REPORT_FORMS
from course_utils.tasks import main_score
from course_utils.tracks.manufacturing.order_qa import qa_drafts
from course_utils.tracks.manufacturing.order_records import maintenance_drafts
from course_utils.tracks.manufacturing.order_reports import report_drafts
from course_utils.tracks.manufacturing.order_sheets import tokens_about
from course_utils.tracks.manufacturing.orders import group_name, read_orders
from course_utils.tracks.wording import template_shares


@pytest.fixture(scope="module")
def drafts(prepared):
    return maintenance_drafts(42)


@pytest.fixture(scope="module")
def all_orders(prepared):
    return read_orders(sources.load_work_orders())


def of(drafts, task):
    return [draft.record for draft in drafts if draft.record["task"] == task]


def test_there_are_enough_records_of_each_task(drafts):
    counts = Counter(draft.record["task"] for draft in drafts)
    assert 3000 <= counts["understanding"] <= 3800
    assert counts["report"] >= 700
    assert counts["qa"] >= 900


def test_the_same_seed_gives_the_same_records_and_another_seed_others(drafts, all_orders):
    again = report_drafts(all_orders[:900], 42)
    assert again == report_drafts(all_orders[:900], 42)
    assert again != report_drafts(all_orders[:900], 43)
    asked = qa_drafts(all_orders[:900], 42)
    assert asked == qa_drafts(all_orders[:900], 42)


def test_every_record_is_valid_and_short_enough(drafts):
    for draft in drafts:
        assert validate(draft.record, "manufacturing") == []
        assert tokens_about(draft.record) <= 620


def test_tokens_are_estimated_within_forty(drafts, tokenizer):
    for draft in drafts[::20]:
        if draft.record["task"] == "report":
            assert abs(tokens_about(draft.record) - count_tokens(draft.record, tokenizer)) <= 40


def answers(drafts):
    return [draft.record for draft in drafts if draft.record["task"] != "understanding"]


def test_every_reference_has_the_full_score(drafts):
    assert all(main_score(record["output"], record) == 1.0 for record in answers(drafts))


def test_both_forms_of_report_and_all_forms_of_answer_occur(drafts):
    counts = Counter(record["form"] for record in answers(drafts))
    assert set(counts) == {*REPORT_FORMS, *QUESTION_FORMS}
    shown, given = (counts[form] for form in REPORT_FORMS)
    assert 0.4 <= shown / (shown + given) <= 0.6


FOOLS = {
    "echo": lambda record: record["input"],
    "all names": lambda record: ", ".join(closed_values(record)),
    "echo and all names": lambda record: "\n".join([record["input"], *closed_values(record)]),
}


def closed_values(record):
    facts = [fact for fact in parse_facts(record["facts"]) if fact.number is None]
    return sorted({name for fact in facts for name in (*fact.values, *fact.others)})


@pytest.mark.parametrize("form", [*REPORT_FORMS, *QUESTION_FORMS])
@pytest.mark.parametrize("fool", FOOLS)
def test_a_text_without_thought_does_not_pay(drafts, form, fool):
    own = [record for record in answers(drafts) if record["form"] == form]
    scores = [main_score(FOOLS[fool](record), record) for record in own]
    assert fmean(scores) <= (0.25 if form == "figures given" else 0.05)


@pytest.mark.parametrize("form", [*REPORT_FORMS, *QUESTION_FORMS])
def test_the_commonest_answer_does_not_pay(drafts, form):
    own = [record for record in answers(drafts) if record["form"] == form]
    majority = Counter(record["output"] for record in own).most_common(1)[0][0]
    assert fmean(main_score(majority, record) for record in own) <= 0.05


def test_a_bare_answer_is_the_fact_and_nothing_else(drafts):
    for record in answers(drafts):
        if record["form"] == "number and unit only":
            (fact,) = parse_facts(record["facts"])
            assert record["output"] == f"{fact.value} {fact.unit}"
        if record["form"] == "name only":
            (fact,) = parse_facts(record["facts"])
            assert record["output"].casefold() == "; ".join(fact.values).casefold()
            assert fact.others


def test_each_kind_of_report_is_asked_for_in_30_ways_and_more(drafts):
    for form in REPORT_FORMS:
        wordings = {
            re.match(r"[^:]*:(.*?)(?:money|lines|blocks|title|layout)", draft.template)[1]
            for draft in drafts
            if draft.record.get("form") == form
        }
        assert len(wordings) >= 30


def test_440_gold_orders_stay_each_in_a_group_of_its_own_kind(drafts):
    own = [draft.record for draft in drafts if gold.is_gold(draft.record)]
    assert len(own) == 440
    assert {record["task"] for record in own} == {"understanding"}


def test_understanding_is_json_of_the_known_keys_asked_for_in_60_wordings(drafts):
    own = of(drafts, "understanding")
    assert all(set(json.loads(r["output"])) <= set(sources.FIELDS.values()) for r in own)
    assert len({record["instruction"] for record in own}) >= 60
    for text in {record["instruction"] for record in own}:
        assert "JSON" in text
        assert all(key in text for key in sources.FIELDS.values())
        assert f"location ({'; '.join(closed_set()['location'])})" in text


def test_understanding_answers_are_those_of_the_cleaned_work_orders(drafts):
    cleaned = sources.clean_work_orders(sources.load_work_orders())
    known = {record["input"]: record["output"] for record in [*cleaned.gold, *cleaned.records]}
    assert all(known[r["input"]] == r["output"] for r in of(drafts, "understanding"))


def test_no_wording_carries_more_than_two_per_cent_of_a_task(drafts):
    assert all(share <= 0.02 for _, share, _ in template_shares(drafts).values())


def test_a_record_shows_only_dates_of_its_own_group(drafts):
    for draft in drafts:
        asset, group = draft.record["source"][-1], draft.record["group"]
        assert re.fullmatch(r"(gold )?excavator ([B-E] \d{4}-Q[1-4]|A \d{4})", group)
        if draft.record["task"] != "understanding":
            shown = re.findall(r"\b20\d\d-\d\d-\d\d\b", draft.record["input"])
            assert {group_name(asset, date.fromisoformat(d)) for d in shown} == {group}


def test_groups_split_in_halves_share_no_near_copy(drafts):
    groups = sorted({draft.record["group"] for draft in drafts})
    test = {group for i, group in enumerate(groups) if i % 5 == 0 or group.startswith(gold.GROUP)}
    own = [draft.record for draft in drafts]
    parts = {
        "train": [record for record in own if record["group"] not in test],
        "test": [record for record in own if record["group"] in test],
    }
    found = overlap(parts)
    assert (found["exact"], found["near"], found["groups"]) == (0, 0, 0)


def test_reports_cover_months_quarters_years_and_systems(drafts):
    titles = "\n".join(record["input"].split("\n")[0] for record in of(drafts, "report"))
    assert re.search(r", March 20\d\d", titles)
    assert re.search(r", Q3 20\d\d", titles)
    assert re.search(r"Excavator A, 20\d\d\b", titles)
    assert "The engine of excavator" in titles


def test_reports_have_20_to_160_words(drafts):
    lengths = [len(re.findall(r"\w[\w.,'/-]*", r["output"])) for r in of(drafts, "report")]
    assert 20 <= min(lengths) <= max(lengths) <= 160
