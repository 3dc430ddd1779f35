"""JSON schemas that the engine can enforce; every other one is refused, never half obeyed.

llama.cpp turns a schema into a grammar and passes over the keywords that it has no rule for
(`multipleOf`, `uniqueItems`, `not`; tried, the answers broke them), or has half a rule for (limits
of a number that is no integer, `type` beside `enum`). So only keywords that it does
turn into rules are let through, and a finished answer is held against the schema once more.
"""

import json
from typing import Any

from course_utils.endpoint.problems import ApiError

ENFORCED = {
    *("type", "enum", "const", "anyOf", "$ref", "$defs", "definitions"),
    *("properties", "required", "additionalProperties"),
    *("items", "minItems", "maxItems", "minLength", "maxLength", "minimum", "maximum"),
}
TYPES = {"object", "array", "string", "number", "integer", "boolean", "null"}
NOTES = {"title", "description", "default", "examples", "$schema", "$id", "$comment"}
DEEPEST = 32
LARGEST = 20_000  # characters; the grammar is built before the first token


def check_schema(schema: dict[str, Any]) -> None:
    """ApiError 400 naming the first keyword of the schema that can't be enforced."""
    import jsonschema

    if len(json.dumps(schema)) > LARGEST:
        raise _refused("", f"it is longer than {LARGEST} characters")
    _walk(schema, "", 0, schema)
    try:
        jsonschema.Draft202012Validator.check_schema(schema)
    except jsonschema.SchemaError as error:
        raise _refused(error.json_path, error.message[:200]) from None


def check_answer(text: str, schema: dict[str, Any]) -> None:
    """ApiError 502 when a finished answer does not obey the schema that was to be enforced."""
    import jsonschema

    try:
        jsonschema.validate(json.loads(text), schema)
    except (ValueError, jsonschema.ValidationError) as error:
        problem = str(error).splitlines()[0][:200]
        raise ApiError(
            502, f"the engine's answer does not obey the schema: {problem}", "schema_not_obeyed"
        ) from None


def _refused(place: str, why: str) -> ApiError:
    where = f"response_format.json_schema.schema{place.removeprefix('$')}"
    return ApiError(400, f"{where}: {why}", "schema_not_enforceable", "response_format")


def _walk(schema: Any, place: str, depth: int, root: dict[str, Any]) -> None:
    if schema is True or schema is False or not isinstance(schema, dict):
        raise _refused(place, "a schema object is needed here")
    if depth > DEEPEST:
        raise _refused(place, f"nested more than {DEEPEST} deep")
    for name in schema:
        if name not in ENFORCED | NOTES:
            raise _refused(place, f"{name!r} can't be enforced by this engine")
    _check_shape(schema, place, root)
    for name in ("properties", "$defs", "definitions"):
        for key, inner in schema.get(name, {}).items():
            _walk(inner, f"{place}.{name}.{key}", depth + 1, root)
    for number, inner in enumerate(schema.get("anyOf", ())):
        _walk(inner, f"{place}.anyOf.{number}", depth + 1, root)
    for name in ("items", "additionalProperties"):
        if not isinstance(schema.get(name, False), bool):
            _walk(schema[name], f"{place}.{name}", depth + 1, root)


def _check_shape(schema: dict[str, Any], place: str, root: dict[str, Any]) -> None:
    """Each keyword has the form that the grammar's builder takes, and a rule in the grammar."""
    kinds = schema.get("type", [])
    kinds = kinds if isinstance(kinds, list) else [kinds]
    if not all(isinstance(kind, str) and kind in TYPES for kind in kinds):
        raise _refused(place, f"unknown type {schema['type']!r}")
    for name in ("properties", "$defs", "definitions"):
        if not isinstance(schema.get(name, {}), dict):
            raise _refused(place, f"{name!r} must be an object")
    for name in ("enum", "anyOf"):
        if name in schema and not (isinstance(schema[name], list) and schema[name]):
            raise _refused(place, f"{name!r} must be a list that is not empty")
    if not {"type", "enum", "const", "anyOf", "$ref", "properties"} & set(schema):
        raise _refused(place, "nothing says what may stand here (no 'type', 'enum', ...)")
    alone = {"enum", "const", "anyOf", "$ref"} & set(schema)
    if alone and len(set(schema) & ENFORCED - {"type", "$defs", "definitions"}) > 1:
        raise _refused(place, f"{sorted(alone)[0]!r} beside other keywords can't be enforced")
    if alone and kinds and not _all_of_type(schema, kinds):
        raise _refused(place, f"{sorted(alone)[0]!r} and 'type' do not say the same")
    if {"minimum", "maximum"} & set(schema) and kinds != ["integer"]:
        raise _refused(place, "limits can be enforced for integers only")
    required = schema.get("required", [])
    if not isinstance(required, list) or set(map(str, required)) - set(
        schema.get("properties", {})
    ):
        raise _refused(place, "'required' must be a list of names that 'properties' describes")
    if "$ref" in schema and not _leads_somewhere(schema["$ref"], root):
        raise _refused(place, f"$ref {schema['$ref']!r} leads nowhere in this schema")


def _all_of_type(schema: dict[str, Any], kinds: list[str]) -> bool:
    """Whether what `enum` or `const` allows is of the type beside it."""
    import jsonschema

    allowed = schema.get("enum", [schema["const"]] if "const" in schema else None)
    check = jsonschema.Draft202012Validator({"type": kinds})
    return allowed is not None and all(check.is_valid(value) for value in allowed)


def _leads_somewhere(reference: Any, root: Any) -> bool:
    if not (isinstance(reference, str) and reference.startswith("#/")):
        return False
    for part in reference[2:].split("/"):
        if not (isinstance(root, dict) and part in root):
            return False
        root = root[part]
    return True
