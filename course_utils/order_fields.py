"""The labels of a work order: the closed set of data/gold/labels.yaml, and what the table says."""

import json
from collections.abc import Iterable, Iterator, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict

from course_utils import kit
from course_utils.handwritten import read_as

FILE = kit.DATA / "gold" / "labels.yaml"

# column in the table -> field in the record, in the order in which the answer states them
FIELDS = {
    "MajorSystem": "system",
    "Part": "part",
    "Action": "action",
    "FM": "failure_mode",
    "Location": "location",
}
Labels = dict[str, set[str]]  # field -> values; a field for which nothing is stated is left out


class Spelling(BaseModel):
    """A published value that means a value of the closed set."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    field: str
    value: str


class FieldFile(BaseModel):
    """The whole file: the values of each field, and other spellings of them."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    fields: dict[str, list[str]]
    spellings: dict[str, Spelling]


@lru_cache
def load_fields(file: Path = FILE) -> FieldFile:
    """What the file holds; CourseError with the place where it cannot be read."""
    return read_as(FieldFile, file, "clone the kit again, or see order_fields.py for the keys")


def closed_set() -> dict[str, list[str]]:
    """{field: its values}, in the order in which an answer states the fields."""
    return load_fields().fields


def answer_schema() -> dict[str, Any]:
    """A JSON schema of an answer: some of the fields, in their order, a known value in each.

    Stricter than the answers: a field with two values ("Filter; Hydraulic Fitting") is left with
    one, since the pairs would be too many to list.
    """
    fields = {field: {"enum": values} for field, values in closed_set().items()}
    return {"type": "object", "properties": fields, "additionalProperties": False}


def outside(labels: Mapping[str, Iterable[str]]) -> Iterator[tuple[str, str]]:
    """The (field, value) pairs that are not in the closed set."""
    for field, values in labels.items():
        yield from ((field, value) for value in values if value not in closed_set().get(field, ()))


def as_spelt(field: str, value: str) -> str:
    """The value as the closed set spells it, where it does."""
    spelling = load_fields().spellings.get(value)
    return spelling.value if spelling and spelling.field == field else value


def published(row: Mapping[str, str]) -> Labels:
    """What one row of the table says, all its values, two spellings of one made alike."""
    stated = {
        field: {as_spelt(field, value) for value in map(str.strip, row[column].split("_")) if value}
        for column, field in FIELDS.items()
    }
    return {field: values for field, values in stated.items() if values}


def within_closed_set(labels: Labels) -> Labels:
    """Without values that no text can state (Unspecified, Misc, Hours), or that are too rare."""
    kept = {field: values & set(closed_set().get(field, ())) for field, values in labels.items()}
    return {field: values for field, values in kept.items() if values}


def pairs(labels: Labels) -> set[tuple[str, str]]:
    """The labels as (field, value) pairs."""
    return {(field, value) for field, values in labels.items() for value in values}


def as_answer(labels: Labels, fields: Iterable[str] = ()) -> str:
    """Labels as the JSON text that a model shall write: fields and values in a fixed order.

    Several values of one field are joined by "; ". `fields` chooses some of the fields.
    """
    record = {}
    for field in fields or closed_set():
        known = closed_set()[field]
        values = sorted(
            labels.get(field, ()),
            key=lambda value: (known.index(value) if value in known else len(known), value),
        )
        record |= {field: "; ".join(values)} if values else {}
    return json.dumps(record, ensure_ascii=False)
