"""Inspection reports: a reading lies where it was drawn, and the verdict follows from its sheet."""

import random
from decimal import Decimal

import pytest

from course_utils.facts import Fact, fact_accuracy, parse_facts, stands_in
from course_utils.tracks.knowledge import Quantity, load
from course_utils.tracks.manufacturing import inspections, manuals

BASE = {one.id: one for one in load()}


@pytest.fixture(scope="module")
def reports():
    drafts = [draft.record for draft in manuals.manual_drafts(42)]
    return [record for record in drafts if record["task"] == "report"]


def quantity(limit="at most", value="4.5", upper=None, unit="mm/s"):
    return Quantity(name="vibration velocity", limit=limit, value=value, upper=upper, unit=unit)


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
    measured = inspections.measure(own, inside, random.Random(seed))
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
    assert inspections.measure(quantity("equal to"), True, rng) is None
    assert inspections.measure(quantity("at least", "0"), False, rng) is None


def test_every_report_states_its_six_facts(reports):
    for record in reports:
        facts = parse_facts(record["facts"])
        assert [fact.name for fact in facts] == [
            *("machine", "component", "measured", "limit", "deviation", "verdict")
        ]
        assert fact_accuracy(record["output"], facts) == 1, record


def test_deviation_and_verdict_of_every_report_follow_from_its_sheet(reports):
    for record in reports:
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


def test_a_report_never_says_both_within_and_outside(reports):
    for record in reports:
        verdict = parse_facts(record["facts"])[-1].value
        other = "outside" if verdict == "within" else "within"
        assert not stands_in(record["output"].split(" the limit")[0], Fact("verdict", other)) or (
            other in record["input"]
        ), record
