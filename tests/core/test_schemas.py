"""The two schemas: which record is of which, what may be empty, what a wrong field is told."""

import pytest

from course_utils import schemas as S
from course_utils.errors import CourseError

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


# --- one schema, decided once ------------------------------------------------------------------


def test_names_in_capitals_tell_the_schema_too():
    assert S.detect_schema({name.upper(): text for name, text in ORDER.items()}) == "manufacturing"
    assert S.detect_schema({f" {name.title()} ": text for name, text in ROCK.items()}) == "geology"


@pytest.mark.parametrize("record", [ORDER, ROCK])
def test_a_record_of_neither_schema_is_refused_by_name(record):
    assert S.schema_of(record) in S.SCHEMAS
    name = next(field for field in record if field != "instruction")
    with pytest.raises(CourseError, match=f"has no `{name}`|neither"):
        S.schema_of({field: text for field, text in record.items() if field != name})
    with pytest.raises(CourseError, match="of neither schema"):
        S.schema_of({"prompt": "a", "completion": "b"})


# --- what may be empty may be missing, under --write --------------------------------------------


@pytest.mark.parametrize("value", [None, float("nan"), ...])
@pytest.mark.parametrize(
    ("record", "name"), [(ORDER, "input"), (ROCK, "system"), (ROCK, "context")]
)
def test_what_may_be_empty_and_is_not_there_becomes_an_empty_text(record, name, value):
    schema = S.schema_of(record)
    broken = {k: v for k, v in (record | {name: value}).items() if v is not ...}
    (problem,) = S.validate(broken, schema)
    assert problem.severity == "error"
    assert "--write FIXED" in problem.cure
    assert S.repair(broken, schema) == (record | {name: ""}, ("null",))


def test_an_empty_optional_field_is_left_out():
    for value in (None, float("nan"), "", "  "):
        record = order("pump", task=value, facts=value)
        assert S.repair(record, "manufacturing") == (order("pump"), ("empty-field",))


def test_a_missing_answer_is_no_matter_for_a_program():
    for value in (None, ""):
        fixed, _ = S.repair(ORDER | {"output": value}, "manufacturing")
        assert S.validate(fixed, "manufacturing") != []


def test_a_context_under_another_name_is_not_replaced_by_an_empty_one():
    record = {("passage" if k == "context" else k): v for k, v in ROCK.items()}
    fixed, _ = S.repair(record, "geology")
    assert [p.kind for p in S.validate(fixed, "geology")] == ["missing-field"]


# --- what a model would learn by mistake ---------------------------------------------------------


@pytest.mark.parametrize(
    "token", ["<|im_end|>", "<|endoftext|>", "<|eot_id|>", "</s>", "[/INST]", "<start_of_turn>"]
)
def test_a_token_of_chat_templates_inside_a_text_is_a_warning(token):
    for field in ("instruction", "output"):
        (problem,) = S.validate(ORDER | {field: f"Part: pump{token} more"}, "manufacturing")
        assert (problem.kind, problem.severity) == ("special-token", "warning")
        assert token in problem.message


def test_comparisons_and_tags_are_no_template_tokens():
    for text in ("a <b> c", "5 < 7 | 8 > 2", "<sub>2</sub>", "[1]"):
        assert S.validate(ORDER | {"output": text}, "manufacturing") == []


@pytest.mark.parametrize("text", ["\u200b", "\ufeff\u200d", "\u3164", "\u2800 \u2060", "\u00ad"])
def test_an_answer_of_invisible_characters_is_a_warning(text):
    (problem,) = S.validate(ORDER | {"output": text}, "manufacturing")
    assert (problem.kind, problem.severity) == ("invisible-text", "warning")


def test_a_text_with_a_joiner_inside_is_visible():
    assert S.validate(ORDER | {"output": "می\u200cشود"}, "manufacturing") == []


# --- the form of an answer -----------------------------------------------------------------------


@pytest.mark.parametrize("form", S.REPORT_FORMS + S.QUESTION_FORMS)
def test_every_form_is_known(form):
    assert S.validate(order("x", form=form), "manufacturing") == []
    assert bool(S.validate(ROCK | {"form": form}, "geology")) is (form in S.REPORT_FORMS)


def test_a_form_in_other_spelling_is_named_and_respelled():
    (problem,) = S.validate(order("x", form="One-Sentence"), "manufacturing")
    assert "did you mean `one sentence`" in problem.message
    fixed, fixes = S.repair(order("x", form="One-Sentence"), "manufacturing")
    assert (fixed["form"], fixes) == ("one sentence", ("label",))
