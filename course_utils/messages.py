"""The messages of the checks: what was found, why it matters, how to cure it, an example.

    MESSAGES = Room(__file__)
    said = MESSAGES.say("week05.records.too_few", count=19, least=20, missing=1)
    raise Explained(said)          # a CourseError that knows its ID; or print said.found, said.cure

Each room has one messages.yaml. It maps IDs to entries:

    week05.records.too_few:
      values: {count: 19, least: 20, missing: 1}
      found: "{count} records, at least {least} are asked for"
      why: Below that, the training and the validation part say nothing at all.
      cure: "write {missing} more; variants of the same question do not count"
      example: '{"system": "You are a geologist.", "instruction": "...", ...}'

`values` declares what stands in braces in `found` and `cure`, each with a value to show where there
is no real one, as `course explain` does. Where one message is found in several ways, `found` maps
cases to texts; `cures` may map some of these cases to a cure of their own, where the general one
would answer another problem. `items` names the rubric items on which the message bears.
"""

import difflib
import string
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import cache, cached_property
from pathlib import Path
from typing import Any

from course_utils.errors import CourseError
from course_utils.templating import environment

FILE = "messages.yaml"
PACKAGE = Path(__file__).parent
MORE = "Why it matters, and an example: course explain ID"  # stands once, below what was found
# The fixed parts of a message, in the order of reading, and what stands above them.
HEADINGS = {
    "found": "What was found",
    "why": "Why it matters",
    "cure": "Cure",
    "example": "Example",
}


@dataclass(frozen=True)
class Message:
    """One entry of a messages.yaml."""

    __pydantic_config__ = {"extra": "forbid"}

    found: str | dict[str, str]
    why: str
    cure: str
    example: str
    values: dict[str, str | int | float] = field(default_factory=dict)  # name -> one to show
    cures: dict[str, str] = field(default_factory=dict)  # case -> the cure that fits it
    items: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        for name in HEADINGS:
            texts = self.cases.values() if name == "found" else [getattr(self, name)]
            if not texts or not all(text.strip() for text in texts):
                raise ValueError(f"`{name}` is empty")
        if stray := sorted(self.cures.keys() - self.cases.keys()):
            raise ValueError(f"`cures` names cases that `found` has not: {', '.join(stray)}")
        told = [*self.cases.values(), self.cure, *self.cures.values()]
        used = set().union(*map(placeholders, told))
        if used != self.values.keys():
            differ = ", ".join(sorted(used ^ self.values.keys()))
            raise ValueError(f"in braces and in `values` stand different names: {differ}")
        self.parts()  # ValueError for a value that its place cannot show

    @property
    def cases(self) -> dict[str, str]:
        """Case -> text of what was found; a message found in one way has the case ""."""
        return self.found if isinstance(self.found, dict) else {"": self.found}

    def cure_of(self, case: str) -> str:
        """What helps where this was found."""
        return self.cures.get(case, self.cure)

    def parts(self, said: "Said | None" = None) -> dict[str, str]:
        """Heading -> text, with what was `said` or, in general, with the values to show."""
        texts = {
            "found": "\n".join(text.format(**self.values) for text in self.cases.values()),
            "why": self.why,
            "cure": self.cure.format(**self.values),
            "example": self.example,
        }
        texts |= {"found": said.found, "cure": said.cure} if said else {}
        return {heading: texts[name].strip() for name, heading in HEADINGS.items()}


@dataclass(frozen=True)
class Said:
    """A message about something that was found."""

    id: str
    found: str
    cure: str


class Explained(CourseError):
    """A CourseError whose text is a message: `course explain ID` says more."""

    def __init__(self, said: Said) -> None:
        super().__init__(said.found, said.cure)
        self.id = said.id


def placeholders(text: str) -> set[str]:
    """The names in braces; ValueError where a brace is left open."""
    return {name for _, name, _, _ in string.Formatter().parse(text) if name is not None}


class Room:
    """The messages of one room; the file is read when the first of them is asked for."""

    def __init__(self, place: str | Path) -> None:
        """`place`: messages.yaml, or a module beside it."""
        self.path = Path(place).with_name(FILE)

    def say(self, name: str, case: str = "", /, **values: Any) -> Said:
        """The message `name` with these values. KeyError for one that it does not have."""
        message = self.known[name]
        cure = message.cure_of(case).format(**values)
        return Said(name, message.cases[case].format(**values), cure)

    @cached_property
    def known(self) -> dict[str, Message]:
        """All messages by ID; CourseError that names the file and the entry that is wrong."""
        import yaml

        loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # in C: ten times as fast
        try:
            found = yaml.load(self.path.read_text(encoding="utf-8"), loader)
            return {name: self._message(name, content) for name, content in found.items()}
        except (OSError, UnicodeDecodeError, yaml.YAMLError, AttributeError) as error:
            raise self._wrong(str(error)) from None

    def _message(self, name: str, content: object) -> Message:
        from pydantic import ValidationError

        try:
            return _schema().validate_python(content)
        except ValidationError as error:
            first = error.errors()[0]
            place = ".".join(map(str, (name, *first["loc"])))
            raise self._wrong(f"{place}: {first['msg']}") from None

    def _wrong(self, problem: str) -> CourseError:
        return CourseError(f"{self.path}: {problem}", "course_utils/messages.py shows an entry")


@cache
def _schema() -> Any:
    from pydantic import TypeAdapter

    return TypeAdapter(Message)


# --- All rooms ----------------------------------------------------------------------------------


@cache
def rooms() -> dict[str, Room]:
    """Every room that has messages, by its name; the core comes first."""
    paths = sorted(PACKAGE.rglob(FILE), key=lambda path: (len(path.parts), path))
    return {"core" if p.parent == PACKAGE else p.parent.name: Room(p) for p in paths}


def everything() -> Iterator[tuple[str, str, Message]]:
    """(room, ID, message) of all messages."""
    for name, room in rooms().items():
        yield from ((name, key, message) for key, message in room.known.items())


def suggestion(name: str, known: Iterable[str]) -> str:
    """What to try instead of a name that is not known."""
    near = difflib.get_close_matches(name, list(known), n=3, cutoff=0.5)
    return f"did you mean {', '.join(near)}?" if near else "course explain lists all"


def fragment(name: str, said: Said | None = None) -> str:
    """The message as a piece of HTML, everything escaped; with what was `said`, or in general."""
    template = environment(PACKAGE / "templates").get_template("message.html.jinja")
    message = next(message for _, key, message in everything() if key == name)
    return template.render(id=name, parts=message.parts(said), example=HEADINGS["example"])
