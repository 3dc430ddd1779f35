"""The two schemas: which record is of which, what may be empty, what a wrong field is told."""

import pytest

from course_utils import schemas as S

ORDER = {"instruction": "Fill in the form.", "input": "replace pump", "output": "Part: pump"}
ROCK = {
    "system": "You are a geologist.",
    "instruction": "Which mineral absorbs at 2.209 um?",
    "context": "",
    "answer": "Kaolinite.",
}


def order(text, answer="done", **more):
    return ORDER | {"input": text, "output": answer} | more


@pytest.mark.parametrize(
    ("record", "schema"),
    [
        (ORDER, "manufacturing"),
        (ROCK, "geology"),
        ({"instruction": "a", "output": "b"}, "manufacturing"),
        ({"instruction": "a", "answer": "b"}, "geology"),
        ({"instruction": "a"}, None),
        ({}, None),
    ],
)
def test_detect_schema_counts_the_fields_only_one_schema_has(record, schema):
    assert S.detect_schema(record) == schema


def test_only_the_fields_that_may_be_empty_may_be_empty():
    empty = {name: [p.kind for p in S.validate(ROCK | {name: ""}, "geology")] for name in ROCK}
    assert empty == {
        "system": [],
        "context": [],
        "instruction": ["empty-field"],
        "answer": ["empty-field"],
    }


def test_optional_fields_of_a_right_record_are_accepted():
    more = {"task": "qa", "document": "maintenance_log", "source": "UWA", "group": "7"}
    assert S.validate(ORDER | more, "manufacturing") == []


def test_facts_are_a_text_that_may_be_missing_and_not_empty():
    assert S.validate(order("x", facts="cost=12 AUD"), "manufacturing") == []
    assert S.validate(order("x"), "manufacturing") == []
    assert [p.kind for p in S.validate(order("x", facts=""), "manufacturing")] == ["empty-field"]
    assert [p.kind for p in S.validate(order("x", facts=12), "manufacturing")] == ["wrong-type"]
    assert S.validate(ROCK | {"facts": "answer=2209 nm"}, "geology") == []


def test_a_misspelt_facts_field_gets_its_name():
    (problem,) = S.validate(order("x", fact="cost=12 AUD"), "manufacturing")
    assert "did you mean `facts`" in problem.message
