"""The report program: right on sheets as the builders write them, silent on all others."""

from decimal import Decimal

import pytest

from course_utils.report_program.reading import Unreadable, find, listing, percent, rounded
from course_utils.report_program.writing import PROGRAMS, write_reports

LOT = {
    "task": "report",
    "document": "quality_report",
    "form": "working shown",
    "instruction": "Calculate the good pieces, first-pass yield and scrap rate, then the yield "
    "target (met or missed) for this lot. Show your arithmetic line by line.",
    "input": "Part brake disc, lateral runout | Spec max 50 µm | Lot number 25022\n"
    "qty 422 / scrap 2 / rework 5\nTarget of first-pass yield: 99 %\nRound: rates 0.1 %",
}
ORDERS = {
    "task": "report",
    "document": "maintenance_log",
    "form": "working shown",
    "instruction": "Write a maintenance report on the engine of excavator C for Q2 2011. Include "
    "the total cost in AUD and the share of orders at no cost in %.",
    "input": "The engine of excavator C, Q2 2011\ndate | type | order | failure mode | AUD\n"
    "2011-04-04 | PM01 | JUMP START | - | 2132\n2011-05-18 | PM01 | LOW OIL | Leak | 0\n"
    "2011-06-16 | PM06 | CREDIT | - | -100\n2011-06-27 | PM01 | STARTER | - | 68",
}


def written(record, **changes):
    return write_reports([], [{**record, **changes}])[0]


def test_a_yield_is_worked_out_line_by_line():
    assert written(LOT).splitlines() == [
        "Good at once = 422 - 2 - 5 = 415",
        "First-pass yield = 415 / 422 = 98.3 %",
        "Scrap rate = 2 / 422 = 0.5 %",
        "Yield target of 99 %: missed.",
    ]


def test_costs_are_added_up_credits_too():
    assert written(ORDERS).splitlines() == [
        "Total cost: 2100 AUD",
        "At no cost: 1 / 4 = 25.0 %",
    ]


@pytest.mark.parametrize(
    "changes",
    [
        {"input": ""},
        {"input": "qty many / scrap none / rework some"},
        {"document": "a document of one's own"},
        {"input": "{" * 50},
        {"input": LOT["input"].replace("422", "0")},
    ],
)
def test_a_sheet_of_another_kind_gets_no_answer(changes):
    assert written(LOT, **changes) == ""
    assert written(LOT, **{"form": "figures given", **changes}) == ""


@pytest.mark.parametrize("document", PROGRAMS)
def test_neither_facts_nor_reference_are_read(document):
    record = {**LOT, "document": document}
    assert written(record) == written(record, facts="yield=1 %", output="100 %")


def test_small_pieces():
    assert listing([]) == ""
    assert listing(["1"]) == "1"
    assert listing(["1", "2", "6"]) == "1, 2 and 6"
    assert str(percent(1, 8)) == "12.5"
    assert str(rounded(Decimal("2.345"), 2)) == "2.35"  # half up
    with pytest.raises(Unreadable):
        find("x", "y")
