"""What people give: marks/*.json, one file a marker, and what becomes of several of them.

The marking page saves such a file. Who marked what is kept. Two markers who give one item different
points disagree: then the item has no points until a person decides in overrides.csv.
"""

import json
import re
import secrets
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated

from pydantic import Field, ValidationError

from course_utils import ownership
from course_utils.assignments.folder import show
from course_utils.assignments.rubric import Rubric
from course_utils.files import read_json, write_json_atomic, write_text_atomic
from course_utils.grading import names
from course_utils.grading.finding import wrong
from course_utils.grading.results import Model
from course_utils.messages import Explained
from course_utils.report import UNPRINTABLE

KIND, VERSION = "grading-marks", 1
FOLDER, CODES = "marks", "marking_codes.json"
LARGEST = 20_000_000  # bytes
LONGEST = 4000  # characters of a comment


class Mark(Model):
    """Points of one person for one item of one submission; None: only a comment so far."""

    points: float | None = Field(ge=0)
    max: float = Field(gt=0)  # of the item when it was marked
    comment: Annotated[str, Field(max_length=LONGEST)] = ""


class MarkFile(Model):
    """What one marker saved: the page's own form."""

    kind: str
    version: int
    assignment: str
    rubric: str
    marker: Annotated[str, Field(min_length=1, max_length=60)]
    saved: str
    open: int
    marks: dict[str, dict[str, Mark]]  # code of a submission -> item -> mark
    bank: dict[str, list[str]] = {}  # item -> comments kept to be used again
    made_by: str = ""


Given = dict[str, dict[str, dict[str, Mark]]]  # submission -> item -> marker -> mark


def codes_of(grades: Path, submissions: Sequence[str]) -> dict[str, str]:
    """Submission -> what stands for it on the marking page: drawn once, and kept in GRADES."""
    path = Path(grades) / CODES
    known = read_json(path)["codes"] if path.exists() else {}
    missing = [submission for submission in submissions if submission not in known]
    for submission in missing:
        code = names.code(submission, secrets.token_hex(8))
        while code in known.values():
            code = names.code(submission, secrets.token_hex(8))
        known[submission] = code
    if missing:
        write_json_atomic(path, {"made_by": ownership.MAKER, "codes": dict(sorted(known.items()))})
    return {submission: known[submission] for submission in submissions}


def read_marks(grades: Path, submissions: Sequence[str], rubric: Rubric) -> Given:
    """All marks in GRADES/marks. Raises Explained, which names the file."""
    codes = {code: submission for submission, code in codes_of(grades, submissions).items()}
    given: Given = {}
    for path in sorted((Path(grades) / FOLDER).glob("*.json")):
        file = read_file(path, rubric)
        for code, marks in file.marks.items():
            for item, mark in marks.items():
                if mark.points is not None and code in codes:
                    own = given.setdefault(codes[code], {}).setdefault(item, {})
                    own[file.marker] = mark
    return given


def merge(
    grades: Path, paths: Sequence[Path], rubric: Rubric, submissions: Sequence[str]
) -> list[Path]:
    """Take markers' files into GRADES/marks; an older file of the same marker is replaced.

    All are read before any is written. Raises Explained for a file that does not fit.
    """
    codes = set(codes_of(grades, submissions).values())
    files = [(path, read_file(path, rubric)) for path in paths]
    seen: dict[str, Path] = {}
    for path, file in files:
        if strangers := file.marks.keys() - codes:
            raise _at(path, wrong("marks.no_submission", code=show(min(strangers), 20)))
        if file.marker.casefold() in seen:
            raise _at(path, wrong("marks.marker_twice", marker=file.marker))
        seen[file.marker.casefold()] = path
        _check_newer(Path(grades), path, file, rubric)
    return [_keep(Path(grades), file) for _, file in files]


def _check_newer(grades: Path, path: Path, file: MarkFile, rubric: Rubric) -> None:
    kept = _place(grades, file.marker)
    if kept.exists() and (old := read_file(kept, rubric)).saved > file.saved:
        raise _at(path, wrong("marks.older", marker=file.marker, old=file.saved, new=old.saved))


def _place(grades: Path, marker: str) -> Path:
    return grades / FOLDER / f"{names.slug(' '.join(marker.split()).casefold())}.json"


def _keep(grades: Path, file: MarkFile) -> Path:
    content = file.model_copy(update={"made_by": ownership.MAKER})
    return write_text_atomic(_place(grades, file.marker), content.model_dump_json(indent=2) + "\n")


def read_file(path: Path, rubric: Rubric) -> MarkFile:
    """One marker's file, checked against the rubric. Raises Explained, which names the file."""
    path = Path(path)
    try:
        if path.stat().st_size > LARGEST:
            raise _at(path, wrong("marks.unreadable", problem=f"more than {LARGEST:,} bytes"))
        raw = path.read_bytes()
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise _at(path, wrong("marks.unreadable", problem="not UTF-8 text")) from None
    except OSError as error:
        problem = error.strerror or str(error)
        raise _at(path, wrong("marks.unreadable", problem=problem)) from None
    file = _parse(path, text)
    if file.assignment != rubric.assignment:
        raise _at(path, wrong("marks.other_assignment", found=show(file.assignment, 40),
                              expected=rubric.assignment))  # fmt: skip
    manual = {item.id for item in rubric.of_kind("manual")}
    for code, marks in file.marks.items():
        for item, mark in marks.items():
            if item not in manual:
                raise _at(path, wrong("marks.no_item", item=show(item, 40)))
            if mark.points is not None and mark.points > mark.max:
                where = f"{show(code, 20)}, {item}"
                raise _at(
                    path, wrong("marks.points", where=where, points=mark.points, most=mark.max)
                )
    return file


def _parse(path: Path, text: str) -> MarkFile:
    try:
        content = json.loads(text)
        if not isinstance(content, dict) or content.get("kind") != KIND:
            raise _at(path, wrong("marks.unreadable", problem="no file of the marking page"))
        file = MarkFile.model_validate_json(text)
    except ValidationError as error:
        first = error.errors()[0]
        problem = f"{'.'.join(map(str, first['loc']))}: {first['msg']}"
        raise _at(path, wrong("marks.unreadable", problem=show(problem, 200))) from None
    except (ValueError, RecursionError) as error:
        raise _at(path, wrong("marks.unreadable", problem=show(error, 80))) from None
    marker = " ".join(UNPRINTABLE.sub("\ufffd", file.marker).split())
    if not marker or not re.search(r"\w", marker):
        raise _at(path, wrong("marks.unreadable", problem="it does not say who marked"))
    return file.model_copy(update={"marker": marker})


def _at(path: Path, error: Explained) -> Explained:
    """The same error, with the file in front."""
    error.message = f"{path}: {error.message}"
    error.args = (error.message,)
    return error


def disagreements(given: Mapping[str, Mapping[str, Mapping[str, Mark]]]) -> list[tuple[str, str]]:
    """(submission, item) of all items that two people gave different points."""
    return [
        (submission, item)
        for submission, items in sorted(given.items())
        for item, marks in items.items()
        if len({mark.points for mark in marks.values()}) > 1
    ]
