"""The real work orders: what comes in, what is dropped and why, and splits without leaks."""

import csv
import json
import re
from collections import Counter
from pathlib import Path

import pytest

from course_utils import gold, records, sources
from course_utils.order_fields import as_answer, closed_set
from course_utils.order_labels import apply_rules
from course_utils.sources import FIELDS

SIZES = {"train": 1600, "val": 96, "test": 240}  # those of the cpu preset


@pytest.fixture(scope="module")
def table(prepared):
    return sources.load_work_orders()


@pytest.fixture(scope="module")
def cleaned(table):
    return sources.clean_work_orders(table)


@pytest.fixture(scope="module")
def parts(cleaned):
    return sources.split_work_orders(cleaned, SIZES, seed=42)


def small_table(*rows):
    """A table of the source's columns; a row is (text, {column: label})."""
    import pandas

    empty = {"Asset": "A", "PMType": "PM01", **dict.fromkeys(FIELDS)}
    return pandas.DataFrame([{**empty, "OriginalShorttext": t, **labels} for t, labels in rows])


LEAK = {"Part": "Pump", "FM": "Leak"}


def test_the_table_holds_5485_real_work_orders_as_text(table):
    assert len(table) == 5485
    assert {"Asset", "OriginalShorttext", "PMType", *FIELDS} <= set(table.columns)
    assert all(isinstance(text, str) for text in table["OriginalShorttext"])


def test_the_table_is_read_as_the_file_says_row_by_row(table):
    with sources.work_orders_path().open(encoding="utf-8", newline="") as file:
        texts = [row["OriginalShorttext"] for row in csv.DictReader(file)]
    assert texts == list(table["OriginalShorttext"])


def test_raw_is_dropped_plus_kept(cleaned):
    assert cleaned.raw == 5485
    assert cleaned.raw == sum(cleaned.dropped.values()) + cleaned.kept
    assert cleaned.kept == len(cleaned.records) + len(cleaned.gold)


def test_at_least_3500_work_orders_are_kept_each_with_its_group(cleaned):
    assert len(cleaned.records) >= 3500
    assert len(cleaned.groups) == len(cleaned.records)


def test_every_reason_for_dropping_is_named_and_met(cleaned):
    assert len(cleaned.dropped) == 7
    assert min(cleaned.dropped.values()) >= 1


def test_every_record_passes_the_validator(cleaned):
    every = [*cleaned.gold, *cleaned.records]
    problems = [p for r in every for p in records.validate(r, "manufacturing")]
    assert problems == []


def test_every_answer_is_json_with_some_of_the_fields_in_their_order(cleaned):
    order = list(FIELDS.values())
    for record in cleaned.records:
        names = list(json.loads(record["output"]))
        assert names
        assert names == [name for name in order if name in names]


def test_labels_of_silver_are_those_that_our_rules_read_in_the_text(cleaned):
    for record in cleaned.records:
        assert record["output"] == as_answer(apply_rules(record["input"]))


def test_no_label_is_outside_the_closed_set(cleaned):
    known = {name: set(values) for name, values in closed_set().items()}
    for record in [*cleaned.gold, *cleaned.records]:
        for name, value in json.loads(record["output"]).items():
            assert set(value.split("; ")) <= known[name]


def test_every_silver_record_shares_a_label_with_the_table(cleaned, table):
    said = sources.table_says(table)
    for record in cleaned.records:
        stated = json.loads(record["output"]).items()
        own = {(name, value) for name, text in stated for value in text.split("; ")}
        rows = said[records.normalise(record["input"])]
        assert any(own & {(n, v) for n, vs in row.items() for v in vs} for row in rows)


def test_labels_compared_with_the_table_add_up_to_the_labels_of_the_records(cleaned):
    for name, counts in cleaned.labels.items():
        values = [json.loads(record["output"]).get(name, "") for record in cleaned.records]
        stated = sum(len(value.split("; ")) for value in values if value)
        assert counts["both"] + counts["rules only"] == stated


# --- gold is for the test alone ---


def test_the_440_gold_orders_carry_their_gold_labels(cleaned, table):
    orders = gold.read_gold()
    answers = {record["input"]: record["output"] for record in cleaned.gold}
    texts = gold.texts_of(orders, table)
    assert len(cleaned.gold) == len(orders) == 440
    assert [answers[text] for text in texts] == [
        as_answer(gold.as_sets(order.labels)) for order in orders
    ]


def test_no_silver_record_has_the_text_or_the_group_of_a_gold_order(cleaned):
    texts = {records.normalise(record["input"]) for record in cleaned.gold}
    groups = {record["group"] for record in cleaned.gold}
    assert not [r for r in cleaned.records if records.normalise(r["input"]) in texts]
    assert not [r for r in cleaned.records if r["group"] in groups]
    near = records.overlap({"gold": cleaned.gold, "silver": cleaned.records})
    assert (near["exact"], near["near"]) == (0, 0)


def test_the_test_part_is_gold_and_the_others_are_not(parts, cleaned):
    assert all(record in cleaned.gold for record in parts["test"])
    assert all(record in cleaned.records for record in parts["train"] + parts["val"])


def test_more_test_records_than_gold_orders_are_refused(cleaned):
    with pytest.raises(records.CourseError, match="441 test records are wanted, 440 work orders"):
        sources.split_work_orders(cleaned, {"train": 10, "test": 441}, seed=1)


def test_every_text_stands_in_the_table(cleaned, table):
    raw = {" ".join(text.split()) for text in table["OriginalShorttext"]}
    assert {record["input"] for record in cleaned.records} <= raw


def test_no_two_records_have_the_same_normalised_text(cleaned):
    counts = Counter(records.normalise(record["input"]) for record in cleaned.records)
    assert counts.most_common(1)[0][1] == 1


def test_all_five_excavators_are_there(cleaned):
    assert {r["source"] for r in cleaned.records} == {f"excavator {a}" for a in "ABCDE"}


def test_all_records_share_one_short_instruction(cleaned):
    """It stands in every record: each of its tokens is paid for thousands of times."""
    assert {record["instruction"] for record in cleaned.records} == {sources.INSTRUCTION}
    assert len(sources.INSTRUCTION.split()) <= 8
    assert "only what is stated" in sources.INSTRUCTION


def test_cleaning_twice_gives_the_same_records(cleaned, table):
    again = sources.clean_work_orders(table)
    assert again == cleaned


def test_cleaning_leaves_the_table_as_it_was(table):
    columns = list(table.columns)
    sources.clean_work_orders(table.head(50))
    assert list(table.columns) == columns


# --- cleaning, rule by rule ---


def test_the_row_with_shifted_columns_is_dropped():
    rows = small_table(("pump leaking", {**LEAK, "PMType": "120"}), ("hose leaking", LEAK))
    assert [r["input"] for r in sources.clean_work_orders(rows).records] == ["hose leaking"]


def test_a_text_in_which_no_rule_finds_a_word_is_dropped():
    rows = small_table(("machine u/s today", LEAK), ("hose leaking", LEAK))
    cleaned = sources.clean_work_orders(rows)
    assert cleaned.dropped["no word that a rule knows"] == 1
    assert [record["input"] for record in cleaned.records] == ["hose leaking"]


def test_labels_none_of_which_the_table_states_are_doubtful():
    rows = small_table(("pump leaking", {"Action": "Replace"}), ("hose leaking", LEAK))
    cleaned = sources.clean_work_orders(rows)
    assert cleaned.dropped["no label in common with the table"] == 1
    assert len(cleaned.records) == 1


def test_a_record_is_strong_where_the_table_says_the_same_but_for_what_no_text_states():
    same = {**LEAK, "Action": "Misc"}
    rows = small_table(("pump leaking", same), ("LH fan leaking", {"FM": "Leak", "Part": "Fan"}))
    cleaned = sources.clean_work_orders(rows)
    assert (len(cleaned.records), cleaned.strong) == (2, 1)
    assert cleaned.labels["location"] == {"both": 0, "table only": 0, "rules only": 1}
    assert cleaned.labels["action"] == {"both": 0, "table only": 1, "rules only": 0}


def test_several_labels_of_one_field_are_joined_by_semicolons():
    rows = small_table(("L/H BUCKET CYL LEAKING.", {**LEAK, "Part": "Cylinder_Tilt"}))
    assert json.loads(sources.clean_work_orders(rows).records[0]["output"]) == {
        "system": "Hydraulic Cylinders",
        "part": "Cylinder; Tilt",
        "failure_mode": "Leak",
        "location": "Left",
    }


def test_the_first_of_equal_texts_is_kept():
    rows = small_table(("Pump leaking", LEAK), ("PUMP  LEAKING", LEAK))
    cleaned = sources.clean_work_orders(rows)
    assert [record["input"] for record in cleaned.records] == ["Pump leaking"]


def test_texts_that_differ_in_digits_alone_are_dropped_only_with_equal_labels():
    texts = ("main pump 1 oil leak L/H", "main pump 2 oil leak L/H", "main pump 1 oil leak R/H")
    cleaned = sources.clean_work_orders(small_table(*((text, LEAK) for text in texts)))
    assert [record["input"] for record in cleaned.records] == [texts[0], texts[2]]
    assert cleaned.records[0]["group"] == cleaned.records[1]["group"]


def test_line_breaks_and_double_spaces_in_a_text_become_single_spaces():
    rows = small_table(("pump \n leaking  badly ", LEAK))
    assert sources.clean_work_orders(rows).records[0]["input"] == "pump leaking badly"


def test_a_stricter_threshold_makes_more_groups(cleaned, table):
    strict = sources.clean_work_orders(table, threshold=0.95)
    assert len(set(strict.groups)) > len(set(cleaned.groups))
    assert len(strict.records) > len(cleaned.records)  # fewer resemble a gold order


# --- splits ---


def test_the_parts_have_the_sizes_asked_for(parts):
    assert {name: len(part) for name, part in parts.items()} == SIZES


def test_a_group_is_never_in_two_parts(parts):
    groups = [{record["group"] for record in part} for part in parts.values()]
    assert len(set.union(*groups)) == sum(len(group) for group in groups)


def test_the_measured_overlap_between_the_parts_is_zero(parts):
    found = records.overlap(parts)
    assert (found["exact"], found["near"], found["groups"]) == (0, 0, 0)
    assert found["compared"] == 1600 * 96 + 1600 * 240 + 96 * 240


def test_the_measure_of_overlap_sees_a_leak(parts):
    leaky = {**parts, "train": [*parts["train"], parts["test"][0]]}
    assert records.overlap(leaky)["exact"] == 1


def test_the_same_seed_gives_the_same_parts_in_the_same_order(cleaned, parts):
    assert sources.split_work_orders(cleaned, SIZES, seed=42) == parts


def test_another_seed_gives_other_parts(cleaned, parts):
    other = sources.split_work_orders(cleaned, SIZES, seed=43)
    assert other["test"] != parts["test"]


def test_a_part_that_is_larger_than_the_data_is_one_message(cleaned):
    with pytest.raises(records.CourseError, match="9999"):
        sources.split_work_orders(cleaned, {"train": 9999}, seed=1)


# --- fetching ---


def test_the_work_orders_are_fetched_into_an_empty_cache_and_then_served_from_it(
    prepared, tmp_path, monkeypatch
):
    here = sources.work_orders_path()
    monkeypatch.setenv("COURSE_CACHE", str(tmp_path))
    assert not sources.is_prepared()
    site = tmp_path / "site" / sources.WORK_ORDERS.member
    site.parent.mkdir(parents=True)
    site.write_bytes(here.read_bytes())
    monkeypatch.syspath_prepend(tmp_path / "site")
    assert sources.work_orders_path().read_bytes() == here.read_bytes()
    site.unlink()
    assert sources.is_prepared()
    assert sources.work_orders_path() == tmp_path.resolve() / "data" / "excavators-cleaned.csv"


# --- what the data folder says ---

DATA = Path(__file__).parents[2] / "data"
NOISY = {
    "ENGINE OVERHEATING": {"system": "Engine", "failure_mode": "Over Temp"},
    "HEATER NOT GETTING WARM": {"part": "Air Conditioning"},
    "HYDRAULICS GETTING HOT L.H SIDE. UNDER O": {
        "system": "Hydraulic System",
        "failure_mode": "Over Temp",
        "location": "Left",
    },
    "Fit pins to CMS Plug": {"part": "Mount", "action": "Replace"},
    "Lube grease tank has run out": {"part": "Grease System; Tank"},
}


def sheet():
    return (DATA / "README.md").read_text(encoding="utf-8")


def test_the_data_sheet_states_the_numbers_that_cleaning_gives(cleaned):
    rows = re.findall(r"^\| \**([^|]+?)\** +\| \**−?([\d,]+)\** \|$", sheet(), re.MULTILINE)
    stated = {name.split(" (")[0]: int(number.replace(",", "")) for name, number in rows}
    dropped = {reason.split(" (")[0]: count for reason, count in cleaned.dropped.items()}
    assert stated == {"raw": 5485, **dropped, "kept": cleaned.kept}
    assert f"{len(set(cleaned.groups)):,} groups" in sheet()
    silver = len(cleaned.records)
    assert f"Kept are {silver:,} silver records" in sheet()
    assert f"{cleaned.strong:,} of the silver records" in sheet()
    assert f"In {silver - cleaned.strong:,} of the {silver:,} silver records" in sheet()


def test_the_data_sheet_states_how_many_labels_changed(cleaned):
    for name, counts in cleaned.labels.items():
        assert f"| `{name}` | {' | '.join(f'{n:,}' for n in counts.values())} |" in sheet()
    totals = [sum(c[side] for c in cleaned.labels.values()) for side in cleaned.labels["system"]]
    assert f"| **all** | {' | '.join(f'**{n:,}**' for n in totals)} |" in sheet()


def test_the_noise_the_data_sheet_shows_is_in_the_records(cleaned):
    labels = {record["input"]: json.loads(record["output"]) for record in cleaned.records}
    assert {text: labels[text] for text in NOISY} == NOISY
    assert all(f"`{text}`" in sheet() for text in NOISY)


def test_the_data_sheet_names_source_package_and_version():
    assert all(word in sheet() for word in ("10.1108/JQME-04-2015-0013", "nist-nestor", "0.4.4"))


def test_the_records_in_the_data_sheet_are_valid_and_the_real_one_is_real(cleaned):
    real, written = (json.loads(block) for block in re.findall(r"```json\n(.*?)```", sheet(), re.S))
    assert real in cleaned.records
    assert records.validate(written, "geology") == []


def test_the_general_text_is_plain_paragraphs_without_work_order_words():
    paragraphs = sources.general_text().strip().split("\n\n")
    assert 16 <= len(paragraphs) <= 20
    assert not any("\n" in paragraph for paragraph in paragraphs)
    words = re.findall(r"[a-z]+", " ".join(paragraphs).lower())
    assert 850 <= len(words) <= 950
    trade = {"pump", "leak", "leaking", "hose", "engine", "hydraulic", "repair", "replace", "oil"}
    assert not trade & set(words)
