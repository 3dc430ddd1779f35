"""What people give: marks/*.json, one file a marker, and what becomes of several of them.

The marking page saves such a file. Who marked what is kept; of one marker's marks for one item the
newest counts. Two markers who give one item different points disagree: then the item has no points
until a person decides in overrides.csv.
"""

import json
import re
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from pydantic import Field, ValidationError

from course_utils import ownership
from course_utils.assignments.folder import listed, show
from course_utils.assignments.rubric import Rubric
from course_utils.digests import digest
from course_utils.files import read_json, write_json_atomic, write_text_atomic
from course_utils.grading import names
from course_utils.grading.finding import wrong
from course_utils.grading.numbers import points_text, priced
from course_utils.grading.results import Item, Model
from course_utils.messages import Explained
from course_utils.report import UNPRINTABLE

KIND, VERSION = "grading-marks", 1
FOLDER, CODES = "marks", "marking_codes.json"
LARGEST = 20_000_000  # bytes
LONGEST = 4000  # characters of a comment
SAME = 0.015  # points: marks of a rubric that changed are rounded more than once


class Mark(Model):
    """Points of one person for one item of one submission; None: a comment only, or taken back."""

    points: float | None = Field(ge=0)
    max: float = Field(gt=0)  # of the item when it was marked
    comment: Annotated[str, Field(max_length=LONGEST)] = ""
    when: str = ""  # it was given or changed; a page that did not say: when its file was saved
    looked_at: str = ""  # work_digest of what was marked; "" of a page that did not say


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


@dataclass(frozen=True)
class Codes:
    """What stands for submissions on the marking page: drawn once, and kept in GRADES."""

    folder: str  # stands for the folder of grades: a browser knows by it the marks that it keeps
    known: dict[str, str]  # submission -> code, also of those that have left the class


def read_codes(grades: Path, submissions: Sequence[str]) -> Codes:
    """The codes of GRADES, with new ones for the submissions that have none yet."""
    path = Path(grades) / CODES
    kept = read_json(path) if path.exists() else {}
    known = dict(kept.get("codes", {}))
    for submission in submissions:
        while submission not in known:
            code = names.code(submission, secrets.token_hex(8))
            if code not in known.values():
                known[submission] = code
    found = Codes(kept.get("folder") or secrets.token_hex(8), dict(sorted(known.items())))
    content = {"made_by": ownership.MAKER, "folder": found.folder, "codes": found.known}
    if content != kept:
        write_json_atomic(path, content)
    return found


def codes_of(grades: Path, submissions: Sequence[str]) -> dict[str, str]:
    """Submission -> its code."""
    known = read_codes(grades, submissions).known
    return {submission: known[submission] for submission in submissions}


def work_digest(found: Item | None) -> str:
    """A digest of what a person reads for an item: another hand-in has another one."""
    shown = [work.content for work in found.work] if found else []
    return digest(shown)[:16]


def read_marks(grades: Path, submissions: Sequence[str], rubric: Rubric) -> Given:
    """All marks in GRADES/marks, priced by this rubric. Raises Explained, which names the file."""
    codes = {code: submission for submission, code in codes_of(grades, submissions).items()}
    given: Given = {}
    for path in sorted((Path(grades) / FOLDER).glob("*.json")):
        file = read_file(path, rubric)
        for (code, item), mark in _pointed(file).items():
            if code in codes:
                own = given.setdefault(codes[code], {}).setdefault(item, {})
                own[file.marker] = _priced(mark, rubric.item(item).points)
    return given


def _pointed(file: MarkFile | None) -> dict[tuple[str, str], Mark]:
    """(code, item) -> mark, of all that have points."""
    return {
        (code, item): mark
        for code, marks in (file.marks if file else {}).items()
        for item, mark in marks.items()
        if mark.points is not None
    }


def _priced(mark: Mark, most: float) -> Mark:
    points = None if mark.points is None else priced(mark.points, mark.max, most)
    return mark.model_copy(update={"points": points, "max": float(most)})


@dataclass(frozen=True)
class Merged:
    """What a merge did to one marker's marks; its text is for the terminal."""

    path: Path
    new: int
    replaced: int
    taken_back: list[str]  # "code item"
    kept: int

    def __str__(self) -> str:
        counts = {
            "new": self.new,
            "replaced an older one": self.replaced,
            "kept from before": self.kept,
            "taken back": len(self.taken_back),
        }
        told = ", ".join(f"{count} {what}" for what, count in counts.items() if count)
        back = f": {listed(self.taken_back, 6)}" if self.taken_back else ""
        return f"{self.path} ({told or 'no marks'}{back})"


def merge(
    grades: Path, paths: Sequence[Path], rubric: Rubric, submissions: Sequence[str]
) -> list[Merged]:
    """Lay markers' files over what GRADES/marks has of them: the newest mark of an item counts.

    An item that a newer file has without points is taken back; one that it does not name stays. All
    files are read before any is written. Raises Explained for a file that does not fit.
    """
    codes = set(read_codes(grades, submissions).known.values())
    before: dict[Path, MarkFile] = {}
    came: dict[Path, list[MarkFile]] = {}
    after: dict[Path, MarkFile] = {}
    for path, file in [(path, read_file(path, rubric)) for path in paths]:
        if strangers := file.marks.keys() - codes:
            raise _at(path, wrong("marks.no_submission", code=show(min(strangers), 20)))
        place = _place(Path(grades), file.marker)
        if place not in after and place.exists():
            before[place] = after[place] = read_file(place, rubric)
        after[place] = _laid_over(after[place], file, path) if place in after else file
        came.setdefault(place, []).append(file)
    return [_keep(place, before.get(place), came[place], file) for place, file in after.items()]


def _laid_over(known: MarkFile, file: MarkFile, path: Path) -> MarkFile:
    """Both files of one marker in one. Raises Explained where two marks of one time differ."""
    marks = {code: dict(own) for code, own in known.marks.items()}
    for code, own in file.marks.items():
        for item, mark in own.items():
            other = marks.setdefault(code, {}).get(item, mark)
            if other.when == mark.when and _differ(other, mark):
                told = {"where": f"{code}, {item}", "marker": file.marker, "when": show(mark.when)}
                points = " and ".join(points_text(m.points) or "none" for m in (other, mark))
                raise _at(path, wrong("marks.same_time", points=points, **told))
            if other.when <= mark.when:
                marks[code][item] = mark
    older, newer = sorted((known, file), key=lambda one: one.saved)
    return newer.model_copy(update={"marks": marks, "bank": older.bank | newer.bank})


def _differ(one: Mark, other: Mark) -> bool:
    """Other points, or another comment; the same share of an item that changed is no difference."""
    if one.points is None or other.points is None:
        return (one.points, one.comment) != (other.points, other.comment)
    least = min(one.max, other.max)
    difference = priced(one.points, one.max, least) - priced(other.points, other.max, least)
    return abs(difference) > SAME or one.comment != other.comment


def _place(grades: Path, marker: str) -> Path:
    return grades / FOLDER / f"{names.slug(' '.join(marker.split()).casefold())}.json"


def _keep(
    place: Path, before: MarkFile | None, came: Sequence[MarkFile], after: MarkFile
) -> Merged:
    content = after.model_copy(update={"made_by": ownership.MAKER})
    write_text_atomic(place, content.model_dump_json(indent=2) + "\n")
    old, new = _pointed(before), _pointed(after)
    seen = [pair for marks in (old, *map(_pointed, came)) for pair in marks.items()]
    replaced = {key for key, mark in seen if key in new and _differ(mark, new[key])}
    back = [" ".join(key) for key in sorted({key for key, _ in seen} - new.keys())]
    fresh, kept = new.keys() - old.keys() - replaced, old.keys() & new.keys() - replaced
    return Merged(place, len(fresh), len(replaced), back, len(kept))


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
    dated = {
        code: {
            item: mark.model_copy(update={"when": mark.when or file.saved})
            for item, mark in own.items()
        }
        for code, own in file.marks.items()
    }
    return file.model_copy(update={"marks": dated})


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
