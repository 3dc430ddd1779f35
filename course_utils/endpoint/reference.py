"""docs/endpoint.md: the prose of a template, and the reference from the server's own description.

python -m course_utils.endpoint.reference     # writes the page
"""

import json
from pathlib import Path
from typing import Any

from course_utils import kit
from course_utils.endpoint.app import Options, build
from course_utils.endpoint.upstream import Remote
from course_utils.files import write_text_atomic
from course_utils.templating import environment

PAGE = kit.ROOT / "docs" / "endpoint.md"
Schema = dict[str, Any]


def page() -> str:
    """The whole page as Markdown."""
    as_written = {"trim_blocks": False, "lstrip_blocks": False, "keep_trailing_newline": True}
    markdown = environment(Path(__file__).with_name("templates"), html=False, **as_written)
    description = build(Remote("http://engine", {"base": "", "tuned": ""}), Options()).openapi()
    return markdown.get_template("endpoint.md.jinja").render(reference=reference(description))


def reference(description: Schema) -> str:
    """One heading an operation: what it does, its fields, its example, its statuses."""
    schemas = description["components"]["schemas"]
    parts = []
    for path, operations in description["paths"].items():
        for method, operation in operations.items():
            parts += [f"### `{method.upper()} {path}`", operation["summary"] + "."]
            if operation.get("description"):
                parts.append(operation["description"])
            body = operation.get("requestBody", {}).get("content", {}).get("application/json")
            if body:
                parts += _fields(_target(body["schema"], schemas))
            statuses = operation["responses"].items()
            told = [f"{s}: {' '.join(r['description'].split())}" for s, r in statuses if s != "422"]
            parts.append("Statuses: " + "; ".join(told) + ".")
    for name in _named(description):
        parts += [f"### `{name}`", schemas[name]["description"], *_fields(schemas[name])]
    return "\n\n".join(parts)


def _named(description: Schema) -> list[str]:
    """The objects inside requests, in the order in which they are met."""
    schemas, found = description["components"]["schemas"], []
    waiting = [
        operation["requestBody"]
        for operations in description["paths"].values()
        for operation in operations.values()
        if "requestBody" in operation
    ]
    bodies = {name for body in waiting for name in _references(body)}
    while waiting:
        for name in _references(waiting.pop(0)):
            if name not in found:
                found.append(name)
                waiting.append(schemas[name])
    return [name for name in found if name not in bodies]


def _references(part: Any) -> list[str]:
    if isinstance(part, dict):
        own = [part["$ref"].rpartition("/")[2]] if isinstance(part.get("$ref"), str) else []
        return own + [name for value in part.values() for name in _references(value)]
    return [n for value in part for n in _references(value)] if isinstance(part, list) else []


def _fields(schema: Schema) -> list[str]:
    required = set(schema.get("required", ()))
    lines = ["| field | value | default | |", "|---|---|---|---|"]
    for name, field in schema["properties"].items():
        default = "needed" if name in required else _default(field)
        lines.append(f"| `{name}` | {_value(field)} | {default} | {field.get('description', '')} |")
    found = ["\n".join(lines)]
    for example in schema.get("examples", ())[:1]:
        found.append(f"```json\n{json.dumps(example, indent=2)}\n```")
    return found


def _default(field: Schema) -> str:
    value = field.get("default")
    return "" if value is None else f"`{json.dumps(value)}`"


def _target(schema: Schema, schemas: Schema) -> Schema:
    return schemas[schema["$ref"].rpartition("/")[2]] if "$ref" in schema else schema


def _value(field: Schema) -> str:
    """Type and limits in a few words."""
    if "const" in field:
        return f"`{json.dumps(field['const'])}`"
    if "enum" in field:
        return " or ".join(f"`{json.dumps(value)}`" for value in field["enum"])
    if "anyOf" in field or "oneOf" in field:
        kinds = field.get("anyOf") or field["oneOf"]
        return " or ".join(_value(kind) for kind in kinds if kind.get("type") != "null")
    if "$ref" in field:
        name = field["$ref"].rpartition("/")[2]
        return f"[{name}](#{name.lower()})"
    words = field.get("type", "")
    if words == "array":
        words = f"list of {_value(field['items'])}"
    for name, sign in (("minimum", ">="), ("exclusiveMinimum", ">"), ("maximum", "<=")):
        if name in field:
            words += f", {sign} {int(field[name])}"  # all of ours are whole
    for name, text in (("maxLength", "characters"), ("maxItems", "entries")):
        if name in field:
            words += f", at most {field[name]} {text}"
    return words


if __name__ == "__main__":
    print(write_text_atomic(PAGE, page()))
