"""The closed set of labels of a work order, field by field: data/gold/labels.yaml."""

from collections.abc import Iterable, Iterator, Mapping
from functools import lru_cache
from pathlib import Path

from pydantic import BaseModel, ConfigDict

from course_utils import kit
from course_utils.tracks.handwritten import read_as

FILE = kit.DATA / "gold" / "labels.yaml"

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


def outside(labels: Mapping[str, Iterable[str]]) -> Iterator[tuple[str, str]]:
    """The (field, value) pairs that are not in the closed set."""
    for field, values in labels.items():
        yield from ((field, value) for value in values if value not in closed_set().get(field, ()))


def as_spelt(field: str, value: str) -> str:
    """The value as the closed set spells it, where it does."""
    spelling = load_fields().spellings.get(value)
    return spelling.value if spelling and spelling.field == field else value
