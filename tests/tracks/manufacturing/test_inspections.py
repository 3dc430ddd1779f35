"""Inspection reports: one remedy, the rule of the sheet, two variants, facts as asked."""

import random
import re
from dataclasses import replace
from decimal import Decimal

import pytest

from course_utils.facts import parse_facts
from course_utils.tracks.knowledge import load
from course_utils.tracks.manufacturing import inspections, manuals
from course_utils.tracks.manufacturing.inspections import GIVEN, WORKING, Inspection
from course_utils.tracks.manufacturing.manual_pages import pages
from course_utils.tracks.manufacturing.readings import VERDICTS, Reading

BASE = {one.id: one for one in load()}


@pytest.fixture(scope="module")
def reports():
    drafts = [draft.record for draft in manuals.manual_drafts(42)]
    return [record for record in drafts if record["task"] == "report"]


def of(reports, form):
    return [record for record in reports if record["form"] == form]


def facts_of(record):
    return {fact.name: fact for fact in parse_facts(record["facts"])}


def modes_of(record):
    machine, _, names = record["group"].partition("/")
    return [mode for mode in BASE[machine].failure_modes if mode.id in names.split("+")]


def test_both_variants_are_there_about_equally_often(reports):
    working, given = len(of(reports, WORKING)), len(of(reports, GIVEN))
    assert working + given == len(reports) > 750
    assert 0.8 < working / given < 1.25


@pytest.mark.parametrize("form", [WORKING, GIVEN])
def test_each_variant_has_at_least_30_instructions(form):
    assert len(set(inspections.SAY["request"][form])) >= 30


def test_cause_action_and_safety_of_a_report_come_from_one_remedy(reports):
    seen = 0
    for record in reports:
        facts = facts_of(record)
        if "action" not in facts:
            continue
        links = [
            one
            for mode in modes_of(record)
            for one in mode.remedies
            if (one.action, one.safety) == (facts["action"].value, facts["safety"].value)
        ]
        assert any(one.cause in record["input"] for one in links), record
        line = next(
            line for line in record["input"].splitlines() if "-> " + links[0].action in line
        )
        assert links[0].safety in line
        seen += 1
    assert seen > 400


def test_a_sheet_and_its_report_name_only_the_origin_of_the_suspected_cause(reports):
    seen = 0
    for record in reports:
        line = next(line for line in record["input"].splitlines() if line.startswith("Component:"))
        origin = line.partition("; suspected cause mended at: ")[2]
        suspected = re.search(
            r"(?:Suspected cause|Cause in view|this cause): (.+)", record["input"]
        )
        (one,) = {
            (one.cause, one.origin)
            for mode in modes_of(record)
            for one in mode.remedies
            if one.cause == suspected[1] and f"Component: {mode.component}" in line
        }
        assert origin == one[1], record
        facts = facts_of(record)
        if "component" in facts:
            assert facts["origin"].value == origin if origin else "origin" not in facts
        seen += bool(origin)
    assert seen > 100


def inspection(mode_index=0, stop=False, within=True):
    page = pages(BASE["mechanical_press"])[0]
    mode = page.modes[0]
    signs = [
        sign.model_copy(update={"stop": stop and i == 0}) for i, sign in enumerate(mode.reported)
    ]
    mode = mode.model_copy(update={"reported": signs})
    check = next(check for check in mode.checks if check.limit == "at most")
    limit = Decimal(check.value)
    mean = limit / 2 if within else limit * 2
    reading = Reading(check, (mean,), mean, limit)
    return Inspection(page, mode, "MP-1", signs[mode_index], mode.remedies[0], reading)


@pytest.mark.parametrize(
    ("stop", "within", "due"), [(False, True, False), (False, False, True), (True, True, True)]
)
def test_what_is_damaged_is_repaired_beside_the_cause(stop, within, due):
    """A worn hook was "cured" by another shackle."""
    found = inspection(0, stop=stop, within=within)
    remedy = found.remedy.model_copy(update={"repair": "renew the worn lining"})
    assert replace(found, remedy=remedy).repair == ("renew the worn lining" if due else "")


def test_a_report_on_a_machine_that_stops_names_the_repair_of_its_remedy(reports):
    seen = 0
    for record in reports:
        facts = facts_of(record)
        if "action" in facts and facts["disposition"].value != "keep in service":
            (repair,) = {
                one.repair
                for mode in modes_of(record)
                for one in mode.remedies
                if (one.action, one.safety) == (facts["action"].value, facts["safety"].value)
                and one.cause in record["input"]
            }
            assert (facts["repair"].value if "repair" in facts else "") == repair, record
            assert repair.casefold() in record["output"].casefold()
            seen += bool(repair)
        else:
            assert "repair" not in facts
    assert seen > 150


@pytest.mark.parametrize("within", [True, False])
def test_a_stop_sign_as_complaint_stops_the_machine_whatever_the_reading(within):
    assert inspection(0, stop=True, within=within).disposition == "out of service"


def test_a_class_a_fault_stops_beyond_its_limit_and_a_class_b_fault_is_repaired_later():
    assert inspection(1, stop=True, within=False).disposition == "out of service"
    assert inspection(1, stop=False, within=False).disposition == "repair at the next stop"
    assert inspection(1, stop=True, within=True).disposition == "keep in service"
    assert inspection(1, stop=False, within=True).disposition == "keep in service"


def test_every_report_on_a_stop_symptom_of_the_base_ends_out_of_service(reports):
    for record in reports:
        stops = [sign.text for mode in modes_of(record) for sign in mode.reported if sign.stop]
        complaint = record["input"].split("Remedies")[0].split("Manual")[0]
        if any(sign in complaint for sign in stops):
            assert facts_of(record)["disposition"].value == "out of service", record


def test_facts_are_what_the_instruction_asks_for(reports):
    names = {"mean": {"mean"}, "reading": {"reading", "limit"}, "place": {"component"}}
    names |= {"remedy": {"action", "safety"}, "deviation": {"deviation", "side"}}
    for record in reports:
        expected = set()
        for asked, wordings in inspections.SAY["asked"].items():
            if any(wording in record["instruction"] for wording in wordings):
                expected |= names.get(asked, {asked})
        assert set(facts_of(record)) - {"origin", "repair"} == expected


def test_a_sheet_with_given_figures_holds_many_and_states_no_conclusion(reports):
    for record in of(reports, GIVEN):
        figures = re.findall(r"(?<![\w.-])[+-]?\d+(?:\.\d+)?(?![\w.]*-)", record["input"])
        assert len(figures) >= 20, record["input"]
        told = "\n".join(record["input"].splitlines()[:-1])  # the rule stands last
        assert not any(word in told for word in (*VERDICTS, *inspections.DISPOSITIONS))


def test_a_sheet_without_figures_does_not_hold_the_mean_among_its_readings(reports):
    for record in of(reports, WORKING):
        if mean := facts_of(record).get("mean"):
            line = next(line for line in record["input"].splitlines() if "limit" in line.casefold())
            assert mean.value not in line.split("imit")[0].replace(",", " ").split()


def test_the_same_seed_draws_the_same_reports():
    page = pages(BASE["gearbox"])[0]
    first, second = (
        list(inspections.inspection_reports(page, page.modes[0], random.Random(3))) for _ in "ab"
    )
    assert first == second
