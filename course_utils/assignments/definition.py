"""An assignment as data: assignment.yaml, beside its rubric.yaml.

    ASSIGNMENTS["parameter_lab"].title      # by its id, or by an old name: ASSIGNMENTS["week05"]
    find("week09_10").thresholds.records    # CourseError for a name that is none

The id is free of the calendar, so a course may have the assignment in any week. `checker` is the
module of this room that walks its submissions; messages of `course submit check` begin with its
name.
"""

from collections.abc import Iterator, Mapping
from functools import cache, cached_property
from pathlib import Path
from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from course_utils import kit, ownership
from course_utils.assignments.rubric import NAME, load_rubric
from course_utils.errors import CourseError
from course_utils.handwritten import read_as

FILE = "assignment.yaml"
NUMBERS = (
    *("no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten"),
    *("eleven", "twelve"),
)


def in_words(count: int) -> str:
    """A number as a text says it: "two", and 13 from there on."""
    return NUMBERS[count] if 0 <= count < len(NUMBERS) else str(count)


class _Data(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Thresholds(_Data):
    """What a submission has to hold at least."""

    records: int = Field(ge=1)
    tasks: tuple[str, ...] = ()  # of each part of the data; none where records have no task
    documents: int = Field(0, ge=0)  # kinds of document; 0 where records need name none
    questions: int = Field(0, ge=0)


class Group(_Data):
    """How many may hand in together."""

    least: int = Field(1, ge=1)
    most: int = Field(1, ge=1)

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if self.least > self.most:
            raise ValueError(f"least {self.least} is more than most {self.most}")
        return self

    def __str__(self) -> str:
        if self.most == 1:
            return "one person"
        if self.least == self.most:
            return f"{in_words(self.most)} people"
        return f"{in_words(self.least)} to {in_words(self.most)} people"


class Solution(_Data):
    """What of solution/ a student gets; what is in none of the lists stops a release."""

    regions: dict[str, dict[str, int]]  # file -> what a region belongs to -> lines taken out there
    given: tuple[str, ...] = ()  # files without a region: the student gets them whole
    made: dict[str, str] = {}  # file of the starter -> the file of the kit that it is a copy of
    kept_back: tuple[str, ...] = ()  # top-level names: what a run leaves, what only we need

    @model_validator(mode="after")
    def _each_file_once(self) -> Self:
        files = [*self.regions, *self.given, *self.made]
        if twice := sorted({name for name in files if files.count(name) > 1}):
            raise ValueError(f"listed twice: {', '.join(twice)}")
        return self


class Definition(_Data):
    """One assignment. Its parts and their points stand in rubric.yaml, once."""

    id: str = Field(pattern=NAME)
    aliases: tuple[str, ...] = ()
    title: str = Field(min_length=1)
    checker: str
    marks: tuple[str, ...] = Field(min_length=1)  # by any of these a submission is known
    empty: tuple[str, ...] = ()  # folders that the starter has, with nothing in them
    thresholds: Thresholds
    group: Group
    hidden: Literal["kit", "own"] = "kit"  # records that nobody was given: drawn, or a file
    late: str = Field(min_length=1)
    again: str = Field(min_length=1)
    solution: Solution
    folder: str = Field("", exclude=True)  # its name in assignments/, not written in the file

    @property
    def path(self) -> Path:
        """Its folder in the kit."""
        return kit.ASSIGNMENTS / self.folder

    @property
    def names(self) -> tuple[str, ...]:
        """Every name it is known by, the id first."""
        return tuple(dict.fromkeys((self.id, *self.aliases, self.folder)))

    def claim(self, folder: Path, what: str) -> Path:
        """Make a folder ours as `what` of this assignment; one made under an old name stays so.

        Raises CourseError when it is somebody else's.
        """
        owner = ownership.owner_of(folder)
        known = {f"{what} of {name}" for name in self.names}
        return ownership.claim(folder, of=owner if owner in known else f"{what} of {self.id}")

    @cached_property
    def titles(self) -> dict[int, str]:
        """Part -> its heading in a report of the check; 0 is the folder as a whole."""
        parts = load_rubric(self.path / "rubric.yaml").parts
        return {0: "The folder"} | {p.part: f"Part {p.part}: {in_a_line(p.title)}" for p in parts}


def in_a_line(title: str) -> str:
    """A title as it stands after a colon: "Data" -> "data", and "LoRA" as it is."""
    first = title.partition(" ")[0]
    return title[0].lower() + title[1:] if first[1:].islower() else title


def read_definition(folder: Path) -> Definition:
    """The assignment.yaml of a folder. Raises CourseError that names the file and the place."""
    cure = "course_utils/assignments/definition.py says what it holds"
    found = read_as(Definition, folder / FILE, cure)
    return found.model_copy(update={"folder": folder.name})


class Assignments(Mapping[str, Definition]):
    """Every assignment of a folder, by id; a look-up takes the old names too."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @cached_property
    def _all(self) -> dict[str, Definition]:
        """Read at the first look-up, so that importing costs nothing."""
        files = sorted(self.folder.glob(f"*/{FILE}"))
        return _by_id([read_definition(path.parent) for path in files])

    def __getitem__(self, name: str) -> Definition:
        for own in self._all.values():
            if name in own.names:
                return own
        raise KeyError(name)

    def __iter__(self) -> Iterator[str]:
        return iter(self._all)

    def __len__(self) -> int:
        return len(self._all)


def _by_id(found: list[Definition]) -> dict[str, Definition]:
    names: dict[str, Definition] = {}
    for own in found:
        for name in own.names:
            if name in names:
                raise CourseError(
                    f"{own.path / FILE}: {name} names {names[name].folder} too",
                    "give each assignment an id and aliases of its own",
                )
            names[name] = own
    return {own.id: own for own in found}


ASSIGNMENTS = Assignments(kit.ASSIGNMENTS)


def there() -> Assignments:
    """All assignments. Raises CourseError for a package without the kit, as in a wheel."""
    if not ASSIGNMENTS:
        raise CourseError(
            f"{ASSIGNMENTS.folder}: no assignment is there",
            "install the kit from its folder (git clone, make setup); a wheel holds none",
        )
    return ASSIGNMENTS


def find(name: str) -> Definition:
    """The assignment of this id or old name. Raises CourseError with those that there are."""
    if name not in there():
        known = ", ".join(f"{own.id} ({', '.join(own.aliases)})" for own in ASSIGNMENTS.values())
        raise CourseError(f"there is no assignment {name!r}", f"choose one of: {known}")
    return ASSIGNMENTS[name]


@cache
def of_checker(checker: str) -> Definition:
    """The first assignment whose submissions this module walks."""
    for own in ASSIGNMENTS.values():
        if own.checker == checker:
            return own
    raise CourseError(
        f"{kit.ASSIGNMENTS}: no {FILE} names the checker {checker}", "clone the kit again"
    )


def canonical(name: str) -> str:
    """The id for an old name; anything else as it is."""
    return ASSIGNMENTS[name].id if name in ASSIGNMENTS else name
