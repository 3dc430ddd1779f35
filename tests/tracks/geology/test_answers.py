"""The answers of the geology track are true: recomputed from what each question prints."""

import re

import pytest

from course_utils.facts import answers_number, parse_facts
from course_utils.tracks.geology import minerals


def of(drafts, *names):
    found = [d.record for d in drafts if d.template.split(":")[0] in names]
    assert len(found) > 10
    return found


def test_every_reference_answer_states_its_own_number(all_records):
    numeric = [record for record in all_records if record.get("facts")]
    wrong = [
        record
        for record in numeric
        if not answers_number(record["answer"], parse_facts(record["facts"])[0])
    ]
    assert len(numeric) > 1000
    assert wrong == []


def test_every_calculation_in_an_answer_is_right(all_records):
    """The working is evaluated; the printed result may differ by its last digit's rounding."""
    checked = 0
    for record in all_records:
        left, equals, right = record["answer"].rpartition(" = ")
        left = re.split(r": | = |nm, ", left)[-1]
        if not equals or not re.fullmatch(r"[\d.,x()/+\- ]+", left):
            continue  # no working was shown
        told = re.match(r"-?[\d.]+", right)[0]
        decimals = len(told.partition(".")[2])
        rounding = 0.51 * 10**-decimals
        if record["group"].startswith("mixture/"):
            rounding += 0.004  # the true fraction is told, the table has three decimals
        worked = eval(left.replace(",", "").replace("x", "*"))
        assert abs(worked - float(told)) <= rounding, record
        checked += 1
    assert checked > 500


def table_in(context):
    return {int(nm): float(v) for nm, v in re.findall(r"(\d{3,4}): (\d\.\d{3})", context)}


def test_the_lowest_band_is_the_lowest_of_the_printed_table(drafts):
    for record in of(drafts, "spectra/lowest band"):
        table = table_in(record["context"])
        assert 7 <= len(table) <= 9
        assert parse_facts(record["facts"])[0].number == min(table, key=table.get)


def test_the_depth_follows_from_the_printed_table(drafts):
    for record in of(drafts, "spectra/depth"):
        table = table_in(record["context"])
        nm = int(re.search(r"(\d+) nm", record["instruction"])[1])
        first, last = min(table), max(table)
        line = table[first] + (nm - first) / (last - first) * (table[last] - table[first])
        told = parse_facts(record["facts"])[0].number
        assert told == pytest.approx(1 - table[nm] / line, abs=0.006)


def test_a_noisy_spectrum_still_shows_what_it_is(drafts):
    noisy = [r for r in of(drafts, "spectra/identify") if "Signal-to-noise" in r["context"]]
    assert len(noisy) > 20
    for record in noisy:
        centre = float(re.findall(r"(\d+) nm", record["answer"])[1])
        table = table_in(record["context"])
        assert abs(min(table, key=table.get) - centre) <= 12


def test_a_question_with_context_has_its_answer_in_the_context(drafts):
    names = [f"alteration/{a} in context" for a in ("minerals", "setting", "conditions", "shows")]
    names += [f"mistakes/{a} in context" for a in ("cause", "cure", "symptom")]
    names += [f"preprocessing/{a} in context" for a in ("how", "omitted")]
    names += [f"unmixing/{a} in context" for a in ("meaning", "use", "limit")]
    for record in of(drafts, *names):
        assert record["answer"].rstrip(".").casefold() in record["context"].casefold()


def test_a_property_in_context_stands_there(drafts):
    for wanted in ("formula", "Mohs hardness", "specific gravity", "crystal system"):
        for record in of(drafts, f"properties/{wanted} in context"):
            value = record["answer"].split(" is ")[-1].split(" of ")[-1].rstrip(".")
            assert value.casefold() in record["context"].casefold()


def test_the_candidate_that_fits_is_the_only_one(drafts):
    printed = re.compile(r"(?:gravity |has |gravity of )(\d+\.\d\d)(?:\. C|\.$|;)")
    table = {mineral.name: mineral for mineral in minerals.table()}
    for record in of(drafts, "properties/which fits"):
        measured = float(printed.search(record["context"])[1])
        named = re.split(r"[^a-z ]+", record["context"].casefold())
        candidates = [
            m
            for name, m in table.items()
            if any(part.split()[-1:] == [name.casefold()] for part in named)
        ]
        ends = {m.name: m.specific_gravity for m in candidates}
        fitting = [n for n, (low, high) in ends.items() if low - 0.01 <= measured <= high + 0.01]
        assert len(candidates) >= 3
        assert fitting == [re.split(r"[:,]", record["answer"])[0]]
