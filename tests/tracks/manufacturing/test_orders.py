"""Work orders: figures and answers to questions are those worked out by hand."""

from datetime import date

import pytest

from course_utils import sources
from course_utils.gold import read_gold, texts_of
from course_utils.splits import normalise
from course_utils.tracks.manufacturing import order_working
from course_utils.tracks.manufacturing.order_items import items_computed, items_given
from course_utils.tracks.manufacturing.order_periods import Period
from course_utils.tracks.manufacturing.order_questions import questions
from course_utils.tracks.manufacturing.order_working import chain
from course_utils.tracks.manufacturing.orders import (
    decimal,
    figures,
    group_name,
    mean_days_between,
    most,
    read_orders,
    without_gold,
)

ROWS = [  # date, text, type, cost; our rules read systems and failure modes in the text
    ("2004-03-01", "HYD HOSE LEAKING ON ENGINE", "PM01", "100.40"),
    ("2004-03-01", "REPLACE BATTERY", "PM01", "0"),
    ("2004-03-05", "HYD OIL LEAK ON BOOM", "PM01", "250.5"),
    ("2004-03-12", "CHANGEOUT LH ENGINE", "PM02", "9000"),
    ("2004-03-20", "BUCKET CRACKED", "PM01", "-50.2"),
    ("2004-03-31", "HYD PUMP NOISE", "PM01", "49"),
]


def orders_of(rows, asset="C"):
    import pandas

    names = ("BscStartDate", "OriginalShorttext", "PMType", "Cost")
    return read_orders(pandas.DataFrame(rows, columns=names).assign(Asset=asset))


def month_of(orders):
    return Period("excavator C", "month", "in March 2004", "March 2004", tuple(orders))


@pytest.fixture(scope="module")
def all_orders(prepared):
    return read_orders(sources.load_work_orders())


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
    assert (what.share("PM01"), what.share("PM02"), what.share("PM06")) == ("83.3", "16.7", "0.0")
    assert (what.dearest, what.median, what.above(250)) == ("Engine", 75, 2)  # (49 + 100) / 2
    assert (what.free, what.credits, what.unnamed) == (1, 50, (1, 0))
    assert what.costliest.text == "CHANGEOUT LH ENGINE"
    assert what.between == "10.0"  # PM01 dates 1, 5, 20, 31 March: 30 days in 3 steps


def test_mean_days_between_dates_counts_each_date_once_and_needs_three():
    days = [date(2004, 1, day) for day in (1, 1, 4, 8)]
    assert mean_days_between(days) == "3.5"
    assert mean_days_between(days[:3]) is None
    assert mean_days_between([date(2004, 2, d) for d in (1, 2, 4, 7, 10)]) == "2.3"


def test_rows_that_repeat_an_order_are_one_order_with_what_its_text_states():
    again = ("2004-03-01", "HYD HOSE  LEAKING ON ENGINE", "PM01", "100.40")
    first = orders_of([ROWS[0], again])
    assert len(first) == 1
    assert (first[0].systems, first[0].modes) == (("Engine", "Hydraulic System"), ("Leak",))
    assert len(orders_of([ROWS[0], (*again[:3], "7")])) == 2  # another cost


def test_orders_without_gold_lack_the_texts_of_gold_and_no_other(all_orders, prepared):
    table = sources.load_work_orders()
    gold = {normalise(text) for text in texts_of(read_gold(), table)}
    kept = without_gold(all_orders, table)
    assert not gold & {normalise(order.text) for order in kept}
    assert gold == {normalise(order.text) for order in set(all_orders) - set(kept)}


def test_a_tie_and_a_single_occurrence_have_no_most_frequent_name():
    assert most({"Engine": 2, "Bucket": 2, "Slew": 1}) is None
    assert most({"Engine": 1}) is None
    assert most({}) is None
    assert most({"Engine": 2, "Bucket": 3}) == "Bucket"


@pytest.mark.parametrize(
    ("over", "under", "text"),
    [(100, 8, "12.5"), (100, 3, "33.3"), (600, 6, "100.0"), (9, 4, "2.3")],
)
def test_ratios_have_one_decimal_with_halves_up(over, under, text):
    assert decimal(over, under) == text


def test_the_group_is_the_quarter_and_for_the_thin_asset_the_year():
    assert group_name("D", date(2005, 9, 30)) == "excavator D 2005-Q3"
    assert group_name("A", date(2006, 1, 1)) == "excavator A 2006"


def test_answers_to_questions_are_those_worked_out_by_hand():
    asked = questions(orders_of(ROWS))
    right = {(q.kind, q.values.get("label", "")): str(q.facts[0]) for q in asked}
    dates = "2004-03-01 | 2004-03-05 | 2004-03-20 | 2004-03-31"
    assert right["top system", ""] == "answer=Hydraulic System | Engine | Bucket"
    assert right["again", ""] == "answer=Hydraulic System & Engine | Bucket"
    assert right["top mode", ""] == "answer=Leak | Noise | Structural Integrity"
    assert right["costliest", ""] == f"answer=2004-03-12 | {dates}"
    assert right["dearest", ""] == "answer=Engine | Hydraulic System | Bucket"
    assert right["cost all", ""] == "answer=9350 AUD"
    assert right["mean", ""] == "answer=1558 AUD"
    assert right["unplanned", ""] == "answer=83.3 %"
    assert right["share", "Engine"] == "answer=33.3 %"
    assert right["gap", ""] == "answer=4 days"
    assert right["span", ""] == "answer=30 days"
    assert right["longest", ""] == "answer=11 days"
    assert right["free", ""] == "answer=1 work order"
    assert right["done", ""] == "answer=replaced | repaired | welded | rewelded"


def test_yes_and_no_come_with_the_figures_that_show_it():
    asked = {(q.kind, *q.values.values()): q.facts for q in questions(orders_of(ROWS))}
    more = asked["cost more", "Engine", "Bucket", "9100 AUD", "-50 AUD", "Yes"]
    assert list(map(str, more)) == ["answer=yes | no", "first=9100 AUD", "second=-50 AUD"]
    less = asked["more often", "Bucket", "Engine", "1 work order", "2 work orders", "No"]
    assert str(less[0]) == "answer=no | yes"
    assert str(asked["budget", "10000", "9350 AUD", "No"][0]) == "answer=no | yes"
    assert str(asked["mostly unplanned", "80", "83.3 %", "Yes"][1]) == "share=83.3 %"


def test_ties_are_never_asked():
    rows = [
        ("2004-03-01", "ENGINE LEAK", "PM01", "80"),
        ("2004-03-03", "ENGINE OIL LEAK", "PM01", "20"),
        ("2004-03-05", "BUCKET CRACK", "PM01", "80"),
        ("2004-03-07", "BUCKET CRACKED", "PM01", "20"),
    ]
    asked = {question.kind for question in questions(orders_of(rows))}
    assert not asked & {"top system", "top mode", "costliest", "dearest", "difference"}
    assert not asked & {"more often", "cost more", "again"}
    period = month_of(orders_of(rows))
    items = items_given(period, figures(period.orders)) | items_computed(
        period, figures(period.orders)
    )
    assert not set(items) & {"system", "mode", "dearest", "costliest", "system share", "mode share"}


def test_facts_of_reports_are_those_worked_out_by_hand():
    period = month_of(orders_of(ROWS))
    given = items_given(period, figures(period.orders))
    assert list(map(str, given["system"])) == [
        "most frequent system=Hydraulic System | Engine | Bucket",
        "orders of that system=3 work orders",
    ]
    assert list(map(str, given["dearest"]))[1] == "cost of that system=9100 AUD"
    assert list(map(str, given["watch"])) == [
        "watch list=Hydraulic System & Engine | Bucket"  # 50.0 and 33.3 %, but 16.7 %
    ]
    computed = items_computed(period, figures(period.orders))
    told = {name: str(facts[-1]) for name, facts in computed.items()}
    assert told["mean"] == "mean cost=1558 AUD"
    assert told["top share"] == "share of the costliest order=96.3 %"
    assert told["free share"] == "share at no cost=16.7 %"
    assert told["mode share"] == "share of that mode=33.3 %"
    assert told["between"] == "mean days between PM01 dates=10.0 days"


def test_a_chain_adds_two_numbers_at_a_time():
    assert chain([100, 251, -50]) == "100 + 251 = 351, 351 - 50 = 301"
    assert chain([7]) == "7"


def test_a_date_says_how_many_orders_it_stands_for():
    first, second = date(2011, 10, 17), date(2011, 10, 19)
    told = order_working._dates([first] * 6 + [second] * 2)
    assert told == "2011-10-17 6 times and 2011-10-19 twice"


def test_a_thing_that_two_orders_speak_of_is_not_asked_about():
    rows = [ROWS[1], ("2004-03-05", "FLAT BATTERY", "PM01", "250")]
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
