"""Work orders: figures and answers to questions are those worked out by hand."""

from datetime import date

import pytest

from course_utils import sources
from course_utils.tracks.manufacturing.order_questions import questions
from course_utils.tracks.manufacturing.orders import (
    decimal,
    figures,
    group_name,
    mean_time_between_failures,
    most,
    read_orders,
)

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
    return read_orders(pandas.DataFrame(rows, columns=names).assign(Asset=asset))


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
    assert group_name("D", date(2005, 9, 30)) == "excavator D 2005-Q3"
    assert group_name("A", date(2006, 1, 1)) == "excavator A 2006"


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
