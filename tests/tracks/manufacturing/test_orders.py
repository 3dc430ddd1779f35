"""The maintenance log: figures computed by hand, and properties over every record."""

import json
import re
from collections import Counter
from datetime import date

import pytest

from course_utils import sources
from course_utils.facts import fact_accuracy, parse_facts
from course_utils.records import overlap, validate
from course_utils.tracks.manufacturing import orders as maintenance
from course_utils.tracks.manufacturing.orders import (
    decimal,
    figures,
    mean_time_between_failures,
    most,
    questions,
)
from course_utils.tracks.wording import template_shares

ROWS = [  # date, text, type, cost, system, failure mode
    ("2004-03-01", "HOSE LEAKING", "PM01", "100.40", "Engine_Hydraulic System", "Leak"),
    ("2004-03-01", "REPLACE BATTERY", "PM01", "0", "", "Unspecified"),
    ("2004-03-05", "OIL LEAK ON BOOM", "PM01", "250.5", "Hydraulic System", "Leak"),
    ("2004-03-12", "CHANGEOUT LH ENGINE", "PM02", "9000", "Engine", ""),
    ("2004-03-20", "BUCKET CRACKED", "PM01", "-50.2", "Bucket", "Structural Integrity"),
    ("2004-03-31", "HYD PUMP NOISE", "PM01", "49", "Hydraulic System", "Noise"),
]


def orders_of(rows, asset="C"):
    import pandas

    names = ("BscStartDate", "OriginalShorttext", "PMType", "Cost", "MajorSystem", "FM")
    return maintenance.read_orders(pandas.DataFrame(rows, columns=names).assign(Asset=asset))


@pytest.fixture(scope="module")
def drafts(prepared):
    return maintenance.maintenance_drafts(42)


@pytest.fixture(scope="module")
def all_orders(prepared):
    return maintenance.read_orders(sources.load_work_orders())


def of(drafts, task):
    return [draft.record for draft in drafts if draft.record["task"] == task]


def test_figures_of_six_orders_are_those_worked_out_by_hand():
    what = figures(orders_of(ROWS))
    assert (what.orders, what.cost) == (6, 100 + 0 + 251 + 9000 - 50 + 49)
    assert what.systems == {
        "Hydraulic System": (3, 400),
        "Engine": (2, 9100),
        "Bucket": (1, -50),
    }
    assert (what.top_system, what.top_mode) == ("Hydraulic System", "Leak")
    assert what.modes == {"Leak": 2, "Noise": 1, "Structural Integrity": 1}
    assert (what.share("PM01"), what.share("PM02"), what.share("PM06")) == ("83.3", "16.7", "0")
    assert (what.free, what.credits, what.unnamed) == (1, 50, (1, 0))
    assert what.costliest.text == "CHANGEOUT LH ENGINE"
    assert what.mtbf == "10.0"  # failure dates 1, 5, 20, 31 March: 30 days in 3 steps


def test_mean_time_between_failures_counts_each_date_once_and_needs_three():
    days = [date(2004, 1, day) for day in (1, 1, 4, 8)]
    assert mean_time_between_failures(days) == "3.5"
    assert mean_time_between_failures(days[:3]) is None
    assert mean_time_between_failures([date(2004, 2, d) for d in (1, 2, 4, 7, 10)]) == "2.3"


def test_rows_that_repeat_an_order_are_one_order_with_all_labels():
    again = ("2004-03-01", "HOSE  LEAKING", "PM01", "100.40", "Bucket_Engine", "Leak")
    first = orders_of([ROWS[0], again])
    assert len(first) == 1
    assert first[0].systems == ("Engine", "Hydraulic System", "Bucket")
    assert len(orders_of([ROWS[0], (*again[:3], "7", *again[4:])])) == 2  # another cost


def test_a_tie_and_a_single_occurrence_have_no_most_frequent_name():
    assert most({"Engine": 2, "Bucket": 2, "Slew": 1}) is None
    assert most({"Engine": 1}) is None
    assert most({}) is None
    assert most({"Engine": 2, "Bucket": 3}) == "Bucket"


@pytest.mark.parametrize(
    ("over", "under", "text"), [(100, 8, "12.5"), (100, 3, "33.3"), (600, 6, "100"), (9, 4, "2.3")]
)
def test_ratios_have_one_decimal_with_halves_up(over, under, text):
    assert decimal(over, under) == text


def test_the_group_is_the_quarter_and_for_the_thin_asset_the_year():
    assert maintenance.group_name("D", date(2005, 9, 30)) == "excavator D 2005-Q3"
    assert maintenance.group_name("A", date(2006, 1, 1)) == "excavator A 2006"


def test_answers_to_questions_are_those_worked_out_by_hand():
    answers = {q.kind: str(q.facts[0]) for q in questions(orders_of(ROWS))}
    assert answers["top system"] == "answer=Hydraulic System"
    assert answers["top mode"] == "answer=Leak"
    assert answers["costliest"] == "answer=CHANGEOUT LH ENGINE"
    assert answers["cost all"] == "answer=9350 AUD"
    assert answers["gap"] == "answer=4 d"
    assert answers["span"] == "answer=30 d"
    assert answers["longest"] == "answer=11 d"
    assert answers["dearest"] == "answer=Engine"
    assert answers["difference"] == "answer=8700 AUD"
    assert answers["free"] == "answer=1 work order"
    assert answers["done"] == "answer=replaced"


def test_ties_are_never_asked():
    rows = [
        ("2004-03-01", "A LEAK", "PM01", "80", "Engine", "Leak"),
        ("2004-03-03", "B LEAK", "PM01", "20", "Engine", "Leak"),
        ("2004-03-05", "C CRACK", "PM01", "80", "Bucket", "Structural Integrity"),
        ("2004-03-07", "D CRACK", "PM01", "20", "Bucket", "Structural Integrity"),
    ]
    asked = {question.kind for question in questions(orders_of(rows))}
    assert not asked & {"top system", "top mode", "costliest", "dearest", "difference", "longest"}


def test_a_thing_that_two_orders_speak_of_is_not_asked_about():
    rows = [(*ROWS[1][:1], "REPLACE BATTERY", *ROWS[1][2:])]
    rows += [("2004-03-05", "FLAT BATTERY", "PM01", "250", "", "")]
    assert "done" not in {question.kind for question in questions(orders_of(rows))}


def test_the_real_orders_add_up_as_pandas_adds_them(all_orders):
    import pandas

    table = pandas.DataFrame([vars(order) for order in all_orders])
    what = figures(all_orders)
    assert len(all_orders) == 5126  # 5,484 rows less 358 that repeat an order
    assert what.cost == table["cost"].sum()
    systems = table.explode("systems").groupby("systems")["cost"].agg(["size", "sum"])
    assert what.systems == {name: tuple(row) for name, row in systems.iterrows()}
    assert what.modes == table.explode("modes")["modes"].value_counts().to_dict()


def test_there_are_enough_records_of_each_task(drafts):
    counts = Counter(draft.record["task"] for draft in drafts)
    assert 3000 <= counts["understanding"] <= 3800
    assert counts["report"] >= 700
    assert counts["qa"] >= 900


def test_the_same_seed_gives_the_same_records_and_another_seed_others(drafts, all_orders):
    again = maintenance.report_drafts(all_orders[:900], 42)
    assert again == maintenance.report_drafts(all_orders[:900], 42)
    assert again != maintenance.report_drafts(all_orders[:900], 43)
    asked = maintenance.qa_drafts(all_orders[:900], 42)
    assert asked == maintenance.qa_drafts(all_orders[:900], 42)


def test_every_record_is_valid_and_short_enough(drafts):
    for draft in drafts:
        record = {name: text for name, text in draft.record.items() if name != "facts"}
        assert validate(record, "manufacturing") == []
        assert len(record["instruction"] + record["input"] + record["output"]) <= 1300


def test_every_answer_states_all_its_facts(drafts):
    told = [draft.record for draft in drafts if draft.record["task"] != "understanding"]
    assert all(
        fact_accuracy(record["output"], parse_facts(record["facts"])) == 1.0 for record in told
    )
    assert {len(parse_facts(record["facts"])) for record in of(drafts, "report")} == {5, 6, 7}


def test_understanding_is_json_of_the_known_keys_asked_for_in_60_wordings(drafts):
    own = of(drafts, "understanding")
    assert all(set(json.loads(r["output"])) <= set(sources.FIELDS.values()) for r in own)
    assert len({record["instruction"] for record in own}) >= 60
    for text in {record["instruction"] for record in own}:
        assert "JSON" in text
        assert all(key in text for key in sources.FIELDS.values())


def test_understanding_answers_are_those_of_the_cleaned_work_orders(drafts):
    cleaned = sources.clean_work_orders(sources.load_work_orders()).records
    known = {record["input"]: record["output"] for record in cleaned}
    assert all(known[r["input"]] == r["output"] for r in of(drafts, "understanding"))


def test_no_wording_carries_more_than_two_per_cent_of_a_task(drafts):
    assert all(share <= 0.02 for _, share, _ in template_shares(drafts).values())


def test_a_record_shows_only_dates_of_its_own_group(drafts):
    for draft in drafts:
        asset, group = draft.record["source"][-1], draft.record["group"]
        assert re.fullmatch(r"excavator ([B-E] \d{4}-Q[1-4]|A \d{4})", group)
        if draft.record["task"] != "understanding":
            shown = re.findall(r"\b20\d\d-\d\d-\d\d\b", draft.record["input"])
            assert {maintenance.group_name(asset, date.fromisoformat(d)) for d in shown} == {group}


def test_groups_split_in_halves_share_no_near_copy(drafts):
    groups = sorted({draft.record["group"] for draft in drafts})
    test = set(groups[::5])
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


def test_reports_have_50_to_110_words(drafts):
    lengths = [len(re.findall(r"\w[\w.,'/-]*", r["output"])) for r in of(drafts, "report")]
    assert 50 <= min(lengths) <= max(lengths) <= 110
