"""What was found of one submission: result.json, which the grader writes and everything else reads.

    result = read_result("grades/jane-doe")          # or results_of("grades") for the whole class
    write_result("grades", result)

Only what was measured is stored: points of automatic items with their evidence. Totals, people's
marks and changes by hand are added when a page is made (totals.py), so nothing has to run again.
"""

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from course_utils.assignments.definition import canonical
from course_utils.assignments.rubric import Rubric
from course_utils.errors import CourseError
from course_utils.files import write_text_atomic

RESULT = "result.json"
SLUG = r"^[a-z0-9][a-z0-9_.-]{0,79}$"
LARGEST = 64_000_000  # bytes of a result.json that are read; figures of a notebook are in it

Lms = Literal["folder", "canvas", "moodle", "classroom50"]
Status = Literal["graded", "failed", "timed out", "rejected", "not gradable"]
State = Literal["scored", "manual", "failed", "not judged"]
Point = Annotated[list[float], Field(min_length=2, max_length=2)]  # [step, loss]


class Model(BaseModel):
    """Strict, frozen, no unknown field, no NaN: what a hostile submission caused is no surprise."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)


class Owner(Model):
    """Whose submission it is, as the inbox told it. `ids` are the LMS's own: see inbox.py."""

    name: str = Field(max_length=200)
    lms: Lms = "folder"
    ids: dict[str, str] = {}
    late: bool | None = None  # None: the inbox does not say
    release: dict[str, Any] = {}  # Classroom 50: what its result.json says of the submission


class Evidence(Model):
    """A figure the student may see, already formatted; never a hidden record."""

    label: str
    found: str
    stated: str = ""
    note: str = ""


class Work(Model):
    """What the student wrote or drew for an item, for the person who marks it."""

    kind: Literal["text", "code", "image"]
    content: str  # of an image: a data: address of a PNG or a JPEG
    title: str = ""  # e.g. the file or the section

    @model_validator(mode="after")
    def _images_are_data(self) -> "Work":
        kinds = ("data:image/png;base64,", "data:image/jpeg;base64,")
        if self.kind == "image" and not self.content.startswith(kinds):
            raise ValueError("an image is a data: address of a PNG or a JPEG")
        return self


class Item(Model):
    """One rubric item of one submission."""

    id: str
    title: str
    points: float | None = Field(ge=0)
    max: float = Field(gt=0)
    state: State
    evidence: list[Evidence] = []
    feedback: str = ""  # what to do about it, or why it was not judged
    undecided: bool = False  # not judged, through no fault of the submission: a person decides
    work: list[Work] = []

    @model_validator(mode="after")
    def _points_fit_state(self) -> "Item":
        if (self.points is None) != (self.state in ("manual", "not judged")):
            raise ValueError(
                f"{self.id}: points and the state {self.state!r} contradict each other"
            )
        if self.undecided and self.state != "not judged":
            raise ValueError(f"{self.id}: the state {self.state!r} leaves nothing undecided")
        if self.points is not None and self.points > self.max:
            raise ValueError(f"{self.id}: {self.points} of {self.max} points")
        return self


class Score(Model):
    """One score of one task: base model, adapter, and the 95 % interval of the difference."""

    base: float | None = None
    tuned: float | None = None
    low: float | None = None
    high: float | None = None
    rivals: dict[str, float] = {}  # cheap methods, for comparison only


class Figures(Model):
    """What the student's own charts are drawn from."""

    train_loss: list[Point] = []
    eval_loss: list[Point] = []
    scores: dict[str, dict[str, Score]] = {}  # task -> metric


class Prints(Model):
    """A fingerprint of one text or script, after the starter's own passages were taken away."""

    digest: str  # of the whole, spaces and case apart
    marks: list[str] = []  # see fingerprints.py
    size: int = Field(0, ge=0)  # how many marks there were with the starter's


class Stated(Model):
    """A figure that the student states, beside the recomputed one."""

    name: str
    stated: str
    found: str
    agrees: bool


class Fingerprints(Model):
    """What the class-wide integrity report compares."""

    adapter: str = ""  # sha256 of adapter_model.safetensors
    sketch: list[float] = []  # fingerprints.adapter_sketch
    code: dict[str, Prints] = {}  # file -> prints
    text: dict[str, Prints] = {}
    test_loss: float | None = None  # mean loss of the adapter on the student's test part
    new_loss: float | None = None  # the same on new records of the same kind
    loss_error: float | None = None  # standard error of the difference of the two
    stated: list[Stated] = []
    untouched: list[str] = []  # files that are still the starter's
    hollow: list[str] = []  # IDs of `hollow.*` messages that the check gave
    times: dict[str, str] = {}  # in results of earlier kits; a copy has new times, so none are kept


class Entry(Model):
    """A line of the leaderboard, for students who chose to stand on it."""

    name: str = Field(min_length=1, max_length=60)  # the chosen one
    scores: dict[str, float] | None = None  # task -> main score on hidden records
    rivals: dict[str, dict[str, float]] = {}  # cheap method -> the same
    base_model: str = ""
    preset: str = ""
    minutes: float | None = None
    tokens: int | None = None


class Result(Model):
    """All that was found of one submission."""

    submission: str = Field(pattern=SLUG)  # its folder in GRADES
    owner: Owner
    assignment: str
    kit_version: str
    rubric: str  # rubric_fingerprint
    status: Status
    verdict: str  # the reason in words
    sandbox: str  # its level
    items: list[Item]
    warnings: list[str] = []
    seconds: float = Field(0.0, ge=0)
    memory_gb: float | None = None  # GiB, the highest of the submission's processes
    failed_cell: int | None = None  # of the notebook, from 1; None: it ran, or was not run
    cells: int | None = None  # code cells of the notebook
    figures: Figures = Figures()
    integrity: Fingerprints = Fingerprints()
    leaderboard: Entry | None = None

    @field_validator("assignment")
    @classmethod
    def _is_known_by_its_id(cls, name: str) -> str:
        return canonical(name)  # a folder of grades may be older than the id

    @model_validator(mode="after")
    def _ids_are_unique(self) -> "Result":
        if len({item.id for item in self.items}) < len(self.items):
            raise ValueError("an item stands twice")
        return self

    def item(self, name: str) -> Item | None:
        """The item with this id."""
        return next((item for item in self.items if item.id == name), None)


def rubric_fingerprint(rubric: Rubric) -> str:
    """A digest of a rubric: another one means that points or texts have changed since."""
    text = json.dumps(rubric.model_dump(), sort_keys=True, ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def write_result(grades: Path | str, result: Result) -> Path:
    """GRADES/<submission>/result.json, whole or not at all."""
    path = Path(grades) / result.submission / RESULT
    return write_text_atomic(path, result.model_dump_json(indent=2) + "\n")


def read_result(folder: Path | str) -> Result:
    """The result in a submission's folder. Raises CourseError that names the file."""
    path = Path(folder) / RESULT
    cure = "grade that submission again: course grade SUBMISSIONS --out GRADES --only NAME"
    try:
        if path.stat().st_size > LARGEST:
            raise CourseError(f"{path}: larger than {LARGEST:,} bytes", cure)
        return Result.model_validate_json(path.read_bytes())
    except OSError as error:
        raise CourseError(f"{path}: {error.strerror or error}", cure) from None
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"]))
        raise CourseError(f"{path}: {place}: {first['msg']}", cure) from None


def results_of(grades: Path | str) -> list[Result]:
    """All results of a folder of grades, by submission. Raises CourseError when there is none."""
    found = list(_results(Path(grades)))
    if not found:
        raise CourseError(
            f"{grades}: holds no result", "give the folder that `course grade --out` wrote"
        )
    if others := sorted({result.assignment for result in found} - {found[0].assignment}):
        raise CourseError(
            f"{grades}: results of two assignments ({found[0].assignment}, {others[0]})",
            "grade each assignment into a folder of its own",
        )
    return found


def _results(grades: Path) -> Iterator[Result]:
    for path in sorted(grades.glob(f"*/{RESULT}")):
        result = read_result(path.parent)
        if result.submission != path.parent.name:
            raise CourseError(
                f"{path}: it says that it is of {result.submission}",
                "a result was copied by hand: remove that folder and grade it again",
            )
        yield result
