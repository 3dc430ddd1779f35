"""JSON schemas: enforced by the engine, or refused; a cut answer is no record."""

import json

import jsonschema
import pytest

from course_utils.endpoint.problems import ApiError
from course_utils.endpoint.schemas import check_answer, check_schema

SHORT = {"type": "string", "maxLength": 6}


def record(**properties) -> dict:
    return {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }


ENFORCEABLE = {
    "strings": record(part=SHORT, action=SHORT),
    "one of": record(side={"enum": ["Left", "Right", None]}),
    "one of, with type": record(side={"type": "string", "enum": ["Left", "Right"]}),
    "constant": record(kind={"const": "order"}),
    "integers": record(count={"type": "integer", "minimum": 3, "maximum": 17}),
    "null": record(part={"anyOf": [SHORT, {"type": "null"}]}),
    "list": record(parts={"type": "array", "items": SHORT, "minItems": 1, "maxItems": 3}),
    "named": {"$defs": {"s": SHORT}, **record(part={"$ref": "#/$defs/s"})},
    "nested": record(at=record(side=SHORT)),
    "flags": record(urgent={"type": "boolean"}),
}
REFUSED = {
    "multipleOf": record(n={"type": "integer", "multipleOf": 3}),
    "uniqueItems": {"type": "array", "items": {"type": "integer"}, "uniqueItems": True},
    "not": record(a={"not": {"type": "integer"}}),
    "pattern": record(a={"type": "string", "pattern": "[0-9]"}),
    "format": record(a={"type": "string", "format": "date"}),
    "if": record(a=SHORT) | {"if": {}, "then": {}},
    "limits can be enforced for integers only": record(a={"type": "number", "minimum": 3}),
    "do not say the same": record(a={"type": "string", "enum": ["x", 3]}),
    "leads nowhere": record(a={"$ref": "#/$defs/nothing"}),
    "leads nowhere ": record(a={"$ref": "https://example.org/schema.json"}),
    "unknown type": record(a={"type": "date"}),
    "nothing says what may stand": {},
    "beside other keywords": record(a={"anyOf": [SHORT], "maxLength": 3}),
    "'required' must be a list": {"type": "object", "properties": {}, "required": ["a"]},
    "'properties' must be an object": {"type": "object", "properties": [1]},
    "a schema object is needed": record(a=True),
    "longer than": record(a={"enum": ["x" * 30_000]}),
}


@pytest.mark.parametrize("schema", ENFORCEABLE.values(), ids=ENFORCEABLE)
def test_a_schema_that_can_be_enforced_is_taken(schema):
    check_schema(schema)


@pytest.mark.parametrize(("word", "schema"), REFUSED.items(), ids=REFUSED)
def test_a_schema_that_cannot_be_enforced_is_a_400_that_says_why(word, schema):
    with pytest.raises(ApiError) as caught:
        check_schema(schema)
    assert caught.value.status == 400
    assert word.strip() in caught.value.message


def test_a_schema_that_goes_deeper_than_the_grammar_is_refused():
    schema = SHORT
    for _ in range(40):
        schema = {"type": "array", "items": schema}
    with pytest.raises(ApiError, match="deep"):
        check_schema(schema)


@pytest.mark.parametrize("text", ["{", '{"a": 1}', '{"a": "x"} and more', ""])
def test_an_answer_that_breaks_its_schema_is_no_answer(text):
    with pytest.raises(ApiError, match="does not obey") as caught:
        check_answer(text, record(a=SHORT))
    assert caught.value.status == 502


def ask(client, schema, **changes):
    wanted = {"type": "json_schema", "json_schema": {"name": "record", "schema": schema}}
    question = [{"role": "user", "content": "L/H TRACK MOTOR LEAKING"}]
    options = {"model": "tuned", "max_tokens": 300, "temperature": 1, "response_format": wanted}
    return client.chat.completions.create(messages=question, **(options | changes))


@pytest.mark.parametrize("schema", ENFORCEABLE.values(), ids=ENFORCEABLE)
def test_a_model_of_random_numbers_obeys_the_schema(client, schema):
    """Only the engine's grammar can make it write JSON at all."""
    finished = 0
    for seed in range(4):
        choice = ask(client, schema, seed=seed).choices[0]
        if choice.finish_reason == "stop":
            jsonschema.validate(json.loads(choice.message.content), schema)
            finished += 1
    assert finished


def test_an_answer_that_is_cut_says_so(client):
    choice = ask(client, ENFORCEABLE["strings"], max_tokens=3).choices[0]
    assert choice.finish_reason == "length"


def test_a_streamed_record_is_whole(client):
    chunks = list(ask(client, ENFORCEABLE["strings"], stream=True, seed=1))
    assert chunks[-1].choices[0].finish_reason == "stop"
    text = "".join(chunk.choices[0].delta.content or "" for chunk in chunks)
    jsonschema.validate(json.loads(text), ENFORCEABLE["strings"])


def test_any_object_on_request(client):
    """OpenAI's json_object; a random model seldom finds the end of one, but it begins it."""
    choice = ask(client, {}, response_format={"type": "json_object"}, max_tokens=40).choices[0]
    assert choice.message.content.lstrip().startswith("{")


def test_the_running_server_refuses_what_it_cannot_enforce(client):
    from openai import BadRequestError

    with pytest.raises(BadRequestError, match="multipleOf") as caught:
        ask(client, REFUSED["multipleOf"])
    assert caught.value.code == "schema_not_enforceable"
