"""Classroom 50: `classroom50/result/v1`, filled from the release's own result.json.

Its scores are integers, so points are counted in halves: 7 here is 3.5 points. What lies between is
rounded to the nearest half, upwards from the middle, item by item; the score is the sum of the
items. `datetime`, when it was handed in, stays; `graded_at` is now. Who the owner is says the
repository's name, never a file in it.
"""

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from course_utils.assignments.checklist import RELEASE
from course_utils.grading.exporting import FOLDER, Exported, ready, twice, write_each
from course_utils.grading.inbox import SCHEMA, repository_of
from course_utils.grading.totals import Line, Total

HALVES = 2  # parts of a point
KINDS = ("individual", "group", "team")


def write_classroom50(
    grades: Path,
    totals: Sequence[Total],
    provisional: bool = False,
    now: datetime | None = None,
) -> Exported:
    """GRADES/exports/classroom50/<repository>/result.json for each release."""
    done = Exported(Path(grades) / FOLDER / "classroom50")
    doubled, contents = twice(totals, "repository"), {}
    for own in totals:
        name = own.result.submission
        if why := ready(own, provisional) or _unbound(own) or doubled.get(name):
            done.left_out[name] = why
        else:
            contents[_repository(own)] = classroom50(own, now or datetime.now(UTC))
    write_each(done, RELEASE, contents)
    return done


def _repository(own: Total) -> str:
    return repository_of(own.result.owner.release)


def _unbound(own: Total) -> str:
    """Why no result can be written for a release; "" when one can."""
    owner = own.result.owner
    if not owner.release:
        return "no release of Classroom 50: its folder had no result.json of that kind"
    if owner.ids.get("repository", "").lower() != _repository(own):
        found, repository = owner.release["owner"], owner.ids.get("repository")
        return f"its result.json names the owner {found}, its repository is {repository}"
    return ""


def classroom50(own: Total, now: datetime) -> dict[str, Any]:
    """The content: only fields of the schema, further ones inside a test."""
    release = own.result.owner.release
    kind = release.get("assignment_type")
    names = ("classroom", "assignment", "owner", "submission", "commit", "release", "review")
    tests = [_test(line) for line in own.lines]
    content = {
        "schema": SCHEMA,
        **{name: release[name] for name in names},
        "assignment_type": kind if kind in KINDS else "individual",
        "datetime": release["datetime"],
        "graded_at": now.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "score": sum(test["score"] for test in tests),
        "max-score": sum(test["max-score"] for test in tests),
        "tests": tests,
    }
    submitted = release.get("submitted_by")
    return content | ({"submitted_by": submitted} if isinstance(submitted, dict) else {})


def halves(points: float) -> int:
    """Points in halves, to the nearest, upwards from the middle."""
    return int(points * HALVES + 0.5 + 1e-9)


def _test(line: Line) -> dict[str, Any]:
    points = line.points or 0.0
    return {
        "test-name": line.item.id,
        "passed": line.full,
        "score": halves(points),
        "max-score": line.item.points * HALVES,
        "points": points,
        "max-points": line.item.points,
        "feedback": line.found.feedback if line.found and not line.full else "",
    }
