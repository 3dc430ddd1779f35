"""Gold: the file is strict, belongs to the table, and its scores are those worked out by hand."""

import json
import random

import pytest

from course_utils import gold, gold_scores, sources
from course_utils.errors import CourseError
from course_utils.order_fields import closed_set, within_closed_set
from course_utils.order_labels import apply_rules

PUMP, FAN, LEAK = {"part": ["Pump"]}, {"part": ["Fan"]}, {"failure_mode": ["Leak"]}


def line(row=0, text="pump leak", labels=PUMP, first=None, second=None, **more):
    first, second = labels if first is None else first, labels if second is None else second
    entry = {"row": row, "sha256": gold.checksum(text), "labels": labels}
    return json.dumps(entry | {"first": first, "second": second} | more)


def read(folder, *lines):
    file = folder / "gold.jsonl"
    file.write_text("\n".join(lines), encoding="utf-8")
    return gold.read_gold(file)


def table_of(*texts, **columns):
    import pandas

    empty = {column: [""] * len(texts) for column in sources.FIELDS}
    return pandas.DataFrame({"OriginalShorttext": texts} | empty | columns)


@pytest.fixture(scope="module")
def orders():
    return gold.read_gold()


@pytest.fixture(scope="module")
def table(prepared):
    return sources.load_work_orders()


def test_every_gold_order_is_in_the_table(orders, table):
    texts = gold.texts_of(orders, table)
    assert len(texts) == len({text.lower() for text in texts}) >= 400
    assert min(map(len, texts)) >= 8


def test_gold_is_the_random_sample_that_the_data_sheet_names(orders, table):
    """Distinct texts (case and spaces ignored) of 8 characters or more with an order type."""
    rows = table.fillna("")
    rows = rows[rows["PMType"].str.fullmatch(r"PM\d\d")]
    texts = rows["OriginalShorttext"].str.split().str.join(" ").str.lower()
    distinct = texts[texts.str.len() >= 8].drop_duplicates().index
    drawn = random.Random(2016).sample([int(row) for row in distinct], 440)
    assert [order.row for order in orders] == sorted(drawn)


def test_gold_holds_no_text(orders, table):
    stored = gold.FILE.read_text(encoding="utf-8").lower()
    assert not [text for text in gold.texts_of(orders, table) if text.lower() in stored]


def test_what_is_settled_has_a_reason_and_is_what_a_reader_wrote(orders):
    for order in orders:
        assert bool(order.reason) == (order.differed or order.mended)
        if order.differed:
            readers = (gold.as_sets(order.first), gold.as_sets(order.second))
            assert gold.as_sets(order.labels) in readers


def test_rules_state_nearly_what_gold_states(orders, table):
    """Not tuned on gold: they were measured on it once they were written."""
    ruled = [apply_rules(text) for text in gold.texts_of(orders, table)]
    published = gold.published_labels(orders, table)
    closed = [within_closed_set(labels) for labels in published]
    ours = gold_scores.score(ruled, orders, samples=100)["f1"]["all"]
    theirs = gold_scores.score(closed, orders, samples=100)["f1"]["all"]
    assert ours["low"] >= 0.90
    assert ours["low"] > theirs["high"]


def test_checksum_of_another_text_is_an_error_with_a_cure(tmp_path):
    orders = read(tmp_path, line(row=1, text="pump leak"))
    assert gold.texts_of(orders, table_of("fan", "pump  leak")) == ["pump leak"]
    with pytest.raises(CourseError, match="row 1 of the work orders") as error:
        gold.texts_of(orders, table_of("fan", "pump leaks"))
    assert "course data prepare" in error.value.cure
    with pytest.raises(CourseError, match="row 1"):
        gold.texts_of(orders, table_of("fan"))


def test_a_reason_with_a_line_separator_is_one_line(tmp_path):
    told = json.dumps(json.loads(line(first=FAN, reason="a\u2028b")), ensure_ascii=False)
    assert [order.row for order in read(tmp_path, told, line(row=1))] == [0, 1]


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        ([line(labels={"part": ["Misc"]})], "gold.jsonl:1: part: 'Misc' is not in the closed set"),
        ([line(), line(row=1, labels={"place": ["Left"]})], "gold.jsonl:2: place"),
        ([line(labels={"part": []})], "part is empty or names a value twice"),
        ([line(labels={"part": ["Fan", "Fan"]})], "part is empty or names a value twice"),
        ([line(), line()], "row 0 stands there twice"),
        ([line(first=FAN)], "settled without a reason"),
        ([line(first=FAN, second=FAN)], "settled without a reason"),
        ([line(row="0")], "row: Input should be a valid integer"),
        ([line(text_of_it="pump")], "text_of_it: Extra inputs"),
        (["{"], "Invalid JSON"),
    ],
)
def test_odd_line_is_named_with_its_place(tmp_path, lines, said):
    with pytest.raises(CourseError) as error:
        read(tmp_path, *lines)
    assert said in error.value.message
    assert error.value.cure


def test_order_of_values_does_not_count(tmp_path):
    two = {"part": ["Fan", "Pump"]}
    (order,) = read(tmp_path, line(labels=two, first={"part": ["Pump", "Fan"]}, second=two))
    assert not order.differed
    assert not order.mended


def test_published_labels_are_split_and_spelt_as_the_closed_set(tmp_path):
    table = table_of("a", MajorSystem=["Engine_Hydraulic Cylinder"], Part=["Misc_Brake"])
    (labels,) = gold.published_labels(read(tmp_path, line()), table)
    assert labels == {
        "system": {"Engine", "Hydraulic Cylinders"},
        "part": {"Misc", "Brakes"},
    }
    assert within_closed_set(labels)["part"] == {"Brakes"}


def test_agreement_of_four_orders_by_hand(tmp_path):
    """Pump: both, both, first, none: raw 3/4, chance (3*2 + 1*2)/16 = 1/2, kappa 1/2.

    Fan: only the second, once: raw 3/4 = chance, kappa 0. So the field has 1/4. F1: three pairs
    each, two in common, 2*2/6. Three of four orders are alike.
    """
    orders = read(
        tmp_path,
        line(row=0),
        line(row=1),
        line(row=2, first=PUMP, second=FAN, reason="a fan blows"),
        line(row=3, labels=PUMP, first={}, second={}, reason="it pumps"),
    )
    rows = {row.field: row for row in gold_scores.agreement(orders)}
    assert rows["part"].values == 2
    assert rows["part"].kappa == pytest.approx(0.25)
    assert rows["part"].f1 == pytest.approx(2 * 2 / 6)
    assert rows["part"].same == pytest.approx(0.75)
    assert rows["system"].kappa is None
    assert rows["system"].same == 1
    assert rows["all"].kappa == pytest.approx(0.25)


def test_scores_of_two_orders_by_hand(tmp_path):
    """Right: Pump. Missed: Leak. Invented: Fan. So F1 2/4, part 2/3, failure mode 0."""
    orders = read(tmp_path, line(labels=PUMP | LEAK), line(row=1, labels={}))
    found = gold_scores.score([{"part": {"Pump", "Fan"}}, {}], orders, samples=20)
    assert found["f1"]["all"]["mean"] == pytest.approx(0.5)
    assert found["f1"]["part"]["mean"] == pytest.approx(2 / 3)
    assert found["f1"]["failure_mode"]["mean"] == 0
    assert found["exact"] == pytest.approx(0.5)
    assert found["orders"] == 2


def test_gold_against_itself_is_1_and_fields_hold_no_other(orders):
    own = [gold.as_sets(order.labels) for order in orders]
    found = gold_scores.score(own, orders, samples=20)
    assert found["exact"] == 1
    assert {name: one["low"] for name, one in found["f1"].items()} == dict.fromkeys(
        [*closed_set(), "all"], 1
    )


def test_labels_for_other_orders_are_refused(orders):
    with pytest.raises(CourseError, match="1 labels came with 440 gold orders"):
        gold_scores.score([{}], orders)
