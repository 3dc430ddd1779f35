"""The real work orders: what comes in, what is dropped and why, and splits without leaks."""

import csv
import json
import re
from collections import Counter
from pathlib import Path

import pytest

from course_utils import records, sources
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
    assert cleaned.raw == sum(cleaned.dropped.values()) + len(cleaned.records)


def test_at_least_3500_work_orders_are_kept_each_with_its_group(cleaned):
    assert len(cleaned.records) >= 3500
    assert len(cleaned.groups) == len(cleaned.records)


def test_every_reason_for_dropping_is_named_and_met(cleaned):
    assert len(cleaned.dropped) == 6
    assert min(cleaned.dropped.values()) >= 1


def test_every_record_passes_the_validator(cleaned):
    problems = [p for r in cleaned.records for p in records.validate(r, "manufacturing")]
    assert problems == []


def test_every_answer_is_json_with_two_to_five_of_the_fields_in_their_order(cleaned):
    order = list(FIELDS.values())
    for record in cleaned.records:
        names = list(json.loads(record["output"]))
        assert len(names) >= 2
        assert names == [name for name in order if name in names]


def test_every_label_of_an_answer_stands_in_the_table(cleaned, table):
    known = {
        name: {label for cell in table[column].dropna() for label in cell.split("_")}
        for column, name in FIELDS.items()
    }
    for record in cleaned.records:
        for name, value in json.loads(record["output"]).items():
            assert set(value.split("; ")) <= {label.strip() for label in known[name]}


def test_every_text_stands_in_the_table(cleaned, table):
    raw = {" ".join(text.split()) for text in table["OriginalShorttext"]}
    assert {record["input"] for record in cleaned.records} <= raw


def test_no_two_records_have_the_same_normalised_text(cleaned):
    counts = Counter(records.normalise(record["input"]) for record in cleaned.records)
    assert counts.most_common(1)[0][1] == 1


def test_all_five_excavators_are_there(cleaned):
    assert {r["source"] for r in cleaned.records} == {f"excavator {a}" for a in "ABCDE"}


def test_all_records_share_the_instruction_that_names_the_fields(cleaned):
    assert {record["instruction"] for record in cleaned.records} == {sources.INSTRUCTION}
    assert all(name in sources.INSTRUCTION for name in FIELDS.values())


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


def test_a_record_needs_two_labelled_fields():
    rows = small_table(("pump leaking", {"Part": "Pump"}), ("hose leaking", LEAK))
    cleaned = sources.clean_work_orders(rows)
    assert cleaned.dropped["fewer than two labelled fields"] == 1
    assert len(cleaned.records) == 1


def test_several_labels_of_one_field_are_joined_by_semicolons():
    rows = small_table(("L/H BUCKET CYL LEAKING.", {**LEAK, "Part": "Cylinder_Tilt"}))
    assert json.loads(sources.clean_work_orders(rows).records[0]["output"]) == {
        "part": "Cylinder; Tilt",
        "failure_mode": "Leak",
    }


def test_all_copies_of_a_text_with_conflicting_labels_are_dropped():
    other = {**LEAK, "FM": "Crack"}
    rows = small_table(("pump leaking", LEAK), ("PUMP  leaking", other), ("hose leaking", LEAK))
    cleaned = sources.clean_work_orders(rows)
    assert cleaned.dropped["same text, conflicting labels"] == 2
    assert [record["input"] for record in cleaned.records] == ["hose leaking"]


def test_the_first_of_equal_texts_is_kept():
    rows = small_table(("Pump leaking", LEAK), ("PUMP  LEAKING", LEAK))
    cleaned = sources.clean_work_orders(rows)
    assert [record["input"] for record in cleaned.records] == ["Pump leaking"]


def test_texts_that_differ_in_digits_alone_are_dropped_only_with_equal_labels():
    numbered = ((1, LEAK), (2, LEAK), (3, {**LEAK, "FM": "Crack"}))
    rows = small_table(*((f"main hydraulic pump {n} leaks oil", labels) for n, labels in numbered))
    cleaned = sources.clean_work_orders(rows)
    assert [record["input"] for record in cleaned.records] == [
        "main hydraulic pump 1 leaks oil",
        "main hydraulic pump 3 leaks oil",
    ]
    assert cleaned.records[0]["group"] == cleaned.records[1]["group"]


def test_line_breaks_and_double_spaces_in_a_text_become_single_spaces():
    rows = small_table(("pump \n leaking  badly ", LEAK))
    assert sources.clean_work_orders(rows).records[0]["input"] == "pump leaking badly"


def test_a_stricter_threshold_makes_more_groups(cleaned, table):
    strict = sources.clean_work_orders(table, threshold=0.95)
    assert len(set(strict.groups)) > len(set(cleaned.groups))
    assert len(strict.records) == len(cleaned.records)


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
NOISY = (
    "ENGINE OVERHEATING",
    "HEATER NOT GETTING WARM",
    "HYDRAULICS GETTING HOT L.H SIDE. UNDER O",
)


def sheet():
    return (DATA / "README.md").read_text(encoding="utf-8")


def test_the_data_sheet_states_the_numbers_that_cleaning_gives(cleaned):
    rows = re.findall(r"^\| \**([^|]+?)\** +\| \**−?([\d,]+)\** \|$", sheet(), re.MULTILINE)
    stated = {name.split(" (")[0]: int(number.replace(",", "")) for name, number in rows}
    dropped = {reason.split(" (")[0]: count for reason, count in cleaned.dropped.items()}
    assert stated == {"raw": 5485, **dropped, "kept": len(cleaned.records)}
    assert f"{len(set(cleaned.groups)):,} groups" in sheet()


def test_the_noise_the_data_sheet_shows_is_in_the_table(cleaned):
    labels = {record["input"]: json.loads(record["output"]) for record in cleaned.records}
    assert labels["ENGINE OVERHEATING"]["location"] == "Right"
    assert labels["HEATER NOT GETTING WARM"]["part"] == "GET; Air Conditioning"
    assert "location" not in labels["HYDRAULICS GETTING HOT L.H SIDE. UNDER O"]
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
