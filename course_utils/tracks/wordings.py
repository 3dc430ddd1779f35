"""The sentences of a track, read from data/wordings/TRACK/*.yaml: who mends one opens no Python.

    SAY = Wordings("manufacturing/lots")
    say("means", SAY["means"], char="bore", mean="4.93 mm", ...)

A file maps names to entries; each entry says what it is for and which values its wordings may use:

    means:
      about: the mean of all readings, in the report on a series
      values: [char, mean, place]
      wordings:
        - The {char} averages {mean}, {place}.
        - At {mean}, the mean {char} lies {place}.

Instead of a list, `wordings` may map cases to lists (one list for each decision, say). A phrase
that has one wording only, and is not drawn, stands without a list:

    effect:
      about: the last line of a sheet
      values: [effect]
      wordings: "If nothing is done: {effect}"

and SAY.phrase("effect", effect="the bearing seizes") gives it. An empty wording ("") says nothing;
with `repeats: true` a wording may stand twice, to be drawn more often.
"""

import string
from functools import cached_property
from pathlib import Path
from typing import Annotated

import yaml
from pydantic import BeforeValidator, Field, ValidationError, model_validator

from course_utils import kit
from course_utils.errors import CourseError
from course_utils.handwritten import read_yaml
from course_utils.tracks.knowledge import Strict
from course_utils.tracks.wording import fill

FOLDER = kit.DATA / "wordings"


def listed(given: object) -> object:
    """A single phrase as a list of one wording."""
    return [given] if isinstance(given, str) else given


Choices = Annotated[list[str], Field(min_length=1), BeforeValidator(listed)]


class Entry(Strict):
    """One place in the texts of a track: what stands there, and the ways to say it."""

    about: str = Field(min_length=1)
    values: list[str] = []
    repeats: bool = False
    wordings: dict[str, Choices] | Choices

    @property
    def lists(self) -> list[list[str]]:
        """The lists of wordings, one for each case."""
        return list(self.wordings.values()) if isinstance(self.wordings, dict) else [self.wordings]

    @model_validator(mode="after")
    def _values_are_known(self) -> "Entry":
        known = ", ".join(self.values) or "none"
        for wording in (wording for choices in self.lists for wording in choices):
            if unknown := placeholders(wording) - set(self.values):
                raise ValueError(f"{wording!r} uses {sorted(unknown)}; known values: {known}")
        return self

    @model_validator(mode="after")
    def _wordings_differ(self) -> "Entry":
        if not self.repeats and any(len(set(choices)) < len(choices) for choices in self.lists):
            raise ValueError("the same wording stands twice in one list")
        return self


def placeholders(wording: str) -> set[str]:
    """The names in braces; ValueError that names the wording where a brace is left open."""
    try:
        parts = list(string.Formatter().parse(wording))
    except ValueError as error:
        raise ValueError(f"{wording!r}: {error}") from None
    names = (name for _, name, _, _ in parts if name is not None)
    return {name.split(".")[0].split("[")[0] for name in names}


class Cases(dict[str, list[str]]):
    """The lists of an entry by case; CourseError for a case that the file does not hold."""

    def __init__(self, place: str, lists: dict[str, list[str]]) -> None:
        super().__init__(lists)
        self.place = place

    def __missing__(self, case: str) -> list[str]:
        raise CourseError(f"{self.place}.{case} is missing", "git checkout the file")


class Wordings:
    """One file of wordings; it is read when the first of them is asked for."""

    def __init__(self, name: str, folder: Path = FOLDER) -> None:
        self.path = folder / f"{name}.yaml"

    def __getitem__(self, name: str) -> list[str] | dict[str, list[str]]:
        """The wordings of an entry: a list, or a dict of lists. CourseError where there is none."""
        if name not in self.entries:
            raise CourseError(f"{self.path}: {name} is missing", "git checkout the file")
        found = self.entries[name].wordings
        return Cases(f"{self.path}: {name}", found) if isinstance(found, dict) else found

    def phrase(self, name: str, case: str = "", /, **values: object) -> str:
        """The one wording of an entry (or of a case of it), filled in; nothing is drawn.

        CourseError where several wordings stand there: this place of the text knows no choice.
        """
        found = self[name][case] if case else self[name]
        if len(found) != 1 or isinstance(found, dict):
            place = f"{name}.{case}" if case else name
            raise self._wrong(f"{place} needs exactly one wording, it is not drawn")
        return fill(found[0], values, f"{self.path}: {name} {case}".strip())

    @cached_property
    def entries(self) -> dict[str, Entry]:
        """All entries by name; CourseError that names the file and the entry that is wrong."""
        try:
            found = read_yaml(self.path)
            return {name: self._entry(name, content) for name, content in found.items()}
        except (OSError, UnicodeDecodeError, yaml.YAMLError, AttributeError) as error:
            raise self._wrong(str(error)) from None

    def _entry(self, name: str, content: object) -> Entry:
        try:
            return Entry.model_validate(content)
        except ValidationError as error:
            first = error.errors()[0]
            place = ".".join(map(str, (name, *first["loc"])))
            raise self._wrong(f"{place}: {first['msg']}") from None

    def _wrong(self, problem: str) -> CourseError:
        return CourseError(f"{self.path}: {problem}", "tracks/wordings.py shows how a file looks")
